"""What the cache holds: listed, counted, invalidated, and swept when it has expired."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from clearway import flow, get_client, tags, task
from clearway.exceptions import InvalidArgument
from clearway.schemas import CacheEntry
from integration.sdk_runs import last_flow_run
from support.proposals import new_id
from support.waiting import wait_until

pytestmark = pytest.mark.usefixtures("service")


@pytest.fixture
def prefix() -> str:
    """Return what only this test's keys begin with."""
    return f"{new_id()}-"


def fill(
    prefix: str, *names: str, tag: str = "", expires: timedelta | None = None, name: str = "keyed"
) -> None:
    """Let runs of a task write entries, or be served from them."""

    @task(name=name, cache_key_fn=lambda _context, given: prefix + given["which"], cache_expiration=expires)
    def keyed(which: str) -> str:
        return which

    @flow
    def filling() -> list[str]:
        with tags(*([tag] if tag else [])):
            return [keyed(which) for which in names]

    assert filling() == list(names)


def listed(**wanted: Any) -> list[str]:
    with get_client() as client:
        return [entry.key for entry in client.read_cache_entries(**wanted)]


def entry_of(key: str) -> CacheEntry:
    with get_client() as client:
        (found,) = client.read_cache_entries(key=key)
    return found


def test_an_entry_says_who_wrote_it_and_whom_it_served(prefix: str) -> None:
    fill(prefix, "a", tag="some-tag")
    flow_run = last_flow_run("filling")
    before = entry_of(prefix + "a")
    assert (before.hits, before.last_hit, before.task_name) == (0, None, "keyed")
    assert (before.task_run_name, before.flow_run_id) == ("keyed-0", flow_run.id)
    assert before.tags == {"some-tag"}
    assert before.size == len('"a"')
    fill(prefix, "a", "a", "a")
    after = entry_of(prefix + "a")
    assert after.hits == 3
    assert after.last_hit is not None
    assert after.created <= after.last_hit
    assert (after.created, after.task_run_id) == (before.created, before.task_run_id)


def test_entries_are_found_by_prefix_task_tag_and_age(prefix: str) -> None:
    fill(prefix, "a1", "a2", "B1", tag=f"{prefix}one", name=f"{prefix}task")
    fill(prefix, "a3", expires=timedelta(hours=1))
    assert listed(key_prefix=prefix) == [prefix + name for name in ("a3", "B1", "a2", "a1")]
    assert listed(key_prefix=prefix + "a") == [prefix + name for name in ("a3", "a2", "a1")]
    assert listed(key_prefix=prefix + "b") == []
    assert listed(task=f"{prefix}task", limit=2) == [prefix + name for name in ("B1", "a2")]
    assert listed(task=entry_of(prefix + "a1").task_key, key_prefix=prefix) == listed(tags=[f"{prefix}one"])
    written = entry_of(prefix + "a3").created
    assert listed(key_prefix=prefix, created_after=written) == [prefix + "a3"]
    assert listed(key_prefix=prefix, created_before=written) == [prefix + name for name in ("B1", "a2", "a1")]
    assert listed(key_prefix=prefix, older_than=timedelta(hours=1)) == []
    assert len(listed(key_prefix=prefix, older_than=timedelta(0))) == 4
    assert listed(key_prefix=prefix, expired=True) == []
    assert len(listed(key_prefix=prefix, created_before=datetime(2020, 1, 1, tzinfo=UTC))) == 0


def test_what_is_invalidated_is_computed_again(prefix: str) -> None:
    fill(prefix, "a1", "a2", "b1")
    with get_client() as client:
        assert client.invalidate_cache(key_prefix=prefix + "a", dry_run=True) == 2
        assert len(listed(key_prefix=prefix)) == 3
        assert client.invalidate_cache(key_prefix=prefix + "a") == 2
        assert client.invalidate_cache(key_prefix=prefix + "a") == 0
        assert client.lookup_cache(prefix + "a1") is None
        assert client.lookup_cache(prefix + "b1") is not None
    fill(prefix, "a1", "b1")
    assert (entry_of(prefix + "a1").hits, entry_of(prefix + "b1").hits) == (0, 1)


def test_many_are_invalidated(prefix: str) -> None:
    fill(prefix, *map(str, range(1_100)))
    with get_client() as client:
        assert client.invalidate_cache(key_prefix=prefix) == 1_100
    assert listed(key_prefix=prefix) == []


def test_nothing_is_not_everything() -> None:
    with get_client() as client:
        with pytest.raises(InvalidArgument, match=r"filter is not set"):
            client.invalidate_cache()
        with pytest.raises(InvalidArgument, match=r"filter and all are both set"):
            client.invalidate_cache(key="key", all=True)
        everything = client.read_cache_stats().total.entries
        assert client.invalidate_cache(all=True, dry_run=True) == everything


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        ({"tags": "nightly"}, r"tags is the string 'nightly'; give a list"),
        ({"tags": ["nightly", 1]}, "the tag 1 is of type int"),
        (
            {"created_before": datetime.fromisoformat("2026-01-31")},
            r"created_before is .*; it must have a time zone",
        ),
        ({"created_after": "yesterday"}, "created_after is 'yesterday'; it must be a datetime"),
        ({"older_than": 5}, "older_than is 5; it must be a timedelta"),
        ({"key": 5}, "key is 5; it must be a string"),
    ],
)
def test_a_wrong_filter_is_told_and_removes_nothing(given: dict[str, Any], problem: str, prefix: str) -> None:
    fill(prefix, "a")
    with get_client() as client:
        with pytest.raises((TypeError, ValueError), match=problem):
            client.invalidate_cache(**given)
        with pytest.raises((TypeError, ValueError), match=problem):
            client.read_cache_entries(**given)
        assert len(client.read_cache_entries(key_prefix=prefix)) == 1


def test_sums_are_by_task(prefix: str) -> None:
    fill(prefix, "a", "b", "a", name=f"{prefix}task")
    with get_client() as client:
        found = client.read_cache_stats()
    (mine,) = (stats for stats in found.tasks if stats.task_name == f"{prefix}task")
    assert (mine.entries, mine.hits, mine.expired, mine.size) == (2, 1, 0, 6)
    assert mine.oldest is not None
    assert mine.newest is not None
    assert mine.oldest <= mine.newest
    assert found.total.entries >= 2
    assert (found.computing, found.waiting) == (0, 0)


def test_expired_entries_are_swept(prefix: str, monkeypatch: pytest.MonkeyPatch) -> None:
    # The embedded engine's; the server's leases are not this test's to set.
    monkeypatch.setenv("CLEARWAY_LEASE_SECONDS", "1")
    monkeypatch.delenv("CLEARWAY_ADDRESS", raising=False)
    fill(prefix, "gone", expires=timedelta(microseconds=1))
    fill(prefix, "kept")
    wait_until(lambda: listed(key_prefix=prefix) == [prefix + "kept"], "the sweep")


async def test_an_async_client_does_the_same(prefix: str) -> None:
    async with get_client() as client:
        assert await client.read_cache_entries(key_prefix=prefix) == []
        assert await client.invalidate_cache(key_prefix=prefix) == 0
        assert (await client.read_cache_stats()).waiting == 0
