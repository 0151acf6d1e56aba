"""Keys of cached results, made from what a task is and what it is given.

The key is the SHA-256 of a canonical JSON object (RFC 8785)::

    {"arguments": {<name>: <value>, ...},
     "function": <SHA-256 of the function's source, without its decorators>,
     "task_key": <the task's key>}

so that it is the same in every process, on every machine, and for what JSON holds in every language. What
JSON does not hold has forms of its own; ``docs/cache-keys.md`` has the whole of it.
"""

from __future__ import annotations

import ast
import functools
import inspect
import logging
import textwrap
from collections.abc import Callable, Mapping
from hashlib import sha256
from types import CodeType
from typing import TYPE_CHECKING, Any

from clearway._definition.canonical import Canon

if TYPE_CHECKING:
    from clearway.context import TaskRunContext

_log = logging.getLogger("clearway.hashing")


def task_input_hash(context: TaskRunContext, arguments: Mapping[str, Any]) -> str | None:
    """Return a cache key for a task and the arguments it is called with: a ``cache_key_fn``.

    What counts is the task's key (name, qualified name, tags), its source, and each argument's value. What
    the function reads from elsewhere (globals, closures, files) does not.

    Args:
        context: The run that asks.
        arguments: The values that the task is called with, by parameter.

    Returns:
        A key of 64 characters, or None where an argument can be held by neither JSON nor cloudpickle: then
        the run is not cached, and a log line names the argument.
    """
    canon = Canon()
    trees: dict[str, Any] = {}
    for name, value in arguments.items():
        try:
            trees[name] = canon.tree(value)
        except Exception:  # noqa: BLE001 - a user's __reduce__ may raise whatever it likes
            _log.debug("an argument cannot be pickled", exc_info=True)
            _log.warning(
                "%s is not cached: neither JSON nor cloudpickle can hold its argument %r, a %s",
                context.task.name,
                name,
                type(value).__qualname__,
            )
            return None
    document = {
        "arguments": canon.named(trees),
        "function": function_fingerprint(context.task.fn),
        "task_key": context.task.task_key,
    }
    return sha256(canon.dump(document)).hexdigest()


def input_key(task_key: str, arguments: Mapping[str, Any], function: str = "") -> str:
    """Return the cache key of some inputs, as a client of any language makes it.

    For a ``cache_key_fn`` whose results another language is to find, or has made: it leaves out the
    function's source, which the other language cannot know.

        @task(cache_key_fn=lambda context, arguments: input_key("normalise", arguments))

    Args:
        task_key: What the two sides call the work.
        arguments: The inputs by name.
        function: What else the result depends on, such as a version.

    Returns:
        64 hexadecimal digits.

    Raises:
        Exception: What pickling raised, for an input that has no form in JSON.
    """
    canon = Canon()
    document = {"arguments": dict(arguments), "function": function, "task_key": task_key}
    return sha256(canon.dump(canon.tree(document))).hexdigest()


def stable_digest(*parts: str) -> str:
    """Return the SHA-256 of some texts, hexadecimal: the same in every process. ("a", "b") is not ("ab",)."""
    digest = sha256()
    for part in parts:
        encoded = part.encode("utf-8", "surrogatepass")
        if len(parts) > 1:
            digest.update(b"%d:" % len(encoded))
        digest.update(encoded)
    return digest.hexdigest()


def function_fingerprint(function: Callable[..., Any]) -> str:
    """Return a digest that changes when a function's code does.

    It is of the source where that is found, and else (a function typed at a prompt, say) of the bytecode,
    which differs between Python versions.
    """
    code = _code_of(function)
    if code is None:
        kind = type(function)
        return stable_digest(kind.__module__, kind.__qualname__)
    return _code_fingerprint(code)


def _code_of(function: Callable[..., Any]) -> CodeType | None:
    """Return the code that a call runs: also of a partial, a method, or an object with ``__call__``."""
    while isinstance(function, functools.partial):
        function = function.func
    function = inspect.unwrap(function)
    for candidate in (function, getattr(type(function), "__call__", None)):  # noqa: B004 - its code is wanted
        code = getattr(candidate, "__code__", None)
        if isinstance(code, CodeType):
            return code
    return None


@functools.lru_cache(maxsize=4_096)
def _code_fingerprint(code: CodeType) -> str:
    try:
        source = textwrap.dedent(inspect.getsource(code))
    except (OSError, TypeError):
        return stable_digest("bytecode", *_code_parts(code))
    return stable_digest("source", _without_decorators(source))


def _without_decorators(source: str) -> str:
    """Return a function's source from its ``def`` on, so that changing a task's options keeps its results."""
    try:
        statement = ast.parse(source).body[0]
    except (SyntaxError, IndexError):  # a lambda in the middle of an expression
        return source.strip()
    if isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef):
        source = "\n".join(source.splitlines()[statement.lineno - 1 : statement.end_lineno])
    return source.strip()


def _code_parts(code: CodeType) -> list[str]:
    parts = [code.co_code.hex(), repr(code.co_names)]
    for constant in code.co_consts:
        parts.extend(_code_parts(constant) if isinstance(constant, CodeType) else [_constant(constant)])
    return parts


def _constant(value: object) -> str:
    if isinstance(value, frozenset):  # its order differs between processes
        return repr(sorted(map(repr, value)))
    return repr(value)
