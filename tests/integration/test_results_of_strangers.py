"""What a client says about results opens and deletes nothing but results, on a real server with its files."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path

import pytest
from alembic.command import downgrade
from alembic.config import Config
from google.protobuf.duration_pb2 import Duration
from grpc import StatusCode

from clearway.v1.cache_pb2 import CacheFilter, InvalidateCacheRequest
from clearway.v1.proposal_pb2 import SetTaskRunStateRequest
from clearway.v1.result_pb2 import (
    DownloadResultRequest,
    DropOrphanedResultsRequest,
    ListOrphanedResultsRequest,
    OrphanedResult,
    UploadResultRequest,
)
from clearway.v1.state_pb2 import STATE_TYPE_COMPLETED, Data, ProposedState
from clearway_service.store import migrations
from clearway_service.store.database import Database
from support.client import Client
from support.proposals import RUNNING, create_flow, create_task, move, new_id, start
from support.server import Server

AT_ONCE = Duration(seconds=0)
BODY = b"a result" * 10_000
DIGEST = sha256(BODY).hexdigest()


@pytest.fixture
def client(server: Server) -> Iterator[Client]:
    with Client(server.address) as client:
        yield client


def completed(location: str, digest: str = DIGEST, key: str = "") -> ProposedState:
    data = Data(encoding="json", location=location, sha256=digest, size_bytes=len(BODY))
    return ProposedState(type=STATE_TYPE_COMPLETED, data=data, cache_key=key)


def complete(client: Client, state: ProposedState) -> str:
    """Complete a task run; return the id of its state."""
    run = create_task(client, create_flow(client).spec.id).spec.id
    client.stub.SetTaskRunState(SetTaskRunStateRequest(task_run_id=run, state=RUNNING))
    answer = client.stub.SetTaskRunState(SetTaskRunStateRequest(task_run_id=run, state=state))
    assert answer.decision.HasField("accept")
    return str(answer.decision.state.id)


def upload(client: Client, body: bytes = BODY) -> str:
    digest = sha256(body).hexdigest()
    request = UploadResultRequest(upload_id=new_id(), sha256=digest, size_bytes=len(body), chunk=body)
    return str(client.stub.UploadResult(request).location)


def end_entries(client: Client) -> None:
    client.stub.InvalidateCache(InvalidateCacheRequest(all=True))


def listed(client: Client) -> list[OrphanedResult]:
    return list(client.stub.ListOrphanedResults(ListOrphanedResultsRequest(older_than=AT_ONCE)).results)


def drop(client: Client, *state_ids: str) -> list[OrphanedResult]:
    request = DropOrphanedResultsRequest(state_ids=state_ids, older_than=AT_ONCE)
    return list(client.stub.DropOrphanedResults(request).results)


def is_kept(client: Client) -> bool:
    return client.stub.DownloadResult(DownloadResultRequest(location=f"service://{DIGEST}")).chunk == BODY


def stolen(server: Server) -> list[str]:
    """Return locations by which a client might reach the server's own database."""
    return [
        f"service://{server.database}",
        f"service://../../{server.database.name}",
        f"service://{server.database}/",
        str(server.database),
        f"file://{server.database}",
    ]


def test_a_location_that_is_no_result_is_refused_on_each_way_in(server: Server, client: Client) -> None:
    run = create_task(client, create_flow(client).spec.id).spec.id
    client.stub.SetTaskRunState(SetTaskRunStateRequest(task_run_id=run, state=RUNNING))
    stream = client.open()
    for location in stolen(server):
        state = completed(location, key="key")
        failure = client.fails("SetTaskRunState", SetTaskRunStateRequest(task_run_id=run, state=state))
        assert (failure.code, failure.fields) == (StatusCode.INVALID_ARGUMENT, ("state.data.location",))
        assert "it must be `service://SHA256` or ROOT/XX/SHA256" in failure.message
        error = stream.decide(move(run, state)).error
        assert (error.field, error.message) == ("state.data.location", failure.message)
    state = completed(f"service://{DIGEST}", digest="", key="key")
    failure = client.fails("SetTaskRunState", SetTaskRunStateRequest(task_run_id=run, state=state))
    assert failure.fields == ("state.data.sha256",)
    assert server.database.exists()


@contextlib.contextmanager
def an_earlier_version(database: Path) -> Iterator[sqlite3.Connection]:
    """Yield a connection to a database as an earlier version left it, for what it would have written."""
    config = Config()
    config.set_main_option("script_location", str(Path(migrations.__file__).parent))
    with contextlib.closing(Database(database)) as opened, opened.turn(), opened.writer.begin():
        config.attributes["connection"] = opened.writer
        downgrade(config, "0002")
    with contextlib.closing(sqlite3.connect(database)) as connection:
        yield connection
        connection.commit()


def write_state(connection: sqlite3.Connection, data: Data, key: str = "ended") -> str:
    state_id = new_id()
    row = (
        state_id,
        "task",
        new_id(),
        1,
        4,
        "Completed",
        1,
        "",
        data.SerializeToString(),
        None,
        key,
        None,
        1,
        "",
    )
    connection.execute(f"INSERT INTO state VALUES ({', '.join('?' * len(row))})", row)
    return state_id


def test_what_an_earlier_version_took_is_listed_and_left_alone(tmp_path: Path) -> None:
    server = Server(tmp_path / "server.db")
    victim = tmp_path / "id_rsa"
    victim.write_text("secret")
    odd = [*stolen(server), str(victim), f"file://{victim}", "https://example.com/delete?all=1"]
    written: dict[str, tuple[str, str]] = {}
    with an_earlier_version(server.database) as connection:
        for location in odd:
            state_id = write_state(connection, Data(encoding="json", location=location, size_bytes=6))
            written[state_id] = (location, "")
        for location in (f"/srv/../{DIGEST}", f"/srv/results/{DIGEST}.json"):
            data = Data(encoding="json", location=location, size_bytes=6, sha256=DIGEST)
            written[write_state(connection, data)] = (location, DIGEST)
        proper = Data(encoding="json", location=f"/srv/{'ab' * 1}/{'ab' * 32}", sha256="ab" * 32)
        dropped = write_state(connection, proper)
        write_state(connection, Data(encoding="json", inline=b"1"))
        uncached = Data(encoding="json", location="/somewhere/else")
        write_state(connection, uncached, key="")
        write_state(connection, uncached)
    with server, Client(server.address) as client:
        found = {result.state_id: (result.location, result.sha256) for result in listed(client)}
        assert found == written | {dropped: (proper.location, "ab" * 32)}
        assert [result.state_id for result in drop(client, *found)] == [dropped]
        assert {result.state_id for result in listed(client)} == written.keys()
    assert victim.read_text() == "secret"
    assert server.database.exists()


class TestAliases:
    """One result under several spellings is one result."""

    @pytest.mark.parametrize(
        "location", [f"/srv/{DIGEST[:2]}/{DIGEST}", f"s3://bucket/{DIGEST[:2]}/{DIGEST}"]
    )
    def test_a_run_that_refers_to_it_by_another_location_keeps_it(
        self, client: Client, location: str
    ) -> None:
        state_id = complete(client, completed(upload(client), key="key"))
        complete(client, completed(location))
        end_entries(client)
        assert listed(client) == []
        assert drop(client, state_id) == []
        assert is_kept(client)

    def test_so_does_a_cache_entry(self, client: Client) -> None:
        state_id = complete(client, completed(upload(client), key="ended"))
        complete(client, completed(f"/srv/{DIGEST[:2]}/{DIGEST}", key="other"))
        end = InvalidateCacheRequest(filter=CacheFilter(key="ended"))
        client.stub.InvalidateCache(end)
        assert drop(client, state_id) == []
        assert is_kept(client)
        end_entries(client)
        ids = [result.state_id for result in listed(client)]
        assert len(ids) == 2
        assert state_id in ids
        assert len(drop(client, ids[0])) == 1
        assert is_kept(client)  # the other one still refers to it
        assert len(drop(client, ids[1])) == 1
        assert (
            client.fails("DownloadResult", DownloadResultRequest(location=f"service://{DIGEST}")).code
            is StatusCode.NOT_FOUND
        )

    def test_a_run_that_was_served_from_the_cache_keeps_it_while_it_is_young(self, client: Client) -> None:
        location = upload(client)
        complete(client, completed(location, key="key"))
        run = create_task(client, create_flow(client).spec.id).spec.id
        wanted = ProposedState(type=RUNNING.type, cache_key="key")
        hit = client.stub.SetTaskRunState(SetTaskRunStateRequest(task_run_id=run, state=wanted))
        assert hit.decision.state.data.location == location
        end_entries(client)
        day = Duration(seconds=24 * 3600)
        assert not client.stub.ListOrphanedResults(ListOrphanedResultsRequest(older_than=day)).results
        assert [result.location for result in listed(client)] == [location]


def test_one_that_is_no_longer_referred_to_is_deleted_and_nothing_else(
    server: Server, client: Client
) -> None:
    other = upload(client, b"another" * 10_000)
    state_id = complete(client, completed(upload(client), key="key"))
    end_entries(client)
    (result,) = listed(client)
    assert (result.state_id, result.sha256, result.cache_key) == (state_id, DIGEST, "key")
    assert drop(client, state_id, new_id()) == [result]
    assert listed(client) == drop(client, state_id) == []
    folder = server.database.with_name("server.db-results")
    assert [path.name for path in folder.rglob("*") if path.is_file()] == [other.removeprefix("service://")]


def test_one_that_cannot_be_deleted_remains_listed(server: Server, client: Client) -> None:
    state_id = complete(client, completed(upload(client), key="key"))
    end_entries(client)
    shard = server.database.with_name("server.db-results") / DIGEST[:2]
    elsewhere = shard.rename(shard.with_name("elsewhere"))
    shard.symlink_to(elsewhere)
    request = DropOrphanedResultsRequest(state_ids=[state_id], older_than=AT_ONCE)
    failure = client.fails("DropOrphanedResults", request)
    assert (failure.code, failure.reason) == (StatusCode.UNAVAILABLE, "ERROR_REASON_STORE_UNAVAILABLE")
    assert (elsewhere / DIGEST).read_bytes() == BODY
    assert [result.state_id for result in listed(client)] == [state_id]
    shard.unlink()
    elsewhere.rename(shard)
    assert [result.state_id for result in drop(client, state_id)] == [state_id]
    assert not (shard / DIGEST).exists()


def test_one_that_was_uploaded_again_meanwhile_remains_listed(server: Server, client: Client) -> None:
    state_id = complete(client, completed(upload(client), key="key"))
    end_entries(client)
    # As if the run had been an hour ago, and the upload just now.
    with contextlib.closing(sqlite3.connect(server.database, timeout=30)) as connection, connection:
        connection.execute("UPDATE stored_result SET created = 1, referred = 1")
    request = DropOrphanedResultsRequest(state_ids=[state_id], older_than=Duration(seconds=3_600))
    assert not client.stub.DropOrphanedResults(request).results
    assert [result.state_id for result in listed(client)] == [state_id]
    assert is_kept(client)


def test_pages_are_complete_ordered_and_small(client: Client) -> None:
    flow = create_flow(client).spec.id
    stream = client.open()
    made: list[str] = []
    for number in range(1_500):
        digest = sha256(str(number).encode()).hexdigest()
        location = f"/{'d' * 1_900}/{digest[:2]}/{digest}"
        run = new_id()
        made.append(location)
        begun = start(flow, id=run)
        stream.propose(begun, move(run, completed(location, digest, key=f"k{number}")))
    assert stream.say_goodbye().code is StatusCode.OK
    end_entries(client)
    found: list[str] = []
    token, pages = "", 0
    while token or not pages:
        request = ListOrphanedResultsRequest(older_than=AT_ONCE, page_size=1_000, page_token=token)
        page = client.stub.ListOrphanedResults(request)
        assert page.ByteSize() <= 2 * 1024 * 1024 + 100
        found += [result.location for result in page.results]
        token, pages = page.next_page_token, pages + 1
    assert pages == 2
    assert sorted(found) == sorted(made)
    first = client.stub.ListOrphanedResults(ListOrphanedResultsRequest(older_than=AT_ONCE, page_size=3))
    assert [result.location for result in first.results] == found[:3]
    created = [result.create_time.ToNanoseconds() for result in first.results]
    assert created == sorted(created)
    other = ListOrphanedResultsRequest(older_than=Duration(seconds=1), page_token=first.next_page_token)
    failure = client.fails("ListOrphanedResults", other)
    assert (failure.code, failure.fields) == (StatusCode.INVALID_ARGUMENT, ("page_token",))
    # A page that ends with the last result says so.
    rest = ListOrphanedResultsRequest(older_than=AT_ONCE, page_size=1_000, page_token=first.next_page_token)
    drop(client, *[result.state_id for result in client.stub.ListOrphanedResults(rest).results])
    last = client.stub.ListOrphanedResults(
        ListOrphanedResultsRequest(older_than=AT_ONCE, page_size=1_000, page_token=first.next_page_token)
    )
    assert last.next_page_token == ""
