from __future__ import annotations

import asyncio
import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from clearway._transport.current import connect
from clearway.client import AsyncClient, SyncClient, get_client
from clearway.exceptions import InvalidArgument, LimitNotFound, RunNotFound, ServerUnavailable
from clearway.results import get_store
from clearway.states import StateType
from integration.sdk_messages import complete_task, create_flow_run, start_task

pytestmark = pytest.mark.usefixtures("service")


def test_a_limit_is_created_read_listed_and_deleted() -> None:
    with get_client() as client:
        limit_id = client.create_concurrency_limit(tag="small_instance", concurrency_limit=10)
        limit = client.read_concurrency_limit_by_tag(tag="small_instance")
        assert (limit.id, limit.tag, limit.concurrency_limit) == (limit_id, "small_instance", 10)
        assert (limit.active_slots, limit.waiting) == ((), 0)
        assert uuid.UUID(limit_id)
        assert limit in client.read_concurrency_limits()
        client.delete_concurrency_limit_by_tag(tag="small_instance")
        with pytest.raises(LimitNotFound, match="small_instance"):
            client.read_concurrency_limit_by_tag("small_instance")


async def test_the_same_can_be_awaited() -> None:
    async with get_client() as client:
        limit_id = await client.create_concurrency_limit(tag="awaited", concurrency_limit=10)
        limit = await client.read_concurrency_limit_by_tag(tag="awaited")
        assert limit.id == limit_id
        assert limit in await client.read_concurrency_limits(limit=10, offset=0)
        await client.delete_concurrency_limit_by_tag(tag="awaited")
        with pytest.raises(LimitNotFound):
            await client.delete_concurrency_limit_by_tag(tag="awaited")


async def test_many_calls_may_be_under_way_at_once() -> None:
    async with get_client() as client:
        await asyncio.gather(*(client.create_concurrency_limit(f"gather-{n}", n) for n in range(50)))
        found = await asyncio.gather(
            *(client.read_concurrency_limit_by_tag(f"gather-{n}") for n in range(50))
        )
        assert [limit.concurrency_limit for limit in found] == list(range(50))


def test_creating_a_limit_again_changes_it() -> None:
    with get_client() as client:
        first = client.create_concurrency_limit("again", 1)
        assert client.create_concurrency_limit("again", 2) == first
        assert client.read_concurrency_limit_by_tag("again").concurrency_limit == 2


@pytest.mark.parametrize("name", ["create_concurrency_limit", "read_flow_runs", "explain_task_run"])
def test_a_client_that_was_not_entered_says_how(name: str) -> None:
    with pytest.raises(AttributeError, match=rf"(?s)enter it first: `with .*client\.{name}\(.*`async with"):
        getattr(get_client(), name)


def test_a_client_that_was_not_entered_has_nothing_else() -> None:
    with pytest.raises(AttributeError, match="'Client' object has no attribute 'create_limit'"):
        get_client().create_limit  # type: ignore[attr-defined]  # noqa: B018


@pytest.mark.parametrize(
    ("tag", "number"), [("", 1), ("x" * 256, 1), ("a\nb", 1), ("ok", -1), ("ok", 1_000_001)]
)
def test_a_wrong_limit_is_refused_by_the_service(tag: str, number: int) -> None:
    with get_client() as client, pytest.raises(InvalidArgument) as caught:
        client.create_concurrency_limit(tag, number)
    assert caught.value.field in {"tag", "limit"}


def test_who_holds_a_slot_is_seen() -> None:
    transport = connect()
    with get_client() as client:
        client.create_concurrency_limit("held", 1)
        proposal = start_task(create_flow_run(transport), 1, "held")
        transport.propose(proposal).result(30)
        assert client.read_concurrency_limit_by_tag("held").active_slots == (proposal.create_task_run.id,)


def test_runs_and_their_histories_are_read() -> None:
    transport = connect()
    flow_run_id = create_flow_run(transport)
    began = datetime.now(UTC)
    task_runs = [
        transport.propose(start_task(flow_run_id, n, "b", "a", name=f"load-{n}")).result(30).run_id
        for n in range(5)
    ]
    done = complete_task(task_runs[0])
    done.state.data.CopyFrom(get_store().store([1, "two"]))
    transport.propose(done).result(30)
    with get_client() as client:
        flow_run = client.read_flow_run(flow_run_id)
        assert (flow_run.flow_name, flow_run.state.name, flow_run.run_count) == ("flow", "Running", 1)
        assert flow_run.end_time is None
        assert flow_run_id in [run.id for run in client.read_flow_runs(flow_names=["flow"], limit=None)]
        assert [state.name for state in client.read_flow_run_states(flow_run_id)] == ["Pending", "Running"]

        task_run = client.read_task_run(task_runs[0])
        assert (task_run.flow_run_id, task_run.name, task_run.tags) == (flow_run_id, "load-0", ("a", "b"))
        assert task_run.state.result() == [1, "two"]
        assert task_run.state.details.task_run_id == task_run.id
        assert task_run.start_time is not None
        assert abs(task_run.start_time - began) < timedelta(minutes=1)
        assert [state.type for state in client.read_task_run_states(task_runs[0])] == [
            StateType.RUNNING,
            StateType.COMPLETED,
        ]
        listed = client.read_task_runs(flow_run_id=flow_run_id)
        assert [run.id for run in listed] == task_runs[::-1]
        assert len(client.read_task_runs(flow_run_id=flow_run_id, limit=2)) == 2
        running = client.read_task_runs(flow_run_id=flow_run_id, state_types=[StateType.RUNNING])
        assert {run.id for run in running} == set(task_runs[1:])
        assert [run.name for run in client.read_task_runs(flow_run_id=flow_run_id, name_contains="D-3")] == [
            "load-3"
        ]
        assert client.read_task_runs(flow_run_id=flow_run_id, created_before=began - timedelta(hours=1)) == []


def test_more_runs_than_a_page_holds_are_all_listed() -> None:
    transport = connect()
    flow_run_id = create_flow_run(transport)
    futures = [transport.propose(start_task(flow_run_id, number)) for number in range(2_100)]
    ids = [future.result(30).run_id for future in futures]
    with get_client() as client:
        found = client.read_task_runs(flow_run_id=flow_run_id, limit=None)
    assert sorted(run.id for run in found) == sorted(ids)


@pytest.mark.parametrize(
    ("call", "error"),
    [
        (lambda client: client.read_flow_run(str(uuid.uuid4())), RunNotFound),
        (lambda client: client.read_task_run(str(uuid.uuid4())), RunNotFound),
        (lambda client: client.read_flow_run_states(str(uuid.uuid4())), RunNotFound),
        (lambda client: client.read_task_run_states(str(uuid.uuid4())), RunNotFound),
        (lambda client: client.read_flow_run("not a uuid"), InvalidArgument),
        (lambda client: client.delete_concurrency_limit_by_tag("no such tag"), LimitNotFound),
        (lambda client: client.lookup_cache(""), InvalidArgument),
    ],
)
def test_what_is_wrong_is_the_sdks_exception(call: Any, error: type[Exception]) -> None:
    with get_client() as client, pytest.raises(error):
        call(client)


def test_a_cache_entry_is_looked_up() -> None:
    transport = connect()
    proposal = start_task(create_flow_run(transport), 1)
    transport.propose(proposal).result(30)
    done = complete_task(proposal.create_task_run.id)
    done.state.cache_key = "the key"
    done.state.cache_expiration.FromTimedelta(timedelta(hours=1))
    done.state.data.CopyFrom(get_store().store(42))
    transport.propose(done).result(30)
    with get_client() as client:
        entry = client.lookup_cache("the key")
        assert entry is not None
        assert entry.state.result() == 42
        assert entry.expires is not None
        assert entry.expires - entry.created == timedelta(hours=1)
        assert client.lookup_cache("another key") is None


def test_both_clients_offer_the_same_and_document_it() -> None:
    offered = [name for name in vars(SyncClient) if not name.startswith("_")]
    assert offered == [name for name in vars(AsyncClient) if not name.startswith("_")]
    with get_client() as client:
        for name in offered:
            method = getattr(client, name)
            assert method.__name__ == name
            assert method.__doc__ == getattr(AsyncClient, name).__doc__ != ""


def test_an_error_in_the_block_is_the_callers() -> None:
    with pytest.raises(ZeroDivisionError), get_client():
        raise ZeroDivisionError


def test_a_server_that_is_not_there_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CLEARWAY_ADDRESS", "127.0.0.1:1")
    with get_client() as client, pytest.raises(ServerUnavailable, match=r"127\.0\.0\.1:1"):
        client.read_concurrency_limits()
