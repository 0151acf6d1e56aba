from __future__ import annotations

import pytest

import clearway
from clearway import FlowRunContext, TaskRunContext, get_run_context, tags
from clearway.context import current_run, current_tags
from clearway.exceptions import MissingContext


def test_outside_a_run_there_is_none() -> None:
    assert FlowRunContext.get() is None
    assert TaskRunContext.get() is None
    assert current_run() is None
    with pytest.raises(MissingContext, match=r"get_run_context\(\) was called outside a flow or task run"):
        get_run_context()


def test_outside_a_run_there_is_nothing_to_look_up() -> None:
    run, task_run = clearway.runtime.flow_run, clearway.runtime.task_run
    assert (run.id, run.name, run.flow_name, run.parent_flow_run_id) == (None, None, None, None)
    assert (task_run.id, task_run.name, task_run.task_name) == (None, None, None)
    assert (run.tags, run.parameters, run.run_count) == ([], {}, 0)
    assert (task_run.tags, task_run.parameters, task_run.run_count) == ([], {}, 0)
    with pytest.raises(AttributeError, match="has no attribute 'deployment_id'; it has flow_name"):
        run.deployment_id  # type: ignore[attr-defined]  # noqa: B018


def test_tags_add_up_and_are_given_back() -> None:
    with tags("a") as outer:
        assert outer == {"a"}
        with tags("b", "c") as inner:
            assert inner == current_tags() == {"a", "b", "c"}
        assert current_tags() == {"a"}
    assert current_tags() == frozenset()


def test_tags_are_given_back_after_an_exception() -> None:
    with pytest.raises(ZeroDivisionError), tags("a"):
        raise ZeroDivisionError
    assert current_tags() == frozenset()


def test_a_tag_that_is_no_string_is_said() -> None:
    with pytest.raises(TypeError, match="the tag 5 is of type int"), tags(5):  # type: ignore[arg-type]
        pass
    with pytest.raises(TypeError, match="list"), tags(["a"]):  # type: ignore[arg-type]
        pass
