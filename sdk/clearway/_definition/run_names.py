"""The options ``task_run_name`` and ``flow_run_name``: a template, or a function that returns a name."""

from __future__ import annotations

import inspect
import string
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, TypeAlias

from clearway._base.texts import encodable

if TYPE_CHECKING:
    from clearway._definition.signature import CallSignature

RunName: TypeAlias = str | Callable[[], str]

_MAX_NAME = 255
_SHOWN = 100


def checked_run_name(option: str, owner: str, given: object, signature: CallSignature) -> RunName | None:
    """Return the option after checking it.

    Args:
        option: ``task_run_name`` or ``flow_run_name``.
        owner: The flow or task, for messages.
        given: A template such as ``"load {path}"``, a function without parameters, or None.
        signature: The signature of the flow's or task's function, whose parameters a template may name.

    Raises:
        TypeError: ``given`` is none of these, or a function that needs arguments.
        ValueError: The template is empty, malformed, or names something that is not a parameter.
    """
    if given is None:
        return None
    if callable(given):
        _check_takes_nothing(option, owner, given)
        return given
    if not isinstance(given, str):
        raise TypeError(
            f"{option} of {owner} is {given!r}; it must be a template such as 'load {{path}}', "
            "or a function without parameters that returns the name"
        )
    if not given:
        raise ValueError(f"{option} of {owner} is ''; a name must have 1 to {_MAX_NAME} characters")
    for name in _names_in(option, owner, given):
        if name not in signature.names:
            takes = ", ".join(signature.names) or "no parameters"
            raise ValueError(
                f"{option} of {owner} is {given!r}, which names {name!r}; "
                f"a template may name the function's parameters, and it takes {takes}"
            )
    return given


def _check_takes_nothing(option: str, owner: str, function: Callable[..., Any]) -> None:
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):  # a builtin without a signature
        return
    try:
        signature.bind()
    except TypeError as error:
        raise TypeError(
            f"{option} of {owner} is {function!r}, which cannot be called without arguments: {error}; "
            "clearway.runtime has the parameters of the run"
        ) from None


def _names_in(option: str, owner: str, template: str) -> list[str]:
    try:
        parts = [part for part in string.Formatter().parse(template) if part[1] is not None]
        for conversion in {part[3] for part in parts}:
            string.Formatter().convert_field("", conversion)
    except ValueError as error:
        raise ValueError(
            f"{option} of {owner} is {template!r}, which is not a valid template: {error}; "
            "write {{ and }} for literal braces"
        ) from None
    return [field.partition(".")[0].partition("[")[0] for _, field, _, _ in parts if field is not None]


def make_run_name(option: str, owner: str, made_by: RunName, parameters: Mapping[str, Any]) -> str:
    """Return the name of a run, from a template or a function.

    Raises:
        TypeError: The function did not return a string.
        ValueError: The name is empty or longer than 255 characters.
        Exception: Whatever the function, or formatting a parameter, raised.
    """
    name: object = made_by.format(**parameters) if isinstance(made_by, str) else made_by()
    if not isinstance(name, str):
        raise TypeError(f"{option} of {owner} returned {name!r}; it must return a string")
    name = encodable(name)
    if not 1 <= len(name) <= _MAX_NAME:
        shown = f": {name[:_SHOWN]!r}..." if name else ""
        raise ValueError(
            f"{option} of {owner} made a name of {len(name):,} characters; "
            f"it must have 1 to {_MAX_NAME}{shown}"
        )
    return name
