from __future__ import annotations

from typing import Any

import pytest

from clearway import flow
from clearway.exceptions import ParameterBindError, ReservedArgument


@flow
def nightly(day: int, *, dry: bool = False) -> str:
    """Run at night."""
    return f"{day} {dry}"


OPTIONS: dict[str, Any] = {
    "name": "night",
    "description": "runs",
    "version": "3",
    "retries": 2,
    "retry_delay_seconds": 0.5,
    "retry_jitter_factor": 0.25,
}


def test_a_flow_takes_its_name_and_description_from_its_function() -> None:
    assert (nightly.name, nightly.description) == ("nightly", "Run at night.")
    assert (nightly.version, nightly.retries, nightly.retry_delay_seconds) == (None, 0, 0.0)
    assert nightly.fn(3) == "3 False"


@pytest.mark.parametrize("option", OPTIONS)
def test_with_options_changes_what_is_given_and_keeps_the_rest(option: str) -> None:
    changed = nightly.with_options(**{option: OPTIONS[option]})
    for name, value in OPTIONS.items():
        assert getattr(changed, name) == (value if name == option else getattr(nightly, name))


@pytest.mark.parametrize(
    ("options", "kind", "message"),
    [
        ({"name": ""}, ValueError, "1 to 200"),
        ({"retries": -1}, ValueError, "retries of the flow 'nightly' is -1"),
        ({"retry_delay_seconds": -1}, ValueError, "retry_delay_seconds"),
        ({"retry_delay_seconds": [1, "2"]}, TypeError, r"retry_delay_seconds\[1\] of the flow 'nightly'"),
        ({"retry_delay_seconds": []}, ValueError, "retry_delay_seconds of the flow 'nightly' has 0 delays"),
        ({"retry_jitter_factor": -1}, ValueError, "retry_jitter_factor of the flow 'nightly' is -1"),
        ({"version": 2}, TypeError, "version of the flow 'nightly' is 2"),
        ({"description": 2}, TypeError, "description of the flow 'nightly' is 2"),
        ({"validate_parameters": "no"}, TypeError, "validate_parameters of the flow 'nightly' is 'no'"),
    ],
)
def test_a_wrong_option_is_said_at_the_definition(
    options: dict[str, Any], kind: type[Exception], message: str
) -> None:
    with pytest.raises(kind, match=message):
        nightly.with_options(**options)


@pytest.mark.parametrize("name", ["return_state", "wait_for"])
def test_parameters_with_names_of_ours_are_refused(name: str) -> None:
    scope: dict[str, Any] = {}
    exec(f"def bad({name}): ...", scope)
    with pytest.raises(ReservedArgument, match=name):
        flow(scope["bad"])


def test_a_call_that_does_not_fit_raises_before_anything_runs() -> None:
    with pytest.raises(ParameterBindError, match="missing a required argument: 'day'"):
        nightly()  # type: ignore[call-overload]
