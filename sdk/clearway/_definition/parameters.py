"""Checks and converts a flow's arguments by the annotations of its function.

An argument whose class is exactly the annotated one is passed on unchanged. pydantic, which is slow to
import, is only loaded for other arguments: values to convert, containers, models and constraints.
"""

from __future__ import annotations

import inspect
import logging
import typing
from collections.abc import Callable, Mapping
from functools import partial
from types import NoneType, UnionType
from typing import Annotated, Any, Final, ParamSpecArgs, ParamSpecKwargs, TypeAlias, TypeVar, Union

from clearway._definition.signature import short_repr, signature_of
from clearway.exceptions import ParameterTypeError

Convert: TypeAlias = Callable[[Any], Any]

_log = logging.getLogger("clearway.flows")
_ANYTHING: Final = (Any, object, inspect.Parameter.empty)
_OF_PYDANTIC: Final = ("__get_pydantic_core_schema__", "__pydantic_validator__", "_fields", "__total__")
_MAX_VALUE: Final = 200


class ParameterRules:
    """The checks and conversions that a function's annotations call for."""

    def __init__(self, fn: Callable[..., Any], owner: str) -> None:
        """Read the annotations of ``fn``. An annotation with a name that is not defined yet is ignored.

        Args:
            fn: The function.
            owner: The flow for messages, such as ``the flow 'nightly'``.
        """
        self._owner = owner
        self._rules = _rules_of(fn)

    def applied(self, parameters: Mapping[str, Any]) -> dict[str, Any]:
        """Return the arguments converted to their annotations; default values are not checked.

        Raises:
            ParameterTypeError: An argument does not fit its annotation and cannot be converted to it.
        """
        wrong: list[str] = []
        applied = {
            name: rule.applied(value, wrong) if (rule := self._rules.get(name)) else value
            for name, value in parameters.items()
        }
        if wrong:
            raise ParameterTypeError(
                f"{self._owner} was called with what its parameters cannot take:\n  " + "\n  ".join(wrong)
            )
        return applied


class _Rule:
    """The check and conversion of one parameter."""

    def __init__(self, parameter: inspect.Parameter, hint: Any) -> None:
        self._parameter = parameter
        self._hint = hint
        self._exact = _exact_types(hint)
        self._convert: Convert | None = None

    def applied(self, value: Any, wrong: list[str]) -> Any:
        """Return the converted value; append a message to ``wrong`` for everything that does not fit."""
        if value is self._parameter.default:
            return value
        name = self._parameter.name
        if self._parameter.kind is inspect.Parameter.VAR_POSITIONAL:
            return tuple(self._one(f"{name}[{index}]", one, wrong) for index, one in enumerate(value))
        if self._parameter.kind is inspect.Parameter.VAR_KEYWORD:
            return {key: self._one(key, one, wrong) for key, one in value.items()}
        return self._one(name, value, wrong)

    def _one(self, name: str, value: Any, wrong: list[str]) -> Any:
        if type(value) in self._exact:
            return value
        if self._convert is None:
            self._convert = _converter(self._hint)
        from pydantic import ValidationError  # noqa: PLC0415 - slow to import, and most calls need none of it

        try:
            return self._convert(value)
        except ValidationError as error:
            wanted = _written(self._hint)
            wrong.extend(
                f"{name}{_path(each['loc'])}={_shown(each['input'])}: {each['msg']}; annotated as {wanted}"
                for each in error.errors(include_url=False, include_context=False)
            )
            return value


def _rules_of(fn: Callable[..., Any]) -> dict[str, _Rule]:
    rules = {}
    for parameter in signature_of(fn).parameters.values():
        hint = _resolved(fn, parameter)
        if not (
            any(hint is anything for anything in _ANYTHING)
            or isinstance(hint, (TypeVar, ParamSpecArgs, ParamSpecKwargs))
        ):
            rules[parameter.name] = _Rule(parameter, hint)
    return rules


def _resolved(fn: Callable[..., Any], parameter: inspect.Parameter) -> Any:
    """Return a parameter's annotation with its names resolved, or Any if that fails."""

    def holder() -> None: ...

    if parameter.annotation is inspect.Parameter.empty:
        return Any
    holder.__annotations__ = {"it": parameter.annotation}
    try:
        return typing.get_type_hints(holder, *_namespaces(fn), include_extras=True)["it"]
    except Exception as error:  # noqa: BLE001 - any expression; its names are often imported for type checkers only
        _log.debug("the parameter %s is not checked: its annotation cannot be read: %s", parameter, error)
        return Any


def _namespaces(fn: Callable[..., Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the global and the local names that the annotations of a function may use."""
    while isinstance(fn, partial):
        fn = fn.func
    fn = inspect.unwrap(fn)
    if not hasattr(fn, "__globals__"):
        fn = getattr(fn, "__func__", None) or type(fn).__call__
    local = {kind.__name__: kind for kind in getattr(fn, "__type_params__", ())}
    free = getattr(getattr(fn, "__code__", None), "co_freevars", ())
    for name, cell in zip(free, getattr(fn, "__closure__", None) or (), strict=False):
        try:
            local[name] = cell.cell_contents
        except ValueError:  # not assigned yet
            continue
    return getattr(fn, "__globals__", {}), local


def _exact_types(hint: Any) -> frozenset[type]:
    """Return the classes whose direct instances fit an annotation without any check or conversion."""
    if typing.get_origin(hint) in (Union, UnionType):
        kinds = [_exact_types(each) for each in typing.get_args(hint)]
        return frozenset().union(*kinds) if all(kinds) else frozenset()
    if hint is None:
        return frozenset({NoneType})
    if isinstance(hint, type) and not any(hasattr(hint, mark) for mark in _OF_PYDANTIC):
        return frozenset({hint})
    return frozenset()


def _converter(hint: Any) -> Convert:
    """Return a function that converts a value to an annotation, or raises pydantic's ``ValidationError``."""
    from pydantic import PydanticUserError, TypeAdapter  # noqa: PLC0415 - as above
    from pydantic_core import SchemaError  # noqa: PLC0415 - as above

    from clearway._definition.v1_types import with_v1_types  # noqa: PLC0415 - as above

    hint = with_v1_types(hint)
    try:
        try:
            return TypeAdapter(hint, config={"arbitrary_types_allowed": True}).validate_python
        except PydanticUserError as error:
            if error.code != "type-adapter-config-unused":
                raise
            return TypeAdapter(hint).validate_python  # a model, dataclass or typed dict has its own config
    except (PydanticUserError, SchemaError, NameError) as error:
        return _instance_of(hint, error)


def _instance_of(hint: Any, error: Exception) -> Convert:
    """Return an ``isinstance`` check, for annotations that pydantic does not support."""
    from pydantic_core import SchemaValidator, core_schema  # noqa: PLC0415 - as above

    kind = dict if typing.is_typeddict(hint) else typing.get_origin(hint) or hint
    _log.debug("of the annotation %s only the class is checked: %s", hint, error)
    try:
        isinstance(None, kind)
    except TypeError:  # not a class, or one that does not support isinstance, such as a Protocol
        return _as_it_is
    return SchemaValidator(core_schema.is_instance_schema(kind)).validate_python


def _as_it_is(value: Any) -> Any:
    return value


def _written(hint: Any) -> str:
    """Return an annotation as source text, without constraints, which pydantic's message states."""
    return inspect.formatannotation(
        typing.get_args(hint)[0] if typing.get_origin(hint) is Annotated else hint
    )


def _path(location: tuple[int | str, ...]) -> str:
    """Return the path to a wrong part of a value, such as ``[2].size``."""
    return "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in location)


def _shown(value: object) -> str:
    text = short_repr(value)
    return text if len(text) <= _MAX_VALUE else f"{text[:_MAX_VALUE]}..."
