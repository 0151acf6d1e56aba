"""The canonical text of any value, however deeply nested, shared or circular, in time linear in its objects.

Small values have the same text as in ``tree``. A text with more than ``MAX_ITEMS`` items, or nested deeper
than ``MAX_HEIGHT``, is folded: every inner text longer than ``_LONG`` bytes is replaced by
``{"$sha256": <digest of its own folded text>}``. Whether a text is folded depends only on the content: an
object that is referenced twice counts like two equal objects.

Objects that contain themselves would have an endless text. They are numbered in the order in which a walk
from the root meets them, and are replaced by ``{"$ref": <number>}``; their texts follow in a list.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from hashlib import sha256
from typing import Any, Final

from clearway._canonical.atoms import ATOMS, floating, is_plain
from clearway._canonical.choice import shape_of
from clearway._canonical.rings import components
from clearway._canonical.shapes import Context, UndigestibleError
from clearway._canonical.tree import MAX_HEIGHT, MAX_ITEMS, dump_plain, has_plain_names

_LONG: Final = 100
_ROUNDS: Final = 3  # of comparing circular objects in a set by their content, to put them in an order
_LIST, _UNORDERED, _OBJECT, _TAG = range(4)


class _Node:
    """A list, an object or a tag; its children are numbers of other nodes and texts of atoms."""

    __slots__ = ("children", "kind", "names")

    def __init__(self, kind: int, names: list[bytes] | None = None) -> None:
        self.kind = kind
        self.names = names
        self.children: list[int | bytes] = []

    def inner(self) -> Iterator[int]:
        return (child for child in self.children if type(child) is int)

    def text(self, children: list[bytes]) -> bytes:
        if self.kind == _UNORDERED:
            children = sorted(children)
        if self.names is None:
            return b"[" + b",".join(children) + b"]"
        members = (name + b":" + child for name, child in zip(self.names, children, strict=True))
        return b"{" + b",".join(members) + b"}"


def text_of(value: Any, context: Context) -> bytes:
    """Return the canonical text of a value.

    Raises:
        Exception: Part of the value has no shape; see ``shape_of``.
    """
    leaf = _leaf(value)
    if leaf is not None:
        return leaf
    nodes = _nodes(value, context)
    order = components([[*node.inner()] for node in nodes])
    if any(len(ring) > 1 or ring[0] in nodes[ring[0]].inner() for ring in order):
        return _Circular(nodes, order).text()
    numbers = [ring[0] for ring in order]
    return _texts(nodes, numbers, folded=_is_large(nodes, numbers))


def _nodes(root: Any, context: Context) -> list[_Node]:  # noqa: C901 - it has three inner functions
    """Return the nodes of the graph of a value; the first is that of the value itself."""
    nodes: list[_Node] = []
    known: dict[int, int] = {}
    kept: list[Any] = []  # keeps objects alive, so that their ids are not reused
    todo: list[tuple[Any, int]] = []

    def add(node: _Node, parts: Any) -> int:
        nodes.append(node)
        todo.append((parts, len(nodes) - 1))
        return len(nodes) - 1

    def child(value: Any) -> int | bytes:
        leaf = _leaf(value)
        if leaf is not None:
            return leaf
        number = known.get(id(value))
        if number is None:
            kept.append(value)
            kind = type(value)
            if kind is list or kind is dict:
                number = container(value, unordered=False)
            else:
                tag, parts, unordered = shape_of(value, context)
                number = add(_Node(_TAG, [_text(tag)]), (parts, unordered))
            known[id(value)] = number
        return number

    def container(value: Any, *, unordered: bool) -> int:
        if type(value) is not dict:
            return add(_Node(_UNORDERED if unordered else _LIST), value)
        if has_plain_names(value):
            names = sorted(value, key=lambda name: name.encode("utf-16-be"))
            return add(_Node(_OBJECT, [*map(_text, names)]), [value[name] for name in names])
        return add(_Node(_TAG, [_text("$dict")]), ([_Pair(pair) for pair in value.items()], True))

    child(root)
    while todo:
        parts, number = todo.pop()
        node = nodes[number]
        if node.kind == _TAG:
            parts, unordered = parts
            is_container = type(parts) in (list, dict, tuple)
            node.children.append(container(parts, unordered=unordered) if is_container else child(parts))
        else:
            node.children.extend(
                add(_Node(_LIST), part) if type(part) is _Pair else child(part) for part in parts
            )
    return nodes


class _Pair(tuple[Any, Any]):
    """A key and its value in a dict with keys that JSON objects cannot have; written as a list."""

    __slots__ = ()


def _leaf(value: Any) -> bytes | None:
    kind = type(value)
    atom = ATOMS.get(kind)
    if atom is not None:
        return dump_plain(atom(value)).encode()
    if kind is not float:
        return None
    form = floating(value)
    if form is value and not is_plain(value):
        import rfc8785  # noqa: PLC0415 - needed for few numbers

        return bytes(rfc8785.dumps(value))
    return dump_plain(form).encode()


def _text(value: str) -> bytes:
    return dump_plain(value).encode()


def _is_large(nodes: list[_Node], order: list[int]) -> bool:
    items, heights = [0] * len(nodes), [0] * len(nodes)
    for number in order:
        node = nodes[number]
        count = 0 if node.kind == _TAG else len(node.children)
        height = 0
        for child in node.inner():
            count += items[child]
            height = max(height, heights[child])
        items[number], heights[number] = count, height + 1
        if count > MAX_ITEMS or height >= MAX_HEIGHT:
            return True
    return False


def _texts(nodes: list[_Node], order: list[int], *, folded: bool) -> bytes:
    """Return the text of the root; in ``order``, each node comes after its children."""
    texts: list[bytes] = [b""] * len(nodes)
    text = b""
    for number in order:
        node = nodes[number]
        text = node.text([texts[child] if type(child) is int else child for child in node.children])  # type: ignore[misc]
        texts[number] = _fold(text) if folded else text
    return text


def _fold(text: bytes) -> bytes:
    if len(text) <= _LONG:
        return text
    return b'{"$sha256":"' + sha256(text).hexdigest().encode() + b'"}'


class _Circular:
    """Computes the text of a value with objects that contain themselves, directly or through others."""

    def __init__(self, nodes: list[_Node], order: list[list[int]]) -> None:
        self._nodes = nodes
        self._order = order
        self._edges = [[*node.inner()] for node in nodes]
        self._ring_of = [-1] * len(nodes)
        for place, ring in enumerate(order):
            if len(ring) > 1 or ring[0] in self._edges[ring[0]]:
                for number in ring:
                    self._ring_of[number] = place
        self._touches = [False] * len(nodes)
        self._digests: list[bytes] = [b""] * len(nodes)

    def text(self) -> bytes:
        """Return the canonical text."""
        self._compare()
        references = self._references()
        texts: list[bytes] = [b""] * len(self._nodes)
        follow: dict[int, bytes] = {}
        for ring in self._order:
            for number in ring:
                inner = [references.get(child) or texts[child] for child in self._edges[number]]
                text = self._written(number, inner)
                if number in references:
                    follow[number] = text
                else:
                    texts[number] = _fold(text)
        root = references.get(0) or texts[0]
        return b'{"$graph":[' + root + b",[" + b",".join(follow[number] for number in references) + b"]]}"

    def _written(self, number: int, inner: list[bytes]) -> bytes:
        given = iter(inner)
        node = self._nodes[number]
        children = [next(given) if type(child) is int else child for child in node.children]
        if node.kind == _UNORDERED and self._touches[number]:  # _compare has sorted them
            return b"[" + b",".join(children) + b"]"  # type: ignore[arg-type]
        return node.text(children)  # type: ignore[arg-type]

    def _compare(self) -> None:
        """Sort the items of unordered nodes by their content.

        Raises:
            UndigestibleError: Two items of a set differ only in their position within a circle of references.
        """
        for ring in self._order:
            for number in ring:
                self._touches[number] = self._ring_of[number] >= 0 or any(
                    self._touches[child] for child in self._edges[number]
                )
        unordered = [
            number
            for number, node in enumerate(self._nodes)
            if node.kind == _UNORDERED and self._touches[number]
        ]
        if not unordered:
            return
        for ring in self._order:
            for _ in range(_ROUNDS if self._ring_of[ring[0]] >= 0 else 1):
                now = {number: self._digest(number) for number in ring}
                for number, digest in now.items():
                    self._digests[number] = digest
        for number in unordered:
            self._arrange(number, self._nodes[number])

    def _digest(self, number: int) -> bytes:
        node = self._nodes[number]
        children = [self._digests[child] if type(child) is int else child for child in node.children]
        return sha256(bytes([node.kind]) + node.text(children)).hexdigest().encode()  # type: ignore[arg-type]

    def _arrange(self, number: int, node: _Node) -> None:
        keyed = sorted(
            (self._digests[child] if type(child) is int else child, place)
            for place, child in enumerate(node.children)
        )
        for (digest, place), (following, other) in itertools.pairwise(keyed):
            one, two = node.children[place], node.children[other]
            if digest == following and one != two and type(one) is int and self._touches[one]:
                raise UndigestibleError(
                    "a set or dictionary has objects that contain each other and cannot be put in an order"
                )
        node.children = [node.children[place] for _, place in keyed]
        self._edges[number] = [*node.inner()]

    def _references(self) -> dict[int, bytes]:
        """Return the references to circular nodes, in the order in which a walk from the root meets these."""
        references: dict[int, bytes] = {}
        met = [False] * len(self._nodes)
        todo = [0]
        while todo:
            number = todo.pop()
            if met[number]:
                continue
            met[number] = True
            if self._ring_of[number] >= 0:
                references[number] = b'{"$ref":%d}' % len(references)
            todo.extend(reversed(self._edges[number]))
        return references
