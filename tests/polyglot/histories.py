"""What the server remembers of the runs with a tag, and what follows from that."""

from __future__ import annotations

from collections.abc import Iterator

from clearway.v1.state_pb2 import STATE_TYPE_RUNNING, State
from clearway.v1.task_run_pb2 import (
    ListTaskRunsRequest,
    ListTaskRunStatesRequest,
    TaskRun,
    TaskRunFilter,
)
from support.client import Client
from support.limits import get_limit


def runs(client: Client, tag: str) -> Iterator[TaskRun]:
    """Yield all task runs with a tag, the newest first."""
    token = ""
    while True:
        request = ListTaskRunsRequest(filter=TaskRunFilter(tags=[tag]), page_size=1000, page_token=token)
        page = client.stub.ListTaskRuns(request)
        yield from page.task_runs
        if not (token := page.next_page_token):
            return


def history(client: Client, task_run_id: str) -> list[State]:
    """Return all states of a task run, in order."""
    return list(client.stub.ListTaskRunStates(ListTaskRunStatesRequest(task_run_id=task_run_id)).states)


def names(client: Client, task_run_id: str) -> list[str]:
    """Return the names of all states of a task run, in order."""
    return [state.name for state in history(client, task_run_id)]


def holders(client: Client, tag: str) -> list[str]:
    """Return the ids of the runs that hold a slot of a tag."""
    return [holder.task_run_id for holder in get_limit(client, tag).holders]


def most_running(client: Client, tag: str) -> int:
    """Return how many runs with a tag were Running at once at most, as the server's histories say."""
    changes: list[tuple[int, int]] = []
    for run in runs(client, tag):
        holds = False
        for state in history(client, run.spec.id):
            if (running := state.type == STATE_TYPE_RUNNING) != holds:
                holds = running
                changes.append((state.create_time.ToMicroseconds(), 1 if running else -1))
    most = now = 0
    # A slot may be handed on at the very time at which it came free: what leaves goes first.
    for _, change in sorted(changes):
        now += change
        most = max(most, now)
    return most
