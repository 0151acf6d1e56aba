"""Concurrency limits by tag, as the tasks themselves see them."""

from __future__ import annotations

import asyncio
import itertools
import threading
from typing import Any

import pytest

from clearway import flow, get_client, tags, task
from clearway.exceptions import Aborted
from integration.sdk_runs import SECONDS, set_limit, slots, task_runs

pytestmark = pytest.mark.usefixtures("service")

_numbers = itertools.count()


def new_tag(limit: int) -> str:
    """Return a tag with a limit, which no other test has."""
    tag = f"limited-{next(_numbers)}"
    set_limit(tag, limit)
    return tag


class Gauge:
    """Counts who is in a block at once."""

    def __init__(self) -> None:
        self.most = 0
        self._now = 0
        self._lock = threading.Lock()

    def __enter__(self) -> None:
        with self._lock:
            self._now += 1
            self.most = max(self.most, self._now)

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._now -= 1


def test_never_more_run_at_once_than_the_limit() -> None:
    gauge, pause = Gauge(), threading.Event()
    tag = new_tag(3)

    @task(tags=[tag])
    def work(number: int) -> int:
        with gauge:
            pause.wait(0.005)
        return number

    @flow
    def working() -> list[int]:
        return [future.result() for future in work.map(range(60))]

    assert working() == list(range(60))
    assert gauge.most == 3
    assert slots(tag) == ()


def test_a_run_needs_a_slot_of_each_of_its_tags() -> None:
    one, two = Gauge(), Gauge()
    first, second = new_tag(1), new_tag(2)
    pause = threading.Event()

    @task
    def work(gauges: list[Gauge]) -> None:
        if len(gauges) == 2:
            with gauges[0], gauges[1]:
                pause.wait(0.005)
        else:
            with gauges[0]:
                pause.wait(0.005)

    @flow
    def working() -> None:
        for _ in range(5):
            with tags(first, second):
                work.submit([one, two])
            with tags(second):
                work.submit([two])

    working()
    assert (one.most, two.most) == (1, 2)


def test_a_full_tag_does_not_keep_other_tasks_from_starting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CLEARWAY_MAX_THREADS", "2")
    tag = new_tag(1)
    go = threading.Event()

    @task(tags=[tag])
    def limited() -> None:
        go.wait(SECONDS)

    @task
    def free() -> str:
        return "free"

    @flow
    def working() -> None:
        waiting = [limited.submit() for _ in range(20)]
        assert free.submit().result(timeout=SECONDS) == "free"
        assert not any(future.is_done() for future in waiting)
        go.set()

    working()
    assert {run.state.name for run in task_runs("working").values()} == {"Completed"}


def test_runs_that_wait_for_a_slot_are_not_running() -> None:
    tag = new_tag(1)
    started, go = threading.Event(), threading.Event()

    @task(tags=[tag])
    def limited() -> None:
        started.set()
        go.wait(SECONDS)

    @flow
    def working() -> None:
        futures = [limited.submit() for _ in range(5)]
        started.wait(SECONDS)
        with get_client() as client:
            while client.read_concurrency_limit_by_tag(tag).waiting < 4:
                pass
        states = sorted(future.get_state().name for future in futures)
        assert states == ["Pending"] * 4 + ["Running"]
        assert len(slots(tag)) == 1
        go.set()

    working()


def test_a_direct_call_waits_for_its_slot() -> None:
    tag = new_tag(1)
    started, go = threading.Event(), threading.Event()
    order = []

    @task(tags=[tag])
    def holder() -> None:
        started.set()
        go.wait(SECONDS)
        order.append("holder")

    @task(tags=[tag])
    def direct() -> None:
        order.append("direct")

    @flow
    def working() -> None:
        holder.submit()
        started.wait(SECONDS)
        release = threading.Timer(0.05, go.set)
        release.start()
        direct()
        release.join()

    working()
    assert order == ["holder", "direct"]


@pytest.mark.parametrize("submitted", [False, True])
def test_a_limit_of_0_aborts(submitted: bool) -> None:
    tag = new_tag(0)

    @task(tags=[tag])
    def never() -> int:
        raise AssertionError

    @flow
    def aborted() -> int:
        return never.submit().result() if submitted else never()

    with pytest.raises(Aborted, match=f"'never-0' must not run: .*{tag}"):
        aborted()
    assert task_runs("aborted")["never-0"].state.type.name == "PENDING"


def test_a_cached_run_needs_no_slot() -> None:
    tag = new_tag(1)
    key = f"{tag}-key"

    @task(cache_key_fn=lambda _context, _parameters: key)
    def value() -> int:
        return 1

    @task(tags=[tag], cache_key_fn=lambda _context, _parameters: key)
    def cached() -> int:
        raise AssertionError

    @task(tags=[tag])
    def holder() -> Any:
        started.set()
        go.wait(SECONDS)

    started, go = threading.Event(), threading.Event()

    @flow
    def working() -> int:
        value()
        holder.submit()
        started.wait(SECONDS)
        result = cached.submit().result(timeout=SECONDS)
        go.set()
        return result

    assert working() == 1


def test_a_run_that_awaits_its_retry_holds_no_slot() -> None:
    tag = new_tag(1)
    order: list[str] = []

    @task(tags=[tag], retries=1, retry_delay_seconds=0.2)
    def flaky() -> None:
        order.append("flaky")
        if order.count("flaky") < 2:
            raise ValueError("bad")

    @task(tags=[tag])
    def other() -> None:
        order.append("other")

    @flow
    def working() -> None:
        first = flaky.submit()
        other.submit()
        first.result()

    working()
    assert order == ["flaky", "other", "flaky"]


def test_a_subflow_s_tasks_need_slots_and_its_tracking_run_does_not() -> None:
    tag = new_tag(1)

    @task
    def work() -> int:
        return 1

    @flow
    def child() -> int:
        return work()

    @flow
    def parent() -> int:
        with tags(tag):
            return child()

    assert parent() == 1


async def test_async_tasks_are_limited_too() -> None:
    gauge = Gauge()
    tag = new_tag(2)

    @task(tags=[tag])
    async def work() -> None:
        with gauge:
            await asyncio.sleep(0.005)

    @flow
    async def working() -> None:
        futures = [await work.submit() for _ in range(10)]
        await asyncio.gather(*[work() for _ in range(10)])
        for future in futures:
            await future.result()

    await working()
    assert gauge.most == 2
