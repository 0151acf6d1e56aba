"""Runs that wait for each other: the one holds the slot that the other needs."""

from __future__ import annotations

import threading

import pytest

from clearway import TaskFuture, flow, get_client, task
from clearway.exceptions import RunNotFound
from clearway.schemas import TaskRunExplanation, WaitCause
from support.waiting import wait_until

pytestmark = pytest.mark.usefixtures("service")

BUSY = "busy"


def explanation(task_run_id: str) -> TaskRunExplanation | None:
    """Return why a run waits, once it was proposed and its ancestor is named."""
    try:
        with get_client() as client:
            told = client.explain_task_run(task_run_id)
    except RunNotFound:
        return None
    return told if "own ancestor" in told.summary else None


def test_a_run_that_is_held_up_by_its_own_ancestor_says_so() -> None:
    with get_client() as client:
        client.create_concurrency_limit(tag=BUSY, concurrency_limit=1)
    awaited: list[TaskFuture[str]] = []
    begun, submitted = threading.Event(), threading.Event()

    @task(tags=[BUSY])
    def descendant() -> str:
        return "done"

    @task(tags=[BUSY])
    def ancestor() -> str:
        begun.set()
        submitted.wait()
        return awaited[0].result()

    @flow
    def entangled() -> str:
        future = ancestor.submit()
        begun.wait()
        awaited.append(descendant.submit())
        submitted.set()
        told = wait_until(lambda: explanation(awaited[0].task_run_id), "an explanation with the ancestor")
        assert told.cause is WaitCause.LIMIT
        with get_client() as client:
            client.delete_concurrency_limit_by_tag(BUSY)  # which is how an operator sets them free
        assert future.result() == "done"
        return told.summary

    assert "held by its own ancestor ancestor-0" in entangled()
