"""What the command line shows of a subflow and of the task run that stands for it."""

from __future__ import annotations

import json

from clearway import flow, task
from integration.cli_process import answer
from integration.sdk_runs import last_flow_run, task_runs


def test_the_tracking_run_and_the_subflow_lead_to_each_other() -> None:
    @task
    def rows() -> list[int]:
        return [1]

    @flow
    def child(given: list[int]) -> int:
        return len(given)

    @flow
    def parent() -> int:
        return child(rows())

    assert parent() == 1
    subflow, runs = last_flow_run("child"), task_runs("parent")
    tracking = json.loads(answer("task-run", "inspect", runs["child-0"].id, "-o", "json"))
    assert tracking["state"]["child_flow_run_id"] == subflow.id
    assert tracking["task_inputs"] == {"given": [runs["rows-0"].id]}
    shown = answer("task-run", "inspect", tracking["id"])
    assert ["Subflow", "run", subflow.id] in [line.split() for line in shown.splitlines()]
    inspected = json.loads(answer("flow-run", "inspect", subflow.id, "-o", "json"))
    assert inspected["parent_task_run_id"] == tracking["id"]
