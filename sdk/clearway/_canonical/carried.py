"""What a task's function carries besides its code: bound arguments, instances, closures, wrappers."""

from __future__ import annotations

import functools
from collections.abc import Callable
from threading import RLock
from types import CodeType, FunctionType, MethodType
from typing import Any, Final

from clearway._canonical.atoms import ATOMS
from clearway._canonical.code import closure
from clearway._canonical.document import Counting, canonical_json
from clearway._canonical.names import full_name
from clearway._canonical.source import assigned_names, code_fingerprint

_NO_GLOBALS: Final = Counting(counts_globals=False)
_SEEN: Final = "__clearway_closure__"
# Locks, other synchronization objects and loggers have no content that a result could depend on, so only
# their class counts.
_TURNS: Final = frozenset(
    f"{module}.{name}"
    for module in ("threading", "asyncio.locks", "multiprocessing.synchronize")
    for name in ("Barrier", "BoundedSemaphore", "Condition", "Event", "Lock", "RLock", "Semaphore")
) | {"_thread.lock", "_thread.RLock", "logging.Logger", "logging.RootLogger"}
_guard: Final = RLock()


def carried_text(function: Callable[..., Any]) -> bytes | None:
    """Return the canonical text of what a function carries; None for a plain one, which carries nothing.

    A mutable object in a closure counts with its content when the first key was computed, so that a function
    which, for example, appends to a list in its closure has the same key in each call. Variables that the
    function itself assigns to do not count.

    Raises:
        Exception: Something has no content to hash; it is the error that its class raises when pickled.
    """
    if (
        type(function) is FunctionType
        and function.__closure__ is None
        and not hasattr(function, "__wrapped__")
    ):
        return None
    return _Walk().text(function)


class _Walk:
    """A walk from a function through its wrappers to the innermost function."""

    def __init__(self) -> None:
        self._met: set[int] = set()

    def text(self, function: Any) -> bytes:
        parts = self.parts(function)
        return b"[" + b",".join(parts) + b"]" if parts else b""

    def parts(self, function: Any) -> list[bytes]:
        """Return the texts of what a function and those that it wraps carry, outermost first."""
        found: list[bytes] = []
        while function is not None and id(function) not in self._met:
            self._met.add(id(function))
            if isinstance(function, functools.partial):
                bound = [list(function.args), function.keywords]
                found.append(_text([full_name(type(function)), bound]))
                function = function.func
            elif type(function) is MethodType:
                found.append(_text(["bound", function.__self__]))
                function = function.__func__
            elif (
                type(function) is FunctionType
                and hasattr(function, "registry")
                and hasattr(function, "dispatch")
            ):
                kinds = {full_name(kind): each for kind, each in function.registry.items()}
                found.append(_text(["functools.singledispatch", kinds]))
                break
            elif type(function) is FunctionType:
                wrapped = getattr(function, "__wrapped__", None)
                if wrapped is not None:
                    found.append(_text(["wrapper", code_fingerprint(function.__code__)]))
                if function.__closure__:
                    found.extend(self._closure(function, wrapped))
                function = wrapped
            elif isinstance(getattr(function, "__wrapped__", None), FunctionType) and hasattr(
                function, "cache_parameters"
            ):
                found.append(_text("functools.lru_cache"))
                function = function.__wrapped__
            else:
                found.append(_text(function))
                break
        return found

    def _closure(self, function: FunctionType, wrapped: Any) -> list[bytes]:
        own = assigned_names(function.__code__)
        texts = []
        for name, contents in closure(function).items():
            if name in own or not contents or contents[0] is wrapped:
                continue
            text = self._cell(function, name, contents[0])
            if text:
                texts.append(b"[" + _text(name) + b"," + text + b"]")
        return texts

    def _cell(self, function: FunctionType, name: str, value: Any) -> bytes:
        kind = type(value)
        if kind is FunctionType:
            inner = self.text(value) or b"[]"
            return b"[" + _text([full_name(value), code_fingerprint(value.__code__)]) + b"," + inner + b"]"
        if full_name(kind) in _TURNS:
            return _text(full_name(kind))
        if _is_fixed(value):
            return _text(value)
        with _guard:
            seen: Seen = function.__dict__.setdefault(_SEEN, Seen())
            return seen.text(name, value)


class Seen:
    """The contents of a function's closure when its first key was computed; a pickle of it is empty."""

    def __init__(self) -> None:
        self._texts: dict[str, tuple[Any, bytes]] = {}

    def text(self, name: str, value: Any) -> bytes:
        """Return the text that a value had when it was first seen under this name."""
        known = self._texts.get(name)
        if known is None or known[0] is not value:
            known = self._texts[name] = (value, _text(value))
        return known[1]

    def __reduce__(self) -> tuple[Any, ...]:
        return Seen, ()


def _is_fixed(value: Any) -> bool:
    """Return True if a value is known to be immutable."""
    kind = type(value)
    return kind in ATOMS or kind in _FIXED or (kind is tuple and all(type(item) in ATOMS for item in value))


_FIXED: Final = frozenset({float, complex, bytes, range, type, CodeType})


def _text(value: Any) -> bytes:
    return canonical_json(value, _NO_GLOBALS)
