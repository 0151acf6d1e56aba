"""What runs find out about themselves: the task or flow that runs, and its variants."""

from typing import Any, assert_type

from clearway import FlowRunContext, TaskRunContext, flow, get_run_context, task


@task(retries=1)
def count(word: str) -> int:
    context = get_run_context()
    if isinstance(context, TaskRunContext):
        assert_type(context.task.name, str)
        assert_type(context.task.tags, frozenset[str])
        assert_type(context.task.task_key, str)
        assert_type(context.task.retries, int)
        context.task.fn(word)
        context.task.with_options(retries=2, tags=["a"]).submit(word)
        context.task.with_options(name="other").map([word])
        context.task.with_options(retries="two")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
        context.task.with_options(retry=2)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
        context.task.on_failure(print)
    return len(word)


@flow
def total(words: list[str]) -> int:
    context = get_run_context()
    if isinstance(context, FlowRunContext):
        assert_type(context.flow.name, str)
        assert_type(context.flow.validate_parameters({"words": words}), dict[str, Any])
        context.flow.with_options(retries=2)(words)
        context.flow.with_options(tags=["a"])  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
        context.flow.fn(words)
    inside = FlowRunContext.get()
    return 0 if inside is None else inside.flow.retries + inside.run_count


def key(context: TaskRunContext, parameters: dict[str, Any]) -> str | None:
    return f"{context.task.with_options(name='keyed').name}-{parameters}"


task(cache_key_fn=key)
task(cache_key_fn=lambda context, parameters: context.task.name + str(parameters["word"]))
