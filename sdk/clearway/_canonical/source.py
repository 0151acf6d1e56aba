"""Digests of code: of its source if that can be found, otherwise of its bytecode."""

from __future__ import annotations

import ast
import functools
import inspect
import textwrap
from dis import get_instructions
from hashlib import sha256
from types import CodeType
from typing import Final

_LAMBDA: Final = "<lambda>"


def stable_digest(*parts: str) -> str:
    """Return the SHA-256 of texts in hexadecimal; ``("a", "b")`` and ``("ab",)`` have different digests."""
    digest = sha256()
    for part in parts:
        encoded = part.encode("utf-8", "surrogatepass")
        if len(parts) > 1:
            digest.update(b"%d:" % len(encoded))
        digest.update(encoded)
    return digest.hexdigest()


@functools.lru_cache(maxsize=4_096)
def code_fingerprint(code: CodeType) -> str:
    """Return a digest of a function's source from its ``def`` on, or of its bytecode."""
    try:
        source = textwrap.dedent(inspect.getsource(code))
    except (OSError, TypeError):
        source = ""
    if source and code.co_name == _LAMBDA:
        source = _only_lambda(source)
    if not source:
        return stable_digest("bytecode", *_code_parts(code))
    return stable_digest("source", _without_decorators(source))


def _only_lambda(source: str) -> str:
    """Return the source of the only lambda in some lines; empty if there are several or they do not parse."""
    try:
        found = [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Lambda)]
    except SyntaxError:
        return ""
    return ast.unparse(found[0]) if len(found) == 1 else ""


def _without_decorators(source: str) -> str:
    """Return a function's source from its ``def`` on, so that a task's options do not affect cache keys."""
    try:
        statement = ast.parse(source).body[0]
    except (SyntaxError, IndexError):
        return source.strip()
    if isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef):
        source = "\n".join(source.splitlines()[statement.lineno - 1 : statement.end_lineno])
    return source.strip()


def _code_parts(code: CodeType) -> list[str]:
    names = (code.co_names, code.co_varnames, code.co_freevars, code.co_cellvars)
    parts = [code.co_code.hex(), repr(names), f"{code.co_argcount} {code.co_kwonlyargcount} {code.co_flags}"]
    for constant in code.co_consts:
        parts.extend(_code_parts(constant) if isinstance(constant, CodeType) else [_constant(constant)])
    return parts


def _constant(value: object) -> str:
    if isinstance(value, frozenset):  # its order differs between processes
        return repr(sorted(map(repr, value)))
    return repr(value)


@functools.lru_cache(maxsize=4_096)
def global_names(code: CodeType) -> tuple[str, ...]:
    """Return the names of the globals that a function's code, including nested functions, reads."""
    names = {step.argval for step in get_instructions(code) if step.opname in {"LOAD_GLOBAL", "LOAD_NAME"}}
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            names.update(global_names(constant))
    return tuple(sorted(names))


@functools.lru_cache(maxsize=4_096)
def assigned_names(code: CodeType) -> frozenset[str]:
    """Return the names of closure variables that a function's code, nested functions included, assigns to."""
    stores = {"STORE_DEREF", "DELETE_DEREF"}
    names = {step.argval for step in get_instructions(code) if step.opname in stores}
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            names |= assigned_names(constant)
    return frozenset(names)


@functools.lru_cache(maxsize=4_096)
def assigned_attributes(code: CodeType) -> frozenset[str]:
    """Return the names of the attributes that a function's code assigns to, on any object."""
    return frozenset(step.argval for step in get_instructions(code) if step.opname == "STORE_ATTR")
