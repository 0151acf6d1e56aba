"""A program whose flow needs its server: how is its argument. Its tasks go on at SIGUSR1."""

from __future__ import annotations

import signal
import sys
import threading

from clearway import flow, get_client, task

go_on = threading.Event()


@task
def once_more() -> None:
    print("ready", flush=True)
    while not go_on.wait(0.05):  # so that a signal finds the main thread in Python
        pass


@task(tags=["narrow"])
def narrow() -> None:
    while not go_on.wait(0.05):
        pass


@flow
def once() -> None:
    once_more()


@flow
def slots() -> None:
    with get_client() as client:
        client.create_concurrency_limit(tag="narrow", concurrency_limit=1)
    for future in [narrow.submit() for _ in range(3)]:
        future.result()


if __name__ == "__main__":
    signal.signal(signal.SIGUSR1, lambda *_: go_on.set())
    globals()[sys.argv[1]]()
    print("done")
