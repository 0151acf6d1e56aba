"""An engine on a real file whose wall clock is set by hours, or that opens the file after a reboot."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from alembic.command import downgrade
from alembic.config import Config
from google.protobuf.timestamp_pb2 import Timestamp

from clearway.v1.concurrency_limit_pb2 import GetConcurrencyLimitRequest
from clearway.v1.explanation_pb2 import ExplainTaskRunRequest, ExplainTaskRunResponse
from clearway.v1.proposal_pb2 import Hello, SetTaskRunStateRequest
from clearway.v1.server_info_pb2 import GetServerInfoRequest
from clearway.v1.session_pb2 import KeepAliveRequest, OpenSessionRequest
from clearway.v1.state_pb2 import STATE_TYPE_SCHEDULED, ProposedState
from clearway.v1.task_run_pb2 import CreateTaskRunRequest, ListTaskRunStatesRequest
from clearway_service.engine.clock import Clock
from clearway_service.settings import ServiceSettings
from clearway_service.store import migrations
from clearway_service.store.database import Database
from support.database import rows
from support.facts import NOW, SECOND
from support.proposals import COMPLETED, FAILED, RUNNING, move, new_id, seconds, start, task_spec
from unit.service.conftest import Service

HOURS = timedelta(hours=3)
LEASE = timedelta(seconds=30)
TAG = "disk"
jumps = pytest.mark.parametrize("jump", [HOURS, -HOURS], ids=["forward", "back"])


class Machine:
    """A machine, whose clocks the test moves, and one database on it.

    Attributes:
        boot: The name of its boot.
        service: The engine that has the database open.
    """

    def __init__(self, database: Path) -> None:
        self.boot = "boot 1"
        self._wall, self._ticks = NOW, 50 * SECOND
        self._database = database
        self.service = self.open()

    def open(self, *, extend_leases: bool = False) -> Service:
        """Open an engine."""
        settings = ServiceSettings(database=self._database, lease=LEASE, extend_leases=extend_leases)
        return Service(settings, Clock(lambda: self._wall, lambda: self._ticks, self.boot))

    def reopen(self, *, extend_leases: bool = False) -> None:
        """Leave the engine, as a process that is killed, and open another."""
        self.service.engine.leases._stop.set()  # neither ends its session nor renews it any more
        self.service.engine.leases._stir.set()
        self.service.engine.leases._keeper.join()
        self.service.engine.pipeline.close()
        self.service.engine.database.close()
        self.service = self.open(extend_leases=extend_leases)

    def reboot(self, off: timedelta, *, extend_leases: bool = False) -> None:
        """Reboot, with a wall clock that is ``off`` from where it was."""
        self.boot, self._ticks = f"{self.boot}1", SECOND
        self.set(off)
        self.reopen(extend_leases=extend_leases)

    def run(self, span: timedelta) -> None:
        """Let time pass, and the engine do what is due then."""
        self._wall += span // timedelta(microseconds=1)
        self._ticks += span // timedelta(microseconds=1)
        self.service.clock_moved()

    def set(self, by: timedelta) -> None:
        """Set the wall clock."""
        self._wall += by // timedelta(microseconds=1)

    @property
    def wall(self) -> datetime:
        """What people read on its wall clock."""
        return datetime.fromtimestamp(self._wall / 1e6, UTC)


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[Machine]:
    made = Machine(tmp_path / "clearway.db")
    yield made
    made.service.close()


def session(service: Service, name: str) -> str:
    opened = service.call("OpenSession", OpenSessionRequest(client_name=name))
    assert opened.lease.ToTimedelta() == LEASE
    return str(opened.session_id)


def ask(
    service: Service, run_id: str, state: ProposedState, session_id: str = "", proposal_id: str = ""
) -> object:
    request = SetTaskRunStateRequest(
        task_run_id=run_id, state=state, session_id=session_id, proposal_id=proposal_id
    )
    return service.call("SetTaskRunState", request).decision


def begin(service: Service, session_id: str, *tags: str) -> str:
    """Start a task run for a session; return its id."""
    spec = task_spec(service.flow_id, tags=tags)
    service.call("CreateTaskRun", CreateTaskRunRequest(task_run=spec))
    ask(service, spec.id, RUNNING, session_id)
    assert service.names(spec.id) == ["Pending", "Running"]
    return spec.id


def explain(service: Service, run_id: str) -> ExplainTaskRunResponse:
    answer: ExplainTaskRunResponse = service.call("ExplainTaskRun", ExplainTaskRunRequest(id=run_id))
    return answer


@jumps
def test_a_session_that_is_kept_alive_lives_and_one_that_is_not_ends_after_its_lease(
    machine: Machine, jump: timedelta
) -> None:
    service = machine.service
    service.limit(TAG, 1)
    kept, silent = session(service, "kept"), session(service, "silent")
    of_kept, of_silent = begin(service, kept), begin(service, silent, TAG)
    client = service.client()
    waits = start(service.flow_id, tags=[TAG])
    assert client.decide(waits).wait.queued
    machine.set(jump)
    machine.run(timedelta(seconds=20))
    service.call("KeepAlive", KeepAliveRequest(session_id=kept))
    machine.run(timedelta(seconds=9.9))
    assert service.names(of_silent) == ["Pending", "Running"]
    machine.set(-jump)
    machine.run(timedelta(seconds=0.1))
    assert client.decisions(waits.id, 2)[1].HasField("accept")
    assert service.names(of_silent) == ["Pending", "Running", "Crashed"]
    assert service.names(of_kept) == ["Pending", "Running"]
    machine.run(timedelta(seconds=19))
    assert service.names(of_kept) == ["Pending", "Running"]


@jumps
def test_the_client_of_a_stream_lives_while_it_is_heard(machine: Machine, jump: timedelta) -> None:
    service = machine.service
    remote = service.connector.connect(Hello(client_name="remote"), _nothing, _nothing)
    proposal = start(service.flow_id)
    remote.propose([proposal])
    remote.settled().result()
    for by in (jump, -jump, -jump):
        machine.set(by)
        machine.run(timedelta(seconds=29))
    assert service.names(proposal.create_task_run.id) == ["Running"]
    remote.lose()
    service.limit("other", 1)  # whose answer shows that the loss was noted, at the time that it happened
    machine.set(2 * jump)
    machine.run(timedelta(seconds=11))
    assert service.names(proposal.create_task_run.id) == ["Running", "Crashed"]


@jumps
def test_what_is_said_of_a_lost_client_is_said_in_the_time_that_people_read(
    machine: Machine, jump: timedelta
) -> None:
    service = machine.service
    run_id = begin(service, session(service, "silent"))
    machine.run(timedelta(seconds=1))
    machine.set(jump)
    heard = machine.wall - timedelta(seconds=1)
    machine.run(timedelta(seconds=40))
    message = service.task(run_id).state.message
    assert message.endswith(f"it was last seen at {heard.isoformat(timespec='seconds')}")


@jumps
def test_a_retry_waits_for_its_delay_and_says_so(machine: Machine, jump: timedelta) -> None:
    service = machine.service
    client = service.client()
    proposal = start(service.flow_id, retries=1, retry_delays=[seconds(2)])
    run_id = proposal.create_task_run.id
    client.decide(proposal)
    machine.run(timedelta(seconds=7))
    assert client.decide(move(run_id, FAILED)).state.name == "AwaitingRetry"
    machine.set(jump)
    machine.run(timedelta(seconds=0.5))
    early = client.decide(move(run_id, RUNNING))
    assert early.wait.retry_after.ToTimedelta() == timedelta(seconds=1.5)
    explained = explain(service, run_id)
    assert "it may begin in 1.5 s" in explained.summary
    assert explained.schedule.scheduled_time.ToDatetime(UTC) == machine.wall + timedelta(seconds=1.5)
    machine.run(timedelta(seconds=1.5))
    assert client.decide(move(run_id, RUNNING)).state.name == "Retrying"
    machine.set(-jump)
    machine.run(timedelta(seconds=3))
    assert client.decide(move(run_id, COMPLETED)).HasField("accept")
    run = service.task(run_id)
    assert run.total_run_time.ToTimedelta() == timedelta(seconds=10)
    assert run.end_time.ToDatetime(UTC) == machine.wall


@jumps
def test_a_time_of_the_calendar_follows_the_wall_clock(machine: Machine, jump: timedelta) -> None:
    service = machine.service
    at = Timestamp()
    at.FromDatetime(machine.wall + timedelta(hours=1))
    later = ProposedState(type=STATE_TYPE_SCHEDULED, scheduled_time=at)
    # Its name alone makes it no delay of the service.
    later.name = "AwaitingRetry"
    spec = task_spec(service.flow_id)
    service.call("CreateTaskRun", CreateTaskRunRequest(task_run=spec, initial_state=later))
    machine.set(jump)
    decision = service.client().decide(move(spec.id, RUNNING))
    if jump > timedelta(0):
        assert decision.HasField("accept")
    else:
        assert decision.wait.retry_after.ToTimedelta() == timedelta(hours=1) - jump


@jumps
def test_a_place_in_a_queue_is_kept_as_long_as_it_was_promised(machine: Machine, jump: timedelta) -> None:
    service = machine.service
    service.limit(TAG, 1)
    client = service.client()
    held = start(service.flow_id, tags=[TAG])
    client.decide(held)
    spec = task_spec(service.flow_id, tags=[TAG])
    service.call("CreateTaskRun", CreateTaskRunRequest(task_run=spec))
    ask(service, spec.id, RUNNING, proposal_id=new_id())
    query = "SELECT proposal_id FROM waiter"
    (kept,) = rows(service.database, query)
    machine.set(jump)
    machine.run(timedelta(seconds=59))
    assert rows(service.database, query) == [kept]
    machine.run(timedelta(seconds=2))
    assert rows(service.database, query) == []


@jumps
def test_people_read_the_wall_clock_as_it_is_set(machine: Machine, jump: timedelta) -> None:
    service = machine.service
    service.limit(TAG, 1)
    run_id = begin(service, session(service, "script"), TAG)
    begun = machine.wall
    machine.set(jump)
    machine.run(timedelta(seconds=5))
    assert service.call("GetServerInfo", GetServerInfoRequest()).current_time.ToDatetime(UTC) == machine.wall
    request = GetConcurrencyLimitRequest(tag=TAG)
    (holder,) = service.call("GetConcurrencyLimit", request).concurrency_limit.holders
    assert holder.lease_expire_time.ToDatetime(UTC) == machine.wall + timedelta(seconds=25)
    ask(service, run_id, COMPLETED)
    states = service.call("ListTaskRunStates", ListTaskRunStatesRequest(task_run_id=run_id)).states
    assert [state.name for state in states] == ["Pending", "Running", "Completed"]
    times = [state.create_time.ToDatetime(UTC) for state in states]
    assert times == [begun, begun, machine.wall]
    assert service.task(run_id).total_run_time.ToTimedelta() == timedelta(seconds=5)


@jumps
def test_engines_that_open_the_file_before_and_after_a_jump_have_one_steady_clock(
    machine: Machine, jump: timedelta
) -> None:
    service = machine.service
    kept = begin(service, session(service, "script"))
    machine.set(jump)
    fellow = machine.open()
    try:
        assert fellow.engine.clock.steady() == service.engine.clock.steady()
        fellow.clock_moved()
        assert service.names(kept) == ["Pending", "Running"]
        machine.run(timedelta(seconds=30))
        fellow.clock_moved()
        assert service.names(kept) == ["Pending", "Running", "Crashed"]
    finally:
        fellow.close()


@jumps
@pytest.mark.parametrize("extends", [False, True], ids=["embedded", "a server"])
def test_after_a_reboot_no_lease_and_no_delay_is_left_for_longer_than_it_was(
    machine: Machine, jump: timedelta, extends: bool
) -> None:
    service = machine.service
    service.limit(TAG, 1)
    held = begin(service, session(service, "of before"), TAG)
    client = service.client()
    retried = start(service.flow_id, retries=1, retry_delays=[seconds(2)])
    client.decide(retried)
    run_id = retried.create_task_run.id
    assert client.decide(move(run_id, FAILED)).state.name == "AwaitingRetry"
    machine.reboot(jump, extend_leases=extends)
    service = machine.service
    client = service.client()
    waits = start(service.flow_id, tags=[TAG])
    first = client.decide(waits)
    if extends or jump < timedelta(0):
        assert first.wait.queued
        machine.run(timedelta(seconds=29))
        assert service.names(held) == ["Pending", "Running"]
        machine.run(timedelta(seconds=1))
        assert client.decisions(waits.id, 2)[1].HasField("accept")
    else:  # its lease ran out while the machine was off
        machine.run(timedelta(0))
        assert client.decisions(waits.id, 1 + first.wait.queued)[-1].HasField("accept")
    machine.run(timedelta(seconds=2))
    assert client.decide(move(run_id, RUNNING)).state.name == "Retrying"


def test_a_machine_that_was_restored_from_a_snapshot_has_a_steady_clock_that_runs_on(
    machine: Machine,
) -> None:
    before = machine.service.engine.clock.steady()
    machine.run(timedelta(hours=1))
    machine._ticks -= 3600 * SECOND
    machine.reopen()
    steady = machine.service.engine.clock.steady()
    assert before + 3600 * SECOND <= steady < before + 3602 * SECOND


def test_a_file_of_the_version_before_is_opened_with_leases_that_end(
    machine: Machine, downgraded: Callable[[Path], None]
) -> None:
    service = machine.service
    held = begin(service, session(service, "of before"))
    machine.service.close()
    downgraded(service.database)
    machine.set(-HOURS)
    machine.service = machine.open()
    machine.run(timedelta(seconds=29))
    assert machine.service.names(held) == ["Pending", "Running"]
    machine.run(timedelta(seconds=2))
    assert machine.service.names(held) == ["Pending", "Running", "Crashed"]


@pytest.fixture
def downgraded() -> Callable[[Path], None]:
    """Return what brings a file to the schema before the steady clock."""

    def bring(path: Path) -> None:
        config = Config()
        config.set_main_option("script_location", str(Path(migrations.__file__).parent))
        database = Database(path)
        with database.turn(), database.writer.begin():
            config.attributes["connection"] = database.writer
            downgrade(config, "0002")
        database.close()

    return bring


def _nothing(_told: object) -> None:
    """Ignore what is sent."""
