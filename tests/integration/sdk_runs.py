"""What the tests of flows and tasks ask of the service, beside what the SDK told them."""

from __future__ import annotations

from clearway import get_client
from clearway.schemas import FlowRun, TaskRun

SECONDS = 30.0
"""How long a test waits for what must happen; it happens in milliseconds."""


def last_flow_run(flow_name: str) -> FlowRun:
    """Return the latest run of a flow."""
    with get_client() as client:
        return client.read_flow_runs(flow_names=[flow_name], limit=1)[0]


def task_runs(flow_name: str) -> dict[str, TaskRun]:
    """Return the task runs of the latest run of a flow, by name."""
    with get_client() as client:
        runs = client.read_task_runs(flow_run_id=last_flow_run(flow_name).id, limit=None)
    return {run.name: run for run in sorted(runs, key=lambda run: run.created)}


def history(task_run_id: str) -> list[str]:
    """Return the names of all states that a task run was in."""
    with get_client() as client:
        return [state.name for state in client.read_task_run_states(task_run_id)]


def flow_history(flow_run_id: str) -> list[str]:
    """Return the names of all states that a flow run was in."""
    with get_client() as client:
        return [state.name for state in client.read_flow_run_states(flow_run_id)]


def set_limit(tag: str, limit: int) -> None:
    """Set the limit of a tag."""
    with get_client() as client:
        client.create_concurrency_limit(tag=tag, concurrency_limit=limit)


def slots(tag: str) -> tuple[str, ...]:
    """Return the task runs that hold a slot of a tag."""
    with get_client() as client:
        return client.read_concurrency_limit_by_tag(tag).active_slots
