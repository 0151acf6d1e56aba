"""Binds a call's arguments to parameter names, and later calls the function with them."""

from __future__ import annotations

import inspect
import json
from collections.abc import Callable, Mapping
from types import FunctionType
from typing import Any, Final, NamedTuple

from clearway._base.extent import extent, is_long, outline
from clearway.exceptions import ParameterBindError, ReservedArgument

RESERVED = ("return_state", "wait_for")
_MAX_JSON = 524_288
_MAX_REPR = 2_000
_PLAIN = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
_POSITIONAL = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)


# For callables without a signature, such as ``int`` or ``operator.itemgetter(0)``.
_ANYTHING: Final = inspect.Signature(
    [
        inspect.Parameter("args", inspect.Parameter.VAR_POSITIONAL),
        inspect.Parameter("kwargs", inspect.Parameter.VAR_KEYWORD),
    ]
)


class CallShape(NamedTuple):
    """Which parameters a call passed by position and which by keyword; it left out all others.

    Attributes:
        positional: The parameters passed by position, in order.
        keywords: The parameters passed by keyword.
    """

    positional: tuple[str, ...]
    keywords: tuple[str, ...]


class CallSignature:
    """The signature of a flow's or task's function, prepared so that calls bind quickly."""

    __slots__ = (
        "_by_keyword",
        "_defaults",
        "_fewest",
        "_fn",
        "_is_own",
        "_name",
        "_plain",
        "_positional",
        "_signature",
        "_taken_by_keyword",
        "names",
        "variadic_keyword",
        "variadic_positional",
    )

    def __init__(self, fn: Callable[..., Any], name: str) -> None:
        """Read the signature of ``fn``; ``name`` is used in messages.

        Raises:
            ReservedArgument: A parameter is named ``return_state`` or ``wait_for``.
        """
        self._fn = fn
        self._name = name
        self._signature = signature_of(fn)
        parameters = self._signature.parameters
        for reserved in RESERVED:
            if reserved in parameters:
                raise ReservedArgument(
                    f"{name!r} has a parameter named {reserved!r}, which is reserved for calls of flows and "
                    "tasks; give the parameter another name"
                )
        self.names = tuple(parameters)
        self.variadic_keyword = next(
            (p.name for p in parameters.values() if p.kind is inspect.Parameter.VAR_KEYWORD), None
        )
        self.variadic_positional = next(
            (p.name for p in parameters.values() if p.kind is inspect.Parameter.VAR_POSITIONAL), None
        )
        self._plain = all(p.kind in _PLAIN for p in parameters.values())
        self._positional = tuple(p.name for p in parameters.values() if p.kind in _POSITIONAL)
        self._by_keyword = frozenset(p.name for p in parameters.values() if p.kind in _PLAIN)
        self._defaults = {
            p.name: p.default for p in parameters.values() if p.default is not inspect.Parameter.empty
        }
        self._fewest = self._fewest_positional()
        self._is_own = _has_own_signature(fn)
        self._taken_by_keyword = self._by_keyword if self._is_own else _taken_by_keyword(fn, self._by_keyword)

    def _fewest_positional(self) -> int | None:
        """Return how many arguments a purely positional call needs; None if such a call is impossible."""
        required = [name for name in self.names if name not in self._defaults]
        if not self._plain or any(name not in self._positional for name in required):
            return None
        return len(required)

    def bind(
        self, args: tuple[Any, ...], kwargs: Mapping[str, Any], *, defaults: bool = True
    ) -> dict[str, Any]:
        """Return the arguments of a call by parameter name, in the order of the signature.

        Args:
            args: The positional arguments.
            kwargs: The keyword arguments.
            defaults: Whether to include the default values of parameters that the call leaves out.

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
                f"{self._name}{self._signature} cannot be called with these arguments: {error}{self._hint()}"
            ) from None
        if defaults:
            bound.apply_defaults()
        return bound.arguments

    def _hint(self) -> str:
        if not hasattr(self._fn, "__wrapped__"):
            return ""
        return "; if a decorator of the function takes other arguments, set the wrapper's __signature__"

    def shape(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> CallShape | None:
        """Return how a valid call passes its arguments; None if that makes no difference.

        It makes a difference if a decorator between ``@task`` and the function has parameters of its own, and
        for classes and other callables that are not plain Python functions.
        """
        if self._is_own:
            return None
        positional = list(self._positional[: len(args)])
        keywords = [name for name in kwargs if name in self._by_keyword]
        # Pass by position what the caller passed by keyword, if the decorator's parameter has another name.
        for name in self._positional[len(args) :]:
            if name not in keywords or name in self._taken_by_keyword:
                break
            positional.append(name)
            keywords.remove(name)
        return CallShape(tuple(positional), tuple(keywords))

    def with_defaults(self, parameters: dict[str, Any]) -> dict[str, Any]:
        """Return ``parameters``, completed with the default values of those that are missing."""
        if len(parameters) == len(self.names):
            return parameters
        bound = inspect.BoundArguments(self._signature, parameters)
        bound.apply_defaults()
        return bound.arguments

    def call(self, parameters: dict[str, Any], shape: CallShape | None = None) -> Any:
        """Call the function.

        Args:
            parameters: The arguments by parameter name.
            shape: Which of them to pass, and how; None passes all of them as the signature requires.
        """
        if shape is not None:
            args = [parameters[name] for name in shape.positional]
            kwargs = {name: parameters[name] for name in shape.keywords}
            if self.variadic_positional is not None:
                args.extend(parameters[self.variadic_positional])
            if self.variadic_keyword is not None:
                kwargs.update(parameters[self.variadic_keyword])
            return self._fn(*args, **kwargs)
        if self._plain:
            return self._fn(**parameters)
        bound = inspect.BoundArguments(self._signature, parameters)
        return self._fn(*bound.args, **bound.kwargs)


def signature_of(fn: Callable[..., Any]) -> inspect.Signature:
    """Return a callable's signature; if it has none, such as ``int``, one that accepts anything."""
    try:
        return inspect.signature(fn)
    except (TypeError, ValueError):
        return _ANYTHING


def _has_own_signature(fn: Any) -> bool:
    """Return True if a callable is a plain Python function or method, whose signature is that of its code."""
    function = getattr(fn, "__func__", fn)
    return (
        type(function) is FunctionType
        and not hasattr(function, "__wrapped__")
        and not hasattr(function, "__signature__")
    )


def _taken_by_keyword(fn: Callable[..., Any], names: frozenset[str]) -> frozenset[str]:
    """Return which of the ``names`` a decorator's wrapper itself accepts by keyword."""
    try:
        own = inspect.signature(fn, follow_wrapped=False).parameters
    except (TypeError, ValueError):
        return names
    if any(parameter.kind is inspect.Parameter.VAR_KEYWORD for parameter in own.values()):
        return names
    return names.intersection(name for name, parameter in own.items() if parameter.kind in _PLAIN)


def parameters_to_json(parameters: Mapping[str, Any]) -> str:
    """Return parameters as a JSON object for display; values that JSON lacks become their ``repr``."""
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
    """Return a value's ``repr``, shortened if it is very long; if it raises, return a description."""
    try:
        if is_long(value):
            return outline(value)
        text = repr(value)
    except RecursionError:
        return outline(value)
    except Exception as error:  # noqa: BLE001 - a user's __repr__ may raise anything, which must not fail the run
        return f"<{type(value).__name__} whose repr raises {type(error).__name__}>"
    return text if len(text) <= _MAX_REPR else f"{text[:_MAX_REPR]}... ({len(text):,} characters)"
