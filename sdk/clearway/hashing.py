"""Cache keys, computed from a task and its arguments.

A key is the SHA-256 of a canonical JSON object (RFC 8785), so it is the same in every process and on every
machine::

    {"arguments": {<name>: <value>, ...},
     "carried": [<objects bound to the function, such as closure variables>, ...],
     "function": <SHA-256 of the function's source, without its decorators>,
     "task_key": <the task's key>}

Most functions carry nothing; ``carried`` is then left out. ``docs/cache-keys.md`` specifies the canonical
form of every kind of value.
"""

from __future__ import annotations

import functools
import inspect
import json
import logging
from collections.abc import Callable, Mapping
from hashlib import sha256
from types import CodeType
from typing import TYPE_CHECKING, Any

from clearway._canonical.carried import carried_text
from clearway._canonical.document import ArgumentError, arguments_text, canonical_json
from clearway._canonical.source import code_fingerprint, stable_digest

if TYPE_CHECKING:
    from clearway.context import TaskRunContext

__all__ = ["function_fingerprint", "input_key", "stable_digest", "task_input_hash"]

_log = logging.getLogger("clearway.hashing")


def task_input_hash(context: TaskRunContext, arguments: Mapping[str, Any]) -> str | None:
    """Return a cache key computed from the task and its arguments, for use as ``cache_key_fn``.

    The key covers the task's key (name, qualified name, tags), the function's source, each argument's value,
    and what the function carries: the bound arguments of a ``partial``, the instance of a bound method or of
    an object with ``__call__``, closure variables, and decorators' wrappers. It does not cover globals or
    files that the function reads.

    Args:
        context: The run whose key is computed.
        arguments: The task's arguments by parameter name.

    Returns:
        A key of 64 hexadecimal digits. None if an argument, or something that the function carries, has no
        content to hash, such as a lock or a generator: the run is then not cached, and a warning is logged.
    """
    task = context.task
    try:
        carried = carried_text(task.fn)
    except Exception as error:  # noqa: BLE001 - a user's __reduce__ may raise anything
        _log.debug("what a function carries has no canonical form", exc_info=True)
        _log.warning(
            "%s is not cached: what its function carries cannot be made a part of the key: %s",
            task.name,
            error,
        )
        return None
    try:
        given = arguments_text(arguments)
    except ArgumentError as error:
        _log.debug("an argument has no canonical form", exc_info=True)
        _log.warning(
            "%s is not cached: its argument %r, a %s, cannot be made a part of the key: %s",
            task.name,
            error.name,
            type(error.value).__qualname__,
            error,
        )
        return None
    digest = sha256(b'{"arguments":' + given)
    if carried:
        digest.update(b',"carried":' + carried)
    code = code_fingerprint(task.fn.__code__) if carried is None else function_fingerprint(task.fn)
    rest = f',"function":"{code}","task_key":{json.dumps(task.task_key)}}}'
    digest.update(rest.encode())
    return digest.hexdigest()


def input_key(task_key: str, arguments: Mapping[str, Any], function: str = "") -> str:
    """Return a cache key that clients in other languages can compute too.

    Use it in a ``cache_key_fn`` to share cached results with programs in other languages. Unlike
    ``task_input_hash``, it does not cover the function's source, which those programs cannot know.

        @task(cache_key_fn=lambda context, arguments: input_key("normalise", arguments))

    Args:
        task_key: A name for the work that all programs agree on.
        arguments: The inputs by name.
        function: Anything else the result depends on, such as a version. Default: empty.

    Returns:
        64 hexadecimal digits.

    Raises:
        Exception: An input has no content to hash; it is the error that its class raises when pickled.
    """
    document = {"arguments": dict(arguments), "function": function, "task_key": task_key}
    return sha256(canonical_json(document)).hexdigest()


def function_fingerprint(function: Callable[..., Any]) -> str:
    """Return a digest that changes when a function's code changes.

    It covers the source if that can be found. Otherwise, as for a function typed at a prompt, it covers the
    bytecode, which differs between Python versions.
    """
    code = _code_of(function)
    if code is None:
        kind = type(function)
        return stable_digest(kind.__module__, kind.__qualname__)
    return code_fingerprint(code)


def _code_of(function: Callable[..., Any]) -> CodeType | None:
    """Return the code object that a call runs, also of a partial, a method or an object with ``__call__``."""
    while isinstance(function, functools.partial):
        function = function.func
    function = inspect.unwrap(function)
    for candidate in (function, getattr(type(function), "__call__", None)):  # noqa: B004 - its code is wanted
        code = getattr(candidate, "__code__", None)
        if isinstance(code, CodeType):
            return code
    return None
