from __future__ import annotations

import threading
from functools import partial

from clearway._execution.loops import LoopThread
from clearway._execution.threads import Threads, get_threads

SECONDS = 30


def test_all_work_is_done_once() -> None:
    threads = Threads("test")
    done: list[int] = []
    last = threading.Semaphore(0)

    def work(number: int) -> None:
        done.append(number)
        last.release()

    for number in range(1_000):
        threads.submit(partial(work, number))
    for _ in range(1_000):
        assert last.acquire(timeout=SECONDS)
    assert sorted(done) == list(range(1_000))


def _meet(at: threading.Barrier) -> None:
    at.wait(SECONDS)


def test_work_that_blocks_gets_a_thread_each() -> None:
    threads = Threads("test")
    meet = threading.Barrier(21)
    for _ in range(20):
        threads.submit(partial(_meet, meet))
    meet.wait(SECONDS)


def test_threads_are_used_again() -> None:
    threads = Threads("test")
    names: set[str] = set()
    for _ in range(50):
        done = threading.Event()

        def work(done: threading.Event = done) -> None:
            names.add(threading.current_thread().name)
            done.set()

        threads.submit(work)
        assert done.wait(SECONDS)
    assert len(names) < 50


def test_threads_are_daemons_with_a_name() -> None:
    found: list[threading.Thread] = []
    done = threading.Event()

    def work() -> None:
        found.append(threading.current_thread())
        done.set()

    get_threads().submit(work)
    assert done.wait(SECONDS)
    assert found[0].daemon
    assert found[0].name.startswith("clearway-worker-")


def test_a_loop_thread_runs_coroutines_until_it_is_closed() -> None:
    import asyncio  # noqa: PLC0415

    async def answer() -> int:
        return 42

    beside = LoopThread("beside")
    assert beside.submit(answer()).result(SECONDS) == 42
    forever = beside.submit(asyncio.sleep(3_600))
    beside.close(SECONDS)
    assert forever.cancelled()
