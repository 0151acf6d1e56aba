"""Keys of cached results, made from what a task is and what it is given.

The key is the SHA-256 of a canonical JSON object (RFC 8785)::

    {"arguments": {<name>: <value>, ...},
     "carried": [<what the function carries>, ...],
     "function": <SHA-256 of the function's source, without its decorators>,
     "task_key": <the task's key>}

so that it is the same in every process and on every machine. Most functions carry nothing, and the member is
left out. ``docs/cache-keys.md`` has the forms of all values.
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
    """Return a cache key for a task and the arguments it is called with: a ``cache_key_fn``.

    What counts is the task's key (name, qualified name, tags), its source, what its function carries (the
    bound arguments of a ``partial``, the instance of a bound method or of an object with ``__call__``,
    closures, the wrappers of decorators), and each argument's value. Globals and files that the function
    reads do not.

    Args:
        context: The run that asks.
        arguments: The values that the task is called with, by parameter.

    Returns:
        A key of 64 characters, or None if an argument, or something that the function carries, has no
        content that could be read, as a lock or a generator: then the run is not cached, and a log line
        says why.
    """
    task = context.task
    try:
        carried = carried_text(task.fn)
    except Exception as error:  # noqa: BLE001 - a user's __reduce__ may raise whatever it likes
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
        Exception: An input has no content that could be read; what its class raises when it is pickled.
    """
    document = {"arguments": dict(arguments), "function": function, "task_key": task_key}
    return sha256(canonical_json(document)).hexdigest()


def function_fingerprint(function: Callable[..., Any]) -> str:
    """Return a digest that changes when a function's code does.

    It is of the source if that is found, and otherwise (a function typed at a prompt, say) of the bytecode,
    which differs between Python versions.
    """
    code = _code_of(function)
    if code is None:
        kind = type(function)
        return stable_digest(kind.__module__, kind.__qualname__)
    return code_fingerprint(code)


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
