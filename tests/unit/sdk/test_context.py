from __future__ import annotations

import pytest

from clearway import FlowRunContext, TaskRunContext, tags
from clearway.context import current_run, current_tags


def test_outside_a_run_there_is_none() -> None:
    assert FlowRunContext.get() is None
    assert TaskRunContext.get() is None
    assert current_run() is None


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
