"""The canonical form of most values: a tree of JSON values, built recursively and then written in one go."""

from __future__ import annotations

import json
from typing import Any, Final

from clearway._canonical.atoms import ATOMS, floating, is_plain, text
from clearway._canonical.choice import shape_of
from clearway._canonical.shapes import Context

MAX_HEIGHT: Final = 100
"""How deeply lists, objects and tags may be nested; a deeper text is folded, see ``graph``."""
MAX_ITEMS: Final = 2**20
"""How many items a text may have, each counted as often as it is written; a longer text is folded."""

dump_plain: Final = json.JSONEncoder(
    ensure_ascii=False, allow_nan=False, check_circular=False, separators=(",", ":"), sort_keys=True
).encode


class TooLargeError(Exception):
    """A value is nested too deeply or has too many items for a tree; ``graph`` has no such limits."""


class TreeMaker:
    """Builds trees of JSON values, visiting an object only once even if it is referenced several times.

    It is recursive, so it fails for values that are nested deeply.
    """

    __slots__ = ("_context", "_deepest", "_items", "_plain", "_seen")

    def __init__(self, context: Context) -> None:
        self._context = context
        self._items = 0
        self._deepest = 0
        self._plain = True
        self._seen: dict[int, tuple[Any, Any, int, int]] = {}

    def dump(self, tree: Any) -> bytes:
        """Return a tree as canonical JSON (RFC 8785)."""
        if self._plain:
            return dump_plain(tree).encode()
        import rfc8785  # noqa: PLC0415 - correct for all numbers and keys, but slower

        body: bytes = rfc8785.dumps(tree)
        return body

    def tree(self, value: Any, depth: int = 0) -> Any:
        """Return a value as a tree of JSON values.

        Raises:
            TooLargeError: The tree would be nested too deeply or have too many items.
            Exception: Part of the value has no shape; see ``shape_of``.
        """
        kind = type(value)
        atom = ATOMS.get(kind)
        if atom is not None:
            return atom(value)
        if kind is float:
            form = floating(value)
            if form is value and not is_plain(value):
                self._plain = False
            return form
        key = id(value)
        seen = self._seen.get(key)
        if seen is not None:
            _, tree, items, height = seen
            self._items += items
            self._descend(depth + height)
            return tree
        if depth >= MAX_HEIGHT:
            raise TooLargeError
        before, outer, self._deepest = self._items, self._deepest, depth
        if kind is list:
            tree = self._list(value, depth)
        elif kind is dict:
            tree = self._object(value, depth)
        else:
            tag, parts, unordered = shape_of(value, self._context)
            tree = {tag: self._parts(parts, depth + 1, unordered)}
        self._seen[key] = (value, tree, self._items - before, self._deepest - depth)
        if outer > self._deepest:  # noqa: PLR1730 - max() takes longer
            self._deepest = outer
        return tree

    def _parts(self, parts: Any, depth: int, unordered: bool) -> Any:
        kind = type(parts)
        if kind is dict:
            return self._object(parts, depth)
        if kind is not list and kind is not tuple:
            return self.tree(parts, depth)
        items = self._list(parts, depth)
        if unordered:
            items.sort(key=self.dump)
        return items

    def _list(self, value: Any, depth: int) -> list[Any]:
        self._items += len(value)
        if depth > self._deepest or self._items > MAX_ITEMS:
            self._descend(depth)
        depth += 1
        tree = self.tree
        return [tree(item, depth) for item in value]

    def _object(self, value: dict[Any, Any], depth: int) -> Any:
        """Return a dict as an object, or as a list of pairs if it has keys that are not plain names."""
        self._items += len(value)
        if depth > self._deepest or self._items > MAX_ITEMS:
            self._descend(depth)
        depth += 1
        tree = self.tree
        if has_plain_names(value):
            return self.named({key: tree(item, depth) for key, item in value.items()})
        self._items += 2 * len(value)
        self._descend(depth + 1)
        depth += 2
        pairs = [[tree(key, depth), tree(item, depth)] for key, item in value.items()]
        return {"$dict": sorted(pairs, key=self.dump)}

    def _descend(self, depth: int) -> None:
        """Record a depth; raise TooLargeError if the depth or the number of items exceeds its limit."""
        self._deepest = max(self._deepest, depth)
        if depth >= MAX_HEIGHT or self._items > MAX_ITEMS:
            raise TooLargeError

    def named(self, trees: dict[str, Any]) -> dict[str, Any]:
        """Return trees by name as an object, and note if its names need the RFC 8785 order."""
        if self._plain and not all(map(str.isascii, trees)):
            self._plain = False  # RFC 8785 sorts by UTF-16 code units, Python by code points
        return trees


def has_plain_names(value: dict[Any, Any]) -> bool:
    """Return True if all keys of a dict can be names in a JSON object: texts that do not begin with ``$``."""
    for key in value:
        if type(key) is not str or key[:1] == "$" or not (key.isascii() or type(text(key)) is str):
            return False
    return True
