"""The specs that create a flow run, and the task run that represents a subflow in its parent."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from clearway._definition.signature import parameters_to_json
from clearway._execution.inputs.run_inputs import RunInputs
from clearway._execution.retry_policy import fill_retry_policy
from clearway.v1.flow_run_pb2 import FlowRunSpec
from clearway.v1.task_run_pb2 import TaskRunSpec

if TYPE_CHECKING:
    from clearway._definition.base import FlowDefinition
    from clearway._execution.flow.choice import RunChoice


def flow_run_spec(
    flow: FlowDefinition,
    run_id: str,
    name: str,
    parameters: Mapping[str, Any],
    tags: frozenset[str],
    tracked_by: str,
) -> FlowRunSpec:
    """Return the spec of a run of a flow.

    Args:
        flow: The flow.
        run_id: The run's UUID.
        name: The run's name.
        parameters: The arguments by parameter name.
        tags: The run's tags.
        tracked_by: The UUID of the task run that represents a subflow; empty for the outermost flow run.
    """
    spec = FlowRunSpec(
        id=run_id,
        flow_name=flow.name,
        name=name,
        flow_version=flow.version or "",
        parameters_json=parameters_to_json(parameters),
        tags=tags,
        parent_task_run_id=tracked_by,
    )
    if flow.retries:
        fill_retry_policy(spec.retry_policy, flow)
    return spec


def tracking_spec(
    flow: FlowDefinition,
    run: RunChoice,
    parent_id: str,
    tags: frozenset[str],
    inputs: RunInputs,
) -> TaskRunSpec:
    """Return the spec of the task run that represents a subflow in its parent.

    Args:
        flow: The subflow.
        run: The task run's key and UUID.
        parent_id: The UUID of the flow run that calls the subflow.
        tags: The subflow's tags.
        inputs: The futures, states and results of other runs among the arguments.
    """
    key = run.key
    return TaskRunSpec(
        id=run.run_id,
        flow_run_id=parent_id,
        task_key=key.task_key,
        dynamic_key=key.dynamic_key,
        task_name=flow.name,
        name=f"{flow.name}-{key.label}",
        task_version=flow.version or "",
        tags=tags,
        inputs=inputs.recorded(),
        tracks_subflow=True,
    )
