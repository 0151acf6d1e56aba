"""The options of tasks and flows."""

from datetime import timedelta
from typing import Any, assert_type

from clearway import (
    ProcessPoolTaskRunner,
    SequentialTaskRunner,
    State,
    TaskRunContext,
    ThreadPoolTaskRunner,
    allow_failure,
    exponential_backoff,
    flow,
    get_run_context,
    get_run_logger,
    quote,
    runtime,
    task,
    task_input_hash,
    unmapped,
)


def key(context: TaskRunContext, parameters: dict[str, Any]) -> str | None:
    return task_input_hash(context, parameters) and context.flow_run_id


@task(
    name="full",
    description="",
    tags={"a"},
    version="1",
    cache_key_fn=key,
    cache_expiration=timedelta(hours=1),
    refresh_cache=False,
    retries=2,
    retry_delay_seconds=exponential_backoff(2),
    retry_jitter_factor=0.5,
    timeout_seconds=3,
    log_prints=True,
    task_run_name="full-{number}",
)
def full(number: int) -> float:
    get_run_logger().info("%s in %s", runtime.task_run.name, runtime.flow_run.name)
    assert_type(get_run_context().run_count, int)
    return number / 2


@task(retries=2, retry_delay_seconds=[1, 2.5], cache_key_fn=task_input_hash)
def listed(number: int) -> int:
    return number


@flow(
    name="all",
    description="",
    version="1",
    retries=1,
    retry_delay_seconds=0.5,
    timeout_seconds=60,
    validate_parameters=False,
    log_prints=False,
    flow_run_name="all",
    task_runner=ThreadPoolTaskRunner(max_workers=2),
)
def everything(number: int) -> float:
    assert_type(listed.submit(allow_failure(full.submit(number))).result(), int)
    assert_type(listed.map([1, 2], unmapped(3), quote([4]))[0].result(), int)
    return full(number)


assert_type(everything(1), float)
assert_type(everything.with_options(task_runner=SequentialTaskRunner)(1), float)
assert_type(
    everything.with_options(task_runner=ProcessPoolTaskRunner(max_workers=1))(1, return_state=True),
    State[float],
)
