"""The tasks defined in this process, kept to warn about two tasks that share a task key by mistake."""

from __future__ import annotations

from types import CodeType
from typing import Any

from clearway._definition.warnings import warn_of_definition

_defined: dict[tuple[str, str, str], CodeType] = {}


def note_task(name: str, fn: Any) -> None:
    """Record a task's definition, and warn if a different function has the same names.

    The two would share a task key, and therefore cached results. Defining the same source again is fine: a
    notebook cell, a reloaded module or a function that creates tasks does that.
    """
    code = getattr(fn, "__code__", None)
    if code is None:
        return
    names = (name, getattr(fn, "__module__", None) or "", getattr(fn, "__qualname__", ""))
    before = _defined.get(names)
    if before is code:
        return
    _defined[names] = code
    if before is not None and _essence(before) != _essence(code):
        warn_of_definition(
            f"the task {name!r} is defined again by another function of the same name, {names[1]}.{names[2]} "
            f"(before: {before.co_filename}:{before.co_firstlineno}, now: {code.co_filename}:"
            f"{code.co_firstlineno}); the two share a task key and therefore cached results: give one of "
            "them another name"
        )


def _essence(code: CodeType) -> tuple[Any, ...]:
    """Return the parts of a code object that define what it does, without its position in the file."""
    constants = tuple(
        _essence(each) if isinstance(each, CodeType) else (type(each), repr(each)) for each in code.co_consts
    )
    return code.co_code, constants, code.co_names, code.co_varnames, code.co_freevars
