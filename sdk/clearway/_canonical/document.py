"""The canonical texts of values and of the arguments of a call."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from hashlib import sha256
from typing import Any, Final
from weakref import WeakKeyDictionary

from clearway._canonical.atoms import ATOMS
from clearway._canonical.code import class_body
from clearway._canonical.graph import text_of
from clearway._canonical.known import known_texts
from clearway._canonical.names import full_name
from clearway._canonical.shapes import Context
from clearway._canonical.tree import TooLargeError, TreeMaker, dump_plain

_LONG_ARGUMENT: Final = 65_536  # bytes


class ArgumentError(TypeError):
    """An argument has no canonical form.

    Attributes:
        name: The parameter.
        value: The argument.
    """

    def __init__(self, name: str, value: Any, cause: Exception) -> None:
        self.name = name
        self.value = value
        super().__init__(str(cause) or type(cause).__name__)


class Counting:
    """Whether the globals that functions read count as part of a value; by default they do."""

    def __init__(self, *, counts_globals: bool = True) -> None:
        self.counts_globals = counts_globals

    def class_digest(self, kind: type) -> str:
        """Return a digest of a class's content at the time of the first call for this class."""
        known = _classes.get(kind)
        if known is None:
            if kind in _under_way.kinds:  # the class refers to itself through one of its attributes
                return ""
            known = _digest_class(kind)
            if not _under_way.kinds:
                _classes[kind] = known
        return known


class _UnderWay(threading.local):
    """The classes whose digests this thread is computing."""

    def __init__(self) -> None:
        self.kinds: list[type] = []


_classes: Final[WeakKeyDictionary[type, str]] = WeakKeyDictionary()
_under_way: Final = _UnderWay()
_ALL: Final = Counting()
_NO_GLOBALS: Final = Counting(counts_globals=False)


def _digest_class(kind: type) -> str:
    _under_way.kinds.append(kind)
    try:
        body = class_body(kind)
        attributes = body["attributes"]
        for name, member in attributes.items():
            try:
                attributes[name] = sha256(canonical_json(member, _NO_GLOBALS)).hexdigest()
            except Exception:  # noqa: BLE001 - such as a lock, which has no bearing on the instances
                attributes[name] = full_name(type(member))
        return sha256(canonical_json(body, _NO_GLOBALS)).hexdigest()
    finally:
        _under_way.kinds.pop()


def canonical_json(value: Any, context: Context = _ALL) -> bytes:
    """Return a value as canonical JSON.

    Raises:
        Exception: Part of the value has no canonical form: ``UndigestibleError``, or what its class raises
            when pickled.
    """
    maker = TreeMaker(context)
    try:
        return maker.dump(maker.tree(value))
    except (TooLargeError, RecursionError):
        return text_of(value, context)


def arguments_text(arguments: Mapping[str, Any]) -> bytes:
    """Return the arguments of a call as a canonical JSON object, long ones as ``{"$sha256": <digest>}``.

    Raises:
        ArgumentError: An argument has no canonical form.
    """
    known = known_texts.get()
    if known is None:
        whole = _whole(arguments)
        if whole is not None:
            return whole
    texts = []
    for name in sorted(arguments, key=lambda name: name.encode("utf-16-be")):
        value = arguments[name]
        try:
            text = None if known is None else known.text(value, argument_text)
            texts.append(dump_plain(name).encode() + b":" + (argument_text(value) if text is None else text))
        except Exception as error:
            raise ArgumentError(name, value, error) from error
    return b"{" + b",".join(texts) + b"}"


def _whole(arguments: Mapping[str, Any]) -> bytes | None:
    """Return the text of arguments that are all short, written in one go; None if one is long."""
    maker = TreeMaker(_ALL)
    trees: dict[str, Any] = {}
    for name, value in arguments.items():
        atom = ATOMS.get(type(value))
        if atom is not None:
            trees[name] = atom(value)
            continue
        try:
            trees[name] = maker.tree(value)
        except (TooLargeError, RecursionError):
            return None
        except Exception as error:
            raise ArgumentError(name, value, error) from error
    try:
        text = maker.dump(maker.named(trees))
    except RecursionError:
        return None
    return text if len(text) <= _LONG_ARGUMENT else None


def argument_text(value: Any) -> bytes:
    """Return the canonical text of an argument; if that is long, the text of its digest."""
    text = canonical_json(value)
    if len(text) <= _LONG_ARGUMENT:
        return text
    return b'{"$sha256":"' + sha256(text).hexdigest().encode() + b'"}'
