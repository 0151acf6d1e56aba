"""A program whose progress is shown: the name of a flow is its argument. It goes on at SIGUSR1."""

from __future__ import annotations

import logging
import signal
import sys
import threading
from typing import Any

from clearway import flow, get_client, get_run_logger, task

go_on = threading.Event()


@task
def work(number: int) -> int:
    go_on.wait()
    return number


@task(tags=["narrow"])
def narrow() -> None:
    go_on.wait()


@task(retries=1, retry_delay_seconds=3_600)
def flaky() -> None:
    raise ValueError("bad")


@task(cache_key_fn=lambda _context, _parameters: "the key")
def cached() -> None:
    """Do nothing."""


@task
def fails() -> None:
    raise ValueError("wrong")


@flow(name="states")
def states() -> None:
    with get_client() as client:
        client.create_concurrency_limit(tag="narrow", concurrency_limit=1)
    futures: list[Any] = [work.submit(number) for number in range(3)]
    futures += [narrow.submit() for _ in range(3)]
    work.submit(9, wait_for=futures)
    cached.submit().wait()
    cached.submit().wait()
    fails.submit().wait()


@flow(name="retrying")
def retrying() -> None:
    flaky()


@flow(name="inner")
def inner() -> None:
    work(1)


@flow(name="outer")
def outer() -> None:
    inner()


@flow(name="talking")
def talking() -> None:
    handler = logging.StreamHandler()
    handler.setFormatter(logging.Formatter("mine: %(message)s"))
    other = logging.getLogger("other")
    other.addHandler(handler)
    work.submit(1)
    threading.Event().wait(1)
    for number in range(3):
        print(f"printed {number}")
        print(f"to stderr {number}", file=sys.stderr)
        get_run_logger().info("logged %d", number)
        other.warning("logged elsewhere %d", number)
        threading.Event().wait(0.2)
    answer = input("and now? ")
    print(f"so {answer}")
    print("begun ... ", end="", flush=True)
    threading.Event().wait(0.5)
    print("ended")
    go_on.set()


@flow(name="crowded")
def crowded() -> None:
    together = threading.Barrier(6)

    @task
    def talk(name: int) -> None:
        for number in range(20):
            together.wait()
            print("thread", name, "says", number)
            print("part of", name, number, end=" ")
            together.wait()
            print("whole")

    work.submit(1)
    threading.Event().wait(0.5)  # so that the progress is drawn
    [future.result() for future in talk.map(range(6))]
    print("the last", end="")
    go_on.set()


@flow(name="short")
def short() -> str:
    return "done"


@flow(name="failing")
def failing() -> None:
    work(1)
    raise ValueError("at last")


if __name__ == "__main__":
    signal.signal(signal.SIGUSR1, lambda *_: go_on.set())
    globals()[sys.argv[1]]()
    sys.stdout.write(f"rich was {'' if 'rich' in sys.modules else 'not '}loaded\n")
    sys.stdout.flush()
