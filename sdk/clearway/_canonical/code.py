"""The shapes of functions and classes: their name, and their content if they cannot be imported by name."""

from __future__ import annotations

import dataclasses
import enum
from types import CodeType, FunctionType
from typing import Any, Final

from clearway._canonical.names import full_name, is_importable
from clearway._canonical.shapes import Context, Shape
from clearway._canonical.source import code_fingerprint, global_names
from clearway._canonical.standard import cell_parts

# Attributes that Python, abc, dataclasses, enum and pydantic add to a class.
_MADE: Final = frozenset(
    {
        "__abstractmethods__", "__annotate__", "__annotate_func__", "__annotations__",
        "__annotations_cache__", "__class_vars__", "__classcell__", "__dataclass_fields__",
        "__dataclass_params__", "__dict__", "__doc__", "__firstlineno__", "__match_args__", "__module__",
        "__orig_bases__", "__parameters__", "__private_attributes__", "__qualname__", "__signature__",
        "__static_attributes__", "__type_params__", "__weakref__", "_abc_impl",
        "model_computed_fields", "model_fields",
    }
)  # fmt: skip
_WRITERS: Final = frozenset({"abc", "dataclasses", "enum", "reprlib", "typing"})


def function(value: FunctionType, context: Context) -> Shape:
    """Return the shape of a function: its name, a digest of its code, and what it carries, if anything.

    It carries its defaults and its closure. A function that cannot be imported by name also carries its
    attributes and, if the context counts globals, the globals that it reads.
    """
    carried: dict[str, Any] = {}
    if value.__defaults__:
        carried["defaults"] = value.__defaults__
    if value.__kwdefaults__:
        carried["keyword_defaults"] = value.__kwdefaults__
    if value.__closure__:
        carried["closure"] = closure(value)
    if not is_importable(value):
        if value.__dict__:
            carried["attributes"] = dict(value.__dict__)
        if context.counts_globals:
            known = value.__globals__
            read = {name: known[name] for name in global_names(value.__code__) if name in known}
            if read:
                carried["globals"] = read
    parts: list[Any] = [full_name(value), code_fingerprint(value.__code__)]
    return "$function", [*parts, carried] if carried else parts, False


def closure(function: FunctionType) -> dict[str, list[Any]]:
    """Return the contents of a function's closure by name, without ``__class__``."""
    cells = zip(function.__code__.co_freevars, function.__closure__ or (), strict=True)
    return {name: cell_parts(cell) for name, cell in cells if name != "__class__"}


def code(value: CodeType, _: Context) -> Shape:
    """Return the shape of a code object: a digest of it."""
    return "$code", code_fingerprint(value), False


def class_(value: type, context: Context) -> Shape:
    """Return the shape of a class: its name, and a digest of its content if it cannot be imported by name."""
    if is_importable(value):
        return "$class", full_name(value), False
    return "$class", [full_name(value), context.class_digest(value)], False


def class_body(kind: type) -> dict[str, Any]:
    """Return a class's content: bases, methods, attributes and fields, without what Python derives."""
    body: dict[str, Any] = {"bases": list(kind.__bases__), "made_by": full_name(type(kind))}
    members = dict(vars(kind))
    if issubclass(kind, enum.Enum):
        body["members"] = {name: member.value for name, member in kind.__members__.items()}
        members = {name: value for name, value in members.items() if isinstance(value, FunctionType)}
    elif dataclasses.is_dataclass(kind):
        body["fields"] = [
            [field.name, *([] if made is dataclasses.MISSING else [made])]
            for field in dataclasses.fields(kind)
            for made in [
                field.default if field.default_factory is dataclasses.MISSING else field.default_factory
            ]
        ]
    elif hasattr(kind, "__pydantic_validator__"):
        body["fields"] = {name: repr(field) for name, field in getattr(kind, "model_fields", {}).items()}
    body["attributes"] = {name: member for name, member in members.items() if _counts(kind, name, member)}
    return body


def _counts(kind: type, name: str, member: Any) -> bool:
    if name in _MADE or name.startswith("__pydantic_"):
        return False
    if not isinstance(member, FunctionType):
        return True
    if member.__globals__.get("__name__") in _WRITERS:
        return False
    generated = member.__code__.co_filename == "<string>" and name.startswith("__")
    return not (generated and dataclasses.is_dataclass(kind))
