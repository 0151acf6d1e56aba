"""What ``--state`` means."""

import pytest
import typer

from clearway.v1.state_pb2 import STATE_TYPE_COMPLETED, STATE_TYPE_FAILED
from clearway_cli import _states


def test_a_type_is_found_in_any_case() -> None:
    assert _states.pick(["Completed", "failed"]) == ([STATE_TYPE_COMPLETED, STATE_TYPE_FAILED], [])


def test_a_name_of_the_service_is_found_in_any_case_and_others_as_they_are() -> None:
    assert _states.pick(["cached", "awaitingretry", "My State"]) == (
        [],
        ["Cached", "AwaitingRetry", "My State"],
    )


def test_nothing_asked_restricts_nothing() -> None:
    assert _states.pick([]) == ([], [])


def test_types_and_names_together_are_refused() -> None:
    with pytest.raises(typer.BadParameter, match="'failed' is a state type and 'Cached' a state name"):
        _states.pick(["Cached", "failed"])


def test_unspecified_is_no_type() -> None:
    assert _states.pick(["unspecified"]) == ([], ["unspecified"])


def test_a_typing_error_is_pointed_at_where_nothing_was_found() -> None:
    assert "'complted' is neither a state type" in _states.hint(["complted"])
    assert _states.hint(["completed", "Cached"]) == ""
