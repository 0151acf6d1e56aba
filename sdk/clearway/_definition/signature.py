"""How the arguments of a call become parameters by name, and parameters a call again."""

from __future__ import annotations

import inspect
import json
from collections.abc import Callable, Mapping
from typing import Any

from clearway._base.extent import extent, is_long, outline
from clearway.exceptions import ParameterBindError, ReservedArgument

RESERVED = ("return_state", "wait_for")
_MAX_JSON = 524_288
_MAX_REPR = 2_000
_PLAIN = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)


class CallSignature:
    """The signature of a flow's or task's function, made ready for binding calls quickly."""

    __slots__ = (
        "_defaults",
        "_fewest",
        "_fn",
        "_name",
        "_plain",
        "_positional",
        "_signature",
        "names",
        "variadic_keyword",
        "variadic_positional",
    )

    def __init__(self, fn: Callable[..., Any], name: str) -> None:
        """Read the signature of ``fn``, which messages call ``name``.

        Raises:
            ReservedArgument: A parameter has a name that calls of flows and tasks use themselves.
        """
        self._fn = fn
        self._name = name
        self._signature = inspect.signature(fn)
        parameters = self._signature.parameters
        for reserved in RESERVED:
            if reserved in parameters:
                raise ReservedArgument(
                    f"{name!r} has a parameter named {reserved!r}, which every call of a flow or task takes "
                    "for itself; give the parameter another name"
                )
        self.names = tuple(parameters)
        self.variadic_keyword = next(
            (p.name for p in parameters.values() if p.kind is inspect.Parameter.VAR_KEYWORD), None
        )
        self.variadic_positional = next(
            (p.name for p in parameters.values() if p.kind is inspect.Parameter.VAR_POSITIONAL), None
        )
        self._plain = all(p.kind in _PLAIN for p in parameters.values())
        self._positional = tuple(
            p.name for p in parameters.values() if p.kind is inspect.Parameter.POSITIONAL_OR_KEYWORD
        )
        self._defaults = {
            p.name: p.default for p in parameters.values() if p.default is not inspect.Parameter.empty
        }
        self._fewest = self._fewest_positional()

    def _fewest_positional(self) -> int | None:
        """Return how many positional arguments a call without others needs; None where it needs others."""
        required = [name for name in self.names if name not in self._defaults]
        if not self._plain or any(name not in self._positional for name in required):
            return None
        return len(required)

    def bind(
        self, args: tuple[Any, ...], kwargs: Mapping[str, Any], *, defaults: bool = True
    ) -> dict[str, Any]:
        """Return the arguments of a call by parameter, in the order of the signature.

        Args:
            args: The positional arguments.
            kwargs: The keyword arguments.
            defaults: Also give the parameters that the call leaves out, with their defaults.

        Raises:
            ParameterBindError: The arguments do not fit the function.
        """
        if defaults and not kwargs and self._fewest is not None:
            given = len(args)
            if self._fewest <= given <= len(self._positional):  # inspect is slow, and most calls are plain
                parameters = dict(zip(self._positional, args, strict=False))
                for name in self.names[given:]:
                    parameters[name] = self._defaults[name]
                return parameters
        try:
            bound = self._signature.bind(*args, **kwargs)
        except TypeError as error:
            raise ParameterBindError(
                f"{self._name}{self._signature} cannot be called with these arguments: {error}"
            ) from None
        if defaults:
            bound.apply_defaults()
        return bound.arguments

    def with_defaults(self, parameters: dict[str, Any]) -> dict[str, Any]:
        """Return the parameters with the defaults of those that are left out."""
        if len(parameters) == len(self.names):
            return parameters
        bound = inspect.BoundArguments(self._signature, parameters)
        bound.apply_defaults()
        return bound.arguments

    def call(self, parameters: dict[str, Any]) -> Any:
        """Call the function with these parameters."""
        if self._plain:
            return self._fn(**parameters)
        bound = inspect.BoundArguments(self._signature, parameters)
        return self._fn(*bound.args, **bound.kwargs)


def parameters_to_json(parameters: Mapping[str, Any]) -> str:
    """Return parameters as a JSON object, for people to read; what JSON cannot hold as its ``repr``."""
    if sum(_extent(value) for value in parameters.values()) <= _MAX_JSON:
        texts = (f"{json.dumps(name)}: {_to_json(value)}" for name, value in parameters.items())
        whole = "{" + ", ".join(texts) + "}"
        if len(whole) <= _MAX_JSON:  # json.dumps writes ASCII only
            return whole
    return json.dumps({name: short_repr(value) for name, value in parameters.items()})


def _extent(value: object) -> int:
    try:
        return extent(value, _MAX_JSON)
    except Exception:  # noqa: BLE001 - a user's container may raise anything
        return 0


def _to_json(value: object) -> str:
    try:
        return json.dumps(value, allow_nan=False, default=short_repr)
    except (TypeError, ValueError, RecursionError):
        return json.dumps(short_repr(value))


def short_repr(value: object) -> str:
    """Return the ``repr`` of a value, shortened where it is very long; a broken one is described."""
    try:
        if is_long(value):
            return outline(value)
        text = repr(value)
    except RecursionError:
        return outline(value)
    except Exception as error:  # noqa: BLE001 - a user's __repr__ may raise anything, and the run is not to fail of it
        return f"<{type(value).__name__} whose repr raises {type(error).__name__}>"
    return text if len(text) <= _MAX_REPR else f"{text[:_MAX_REPR]}... ({len(text):,} characters)"
