"""``clearway.testing``: a service for one test, and its clock."""

from __future__ import annotations

import asyncio
import os
import tempfile
import threading
from collections.abc import Callable, Coroutine
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

import clearway.testing
from clearway import Flow, ProcessPoolTaskRunner, Scheduled, flow, get_client, tags, task, task_input_hash
from clearway._transport.current import connect
from clearway.exceptions import LimitNotFound
from clearway.testing import Service
from clearway.v1 import proposal_pb2, session_pb2, task_run_pb2
from integration.sdk_runs import SECONDS, flow_history, history, last_flow_run, set_limit, slots, task_runs
from support.proposals import FAILED, RUNNING, move, seconds, start


class Flaky:
    """Fails so many times, then works."""

    def __init__(self, failures: int) -> None:
        self.calls = 0
        self._failures = failures

    def __call__(self) -> int:
        self.calls += 1
        if self.calls <= self._failures:
            raise ConnectionError(f"call {self.calls}")
        return self.calls


def _called(flaky: Flaky) -> Flow[[], Any]:
    @task(retries=3, retry_delay_seconds=60)
    def work() -> int:
        return flaky()

    @flow
    def working() -> int:
        return work()

    return working


def _submitted(flaky: Flaky) -> Flow[[], Any]:
    @task(retries=3, retry_delay_seconds=60)
    def work() -> int:
        return flaky()

    @flow
    def working() -> int:
        return work.submit().result()

    return working


def _awaited(flaky: Flaky) -> Flow[[], Any]:
    @task(retries=3, retry_delay_seconds=60)
    async def work() -> int:
        return flaky()

    @flow
    async def working() -> int:
        return await work()

    return working


def _submitted_and_awaited(flaky: Flaky) -> Flow[[], Any]:
    @task(retries=3, retry_delay_seconds=60)
    async def work() -> int:
        return flaky()

    @flow
    async def working() -> int:
        return await (await work.submit()).result()

    return working


def _in_a_subflow(flaky: Flaky) -> Flow[[], Any]:
    child = _called(flaky)

    @flow
    def parent() -> Any:
        return child()

    return parent


def ran(flow_: Flow[[], Any]) -> Any:
    result: int | Coroutine[Any, Any, int] = flow_()
    return result if isinstance(result, int) else asyncio.run(result)


@pytest.mark.parametrize("make", [_called, _submitted, _awaited, _submitted_and_awaited, _in_a_subflow])
def test_waits_for_retries_are_skipped(make: Callable[[Flaky], Flow[[], Any]]) -> None:
    flaky = Flaky(3)
    with clearway.testing.service() as service:
        begun = service.clock.now()
        assert ran(make(flaky)) == 4
        passed = service.clock.now() - begun
        (run,) = task_runs("working").values()
        assert history(run.id) == ["Running"] + ["AwaitingRetry", "Retrying"] * 3 + ["Completed"]
        assert timedelta(minutes=3) <= passed < timedelta(minutes=4)
        assert timedelta(minutes=3) <= run.end_time - run.start_time


def test_the_wait_for_a_flow_s_retry_is_skipped() -> None:
    flaky = Flaky(1)

    @flow(retries=1, retry_delay_seconds=3600)
    def working() -> int:
        return flaky()

    with clearway.testing.service():
        assert working() == 2
        assert flow_history(last_flow_run("working").id)[-3:] == ["AwaitingRetry", "Retrying", "Completed"]


def test_a_wait_is_not_skipped_while_the_code_of_a_task_runs() -> None:
    flaky, order = Flaky(1), []

    @task(retries=1, retry_delay_seconds=60)
    def again() -> None:
        order.append(f"again {flaky.calls + 1}")
        flaky()

    @task
    def long(service: Service) -> None:
        service.clock.until_a_run_waits()
        order.append("long")

    @flow
    def both(service: Service) -> None:
        began = long.submit(service)
        again.submit()
        began.result()

    with clearway.testing.service() as service:
        both(service)
    assert order == ["again 1", "long", "again 2"]


def test_a_wait_is_skipped_while_the_code_of_a_task_waits_for_it() -> None:
    flaky = Flaky(1)

    @task(retries=1, retry_delay_seconds=60)
    def again() -> int:
        return flaky()

    @task
    def waiting(given: list[Any]) -> int:
        result: int = given[0]().result()
        return result

    @flow
    def both() -> int:
        future = again.submit()
        return waiting([lambda: future])

    with clearway.testing.service():
        assert both() == 2


def test_the_clock_is_moved_by_hand() -> None:
    flaky = Flaky(1)
    working = _called(flaky)
    results: list[int] = []
    with clearway.testing.service(skip_waits=False) as service:
        thread = threading.Thread(target=lambda: results.append(working()))
        thread.start()
        left = service.clock.until_a_run_waits()
        assert timedelta(0) < left <= timedelta(seconds=60)
        (run,) = task_runs("working").values()
        assert (run.state.name, flaky.calls) == ("AwaitingRetry", 1)
        service.clock.advance(seconds=60)
        thread.join(SECONDS)
    assert results == [2]


async def test_the_clock_is_moved_by_hand_in_async_code() -> None:
    working = _awaited(Flaky(1))
    with clearway.testing.service(skip_waits=False) as service:
        running = asyncio.create_task(working())
        await asyncio.to_thread(service.clock.until_a_run_waits)
        service.clock.advance(timedelta(minutes=1))
        assert await running == 2


def test_waits_are_skipped_from_when_that_is_asked_for() -> None:
    flaky = Flaky(1)
    working = _called(flaky)
    with clearway.testing.service(skip_waits=False) as service:
        thread = threading.Thread(target=working)
        thread.start()
        service.clock.until_a_run_waits()
        assert flaky.calls == 1
        service.clock.skips_waits = True
        thread.join(SECONDS)
    assert flaky.calls == 2


def test_time_does_not_go_back() -> None:
    with clearway.testing.service() as service, pytest.raises(ValueError, match="advanced by -1 s"):
        service.clock.advance(seconds=-1)


def test_nothing_waits_for_the_time_where_nothing_runs() -> None:
    with clearway.testing.service() as service, pytest.raises(TimeoutError, match=r"within 0\.01 s"):
        service.clock.until_a_run_waits(0.01)


def test_a_cached_result_expires_by_the_clock() -> None:
    calls: list[int] = []

    @task(cache_key_fn=task_input_hash, cache_expiration=timedelta(days=1))
    def work(x: int) -> int:
        calls.append(x)
        return x

    @flow
    def working() -> int:
        return work(1)

    with clearway.testing.service() as service:
        working()
        service.clock.advance(hours=23)
        working()
        assert calls == [1]
        service.clock.advance(hours=1)
        working()
        assert calls == [1, 1]


def test_a_scheduled_run_begins_by_the_clock() -> None:
    with clearway.testing.service(skip_waits=False) as service:
        flow_id = _empty_flow_run()
        transport, first = connect(), start(flow_id, retries=1, retry_delays=[seconds(60)])
        run_id = transport.propose(first).result(SECONDS).run_id
        transport.propose(move(run_id, FAILED)).result(SECONDS)
        early = transport.propose(move(run_id, RUNNING)).result(SECONDS)
        assert early.HasField("wait")
        service.clock.advance(seconds=60)
        due = transport.propose(move(run_id, RUNNING)).result(SECONDS)
        assert due.HasField("accept")


def test_a_task_that_is_to_run_again_later_does_so_at_once() -> None:
    calls: list[int] = []

    @task
    def later() -> Any:
        calls.append(1)
        return Scheduled(datetime.now(UTC) + timedelta(days=1)) if len(calls) == 1 else "done"

    @flow
    def patient() -> Any:
        return later()

    with clearway.testing.service() as service:
        begun = service.clock.now()
        assert patient() == "done"
        assert timedelta(hours=23) < service.clock.now() - begun < timedelta(hours=25)


@task(retries=2, retry_delay_seconds=3600)
def grow(path: Path) -> tuple[int, int]:
    """Run in a process of its own."""
    path.write_text(f"{path.read_text()}x" if path.exists() else "x")
    if len(path.read_text()) < 3:
        raise ConnectionError("not yet")
    return len(path.read_text()), os.getpid()


def test_waits_are_skipped_for_tasks_in_other_processes(home: Path, tmp_path: Path) -> None:
    @flow(task_runner=ProcessPoolTaskRunner(max_workers=1))
    def growing() -> Any:
        return grow.submit(tmp_path / "grown").result()

    with clearway.testing.service() as service:
        begun = service.clock.now()
        attempts, pid = growing()
        assert service.clock.now() - begun >= timedelta(hours=2)
    assert attempts == 3
    assert pid != os.getpid()
    assert not home.exists()


def test_a_lease_runs_out_by_the_clock_and_frees_its_slot() -> None:
    with clearway.testing.service() as service:
        set_limit("database", 1)
        request = session_pb2.OpenSessionRequest(client_name="silent", language="go", version="1")
        session = connect().call("OpenSession", request).result(SECONDS)
        holder = _hold_slot(session.session_id)
        assert slots("database") == (holder,)
        service.clock.advance(seconds=29)
        assert slots("database") == (holder,)
        service.clock.advance(seconds=1)
        assert slots("database") == ()
        assert history(holder)[-1] == "Crashed"


def test_runs_that_queue_for_a_slot_go_on() -> None:
    attempts = {name: Flaky(2) for name in "abc"}

    @task(retries=2, retry_delay_seconds=60)
    def work(name: str) -> int:
        return attempts[name]()

    @flow
    def working() -> list[int]:
        with tags("database"):
            return [future.result() for future in work.map(list(attempts))]

    with clearway.testing.service():
        set_limit("database", 1)
        assert working() == [3, 3, 3]


def test_each_service_is_fresh() -> None:
    working = _called(Flaky(0))
    for _ in range(2):
        with clearway.testing.service() as service:
            with get_client() as client:
                assert client.read_flow_runs() == []
                with pytest.raises(LimitNotFound):
                    client.read_concurrency_limit_by_tag("database")
            working()
            set_limit("database", 1)
            home = service.home
            assert home.exists()
        assert not home.exists()


def test_a_service_within_another_hides_it() -> None:
    working = _called(Flaky(0))
    with clearway.testing.service() as outer:
        working()
        with clearway.testing.service() as inner, get_client() as client:
            inner.clock.advance(days=1)
            assert client.read_flow_runs() == []
        with get_client() as client:
            assert [run.flow_name for run in client.read_flow_runs()] == ["working"]
        assert inner.clock.now() - outer.clock.now() > timedelta(hours=23)


def test_what_was_before_is_there_again(home: Path) -> None:
    working = _called(Flaky(0))
    working()
    environment = dict(os.environ)
    files = sorted(home.rglob("*"))
    with clearway.testing.service():
        working()
        working()
    assert dict(os.environ) == environment
    assert sorted(home.rglob("*")) == files
    with get_client() as client:
        assert len(client.read_flow_runs()) == 1


def test_the_home_of_the_user_is_not_touched(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CLEARWAY_ADDRESS", "127.0.0.1:1")
    monkeypatch.setenv("CLEARWAY_LOCAL_STORAGE_PATH", str(home / "elsewhere"))
    monkeypatch.setenv("CLEARWAY_RESULT_STORAGE", str(home / "results"))
    monkeypatch.setenv("CLEARWAY_RESULT_INLINE_BYTES", "0")
    with clearway.testing.service() as service:
        assert _called(Flaky(2))() == 3
        assert list((service.home / "storage").rglob("*"))
    assert not home.exists()


def test_a_flow_cannot_make_a_service() -> None:
    @flow
    def making() -> None:
        with clearway.testing.service():
            pass

    with clearway.testing.service(), pytest.raises(RuntimeError, match="called in a flow"):
        making()


def test_an_error_of_the_test_is_raised_and_the_files_are_removed() -> None:
    with pytest.raises(ZeroDivisionError), clearway.testing.service() as service:  # noqa: PT012
        home = service.home
        raise ZeroDivisionError
    assert not home.exists()


def _empty_flow_run() -> str:
    @flow
    def empty() -> None:
        """Do nothing."""

    empty()
    return last_flow_run("empty").id


def _hold_slot(session_id: str) -> str:
    proposal = start(_empty_flow_run(), tags=["database"])
    create = task_run_pb2.CreateTaskRunRequest(task_run=proposal.create_task_run)
    run_id: str = connect().call("CreateTaskRun", create).result(SECONDS).task_run.spec.id
    proposal = move(run_id, RUNNING)
    request = proposal_pb2.SetTaskRunStateRequest(
        proposal_id=proposal.id, task_run_id=run_id, state=proposal.state, session_id=session_id
    )
    assert connect().call("SetTaskRunState", request).result(SECONDS).decision.HasField("accept")
    return run_id


def test_the_files_are_on_disk_where_there_is_little_room_in_memory(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr("clearway.testing._service._ROOM", 2**62)
    with clearway.testing.service() as service:
        assert _called(Flaky(0))() == 1
        assert service.home.parent == tmp_path
    assert list(tmp_path.iterdir()) == []
