"""The states that ``--state`` selects, and how states are displayed."""

from collections.abc import Sequence

import typer

from clearway.v1 import state_pb2

_PREFIX = "STATE_TYPE_"
_TYPES = {
    name.removeprefix(_PREFIX): state_pb2.StateType.Value(name)
    for name in state_pb2.StateType.keys()  # noqa: SIM118 - a generated enum is not a mapping
    if name != "STATE_TYPE_UNSPECIFIED"
}
_NAMES = ("Cached", "AwaitingRetry", "Retrying", "Rerunning", "NotReady")
_STYLES = {
    "SCHEDULED": "yellow",
    "PENDING": "bright_black",
    "RUNNING": "cyan",
    "COMPLETED": "green",
    "FAILED": "red",
    "CANCELLED": "magenta",
    "CRASHED": "bold red",
}


def type_name(state: state_pb2.State) -> str:
    """Return the name of a state's type without its prefix: ``COMPLETED``."""
    return state_pb2.StateType.Name(state.type).removeprefix(_PREFIX)


def style(state: state_pb2.State) -> str:
    """Return the Rich style in which a state is shown."""
    return _STYLES.get(type_name(state), "")


def pick(wanted: Sequence[str]) -> tuple[list[state_pb2.StateType.ValueType], list[str]]:
    """Return the types and the names of the requested states; one of the two is empty.

    Raises:
        typer.BadParameter: Types and names are mixed, which no single list can return.
    """
    types = [value for value in wanted if value.upper() in _TYPES]
    names = [value for value in wanted if value.upper() not in _TYPES]
    if types and names:
        raise typer.BadParameter(
            f"{types[0]!r} is a state type and {names[0]!r} a state name; use only types or only names.",
            param_hint="'--state'",
        )
    return [_TYPES[value.upper()] for value in types], [_known(value) for value in names]


def hint(wanted: Sequence[str]) -> str:
    """Return the hint if nothing was found: which of the names no rule ever gives."""
    known = {*_TYPES, *(name.upper() for name in _NAMES)}
    strange = [value for value in wanted if value.upper() not in known]
    if not strange:
        return ""
    types, names = ", ".join(name.lower() for name in _TYPES), ", ".join(_NAMES)
    return f" {strange[0]!r} is neither a state type ({types}) nor a name that the service uses ({names})."


def _known(value: str) -> str:
    return next((name for name in _NAMES if name.lower() == value.lower()), value)
