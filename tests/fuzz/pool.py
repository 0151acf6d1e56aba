"""The pool: ids and page tokens from the server, so that messages refer to existing objects."""

from __future__ import annotations

import re
import threading
from collections import defaultdict, deque
from random import Random
from uuid import UUID

from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import Message

_KINDS = ("FlowRun", "TaskRun", "ConcurrencyLimit", "State", "Session", "Decision", "Proposal")
_UUID = re.compile("[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
_KEPT = 300
_MOST_SEEN = 200


class Pool:
    """Collects ids from responses. Thread-safe.

    Attributes:
        others: Ids that fuzzers must not use, because an honest client's data depends on them.
    """

    def __init__(self) -> None:
        self.others: set[str] = set()
        self._lock = threading.Lock()
        self._ids: dict[str, deque[str]] = defaultdict(lambda: deque(maxlen=_KEPT))
        self._tokens: deque[str] = deque(maxlen=_KEPT)

    def learn(self, message: Message) -> None:
        """Collect the ids and tokens of a response."""
        todo, seen = [message], 0
        while todo and seen < _MOST_SEEN:
            each, seen = todo.pop(), seen + 1
            for field, value in each.ListFields():
                if field.type == FieldDescriptor.TYPE_MESSAGE:
                    if field.message_type.GetOptions().map_entry:
                        continue
                    todo += list(value)[:20] if field.is_repeated else [value]
                elif field.type == FieldDescriptor.TYPE_STRING:
                    for text in list(value)[:20] if field.is_repeated else [value]:
                        self._learn_text(field, text)

    def _learn_text(self, field: FieldDescriptor, text: str) -> None:
        with self._lock:
            if field.name == "next_page_token":
                self._tokens.append(text)
            elif _UUID.fullmatch(text) and text not in self.others:
                self._ids[_kind(field)].append(text)

    def id(self, field: FieldDescriptor, chance: Random) -> str:
        """Return an id that fits a field, sometimes one that does not, and sometimes a new one."""
        drawn = chance.random()
        if _makes(field):
            # Usually a new one; empty lets the server generate it.
            drawn = 1.0 if drawn < 0.7 else chance.random()
        with self._lock:
            if drawn < 0.75 and (fitting := self._ids.get(_kind(field))):
                return fitting[chance.randrange(len(fitting))]
            if drawn < 0.85 and self._ids:
                several = self._ids[chance.choice(sorted(self._ids))]
                if several:
                    return several[chance.randrange(len(several))]
        return str(UUID(bytes=chance.randbytes(16), version=4))

    def token(self, chance: Random) -> str:
        """Return a page token of any list."""
        with self._lock:
            return self._tokens[chance.randrange(len(self._tokens))] if self._tokens else "MQ=="

    def known(self, kind: str) -> list[str]:
        """Return the ids of a kind, such as ``flow_run``."""
        with self._lock:
            return list(self._ids[kind])


def _makes(field: FieldDescriptor) -> bool:
    """Return True if clients generate the field's id."""
    owner = field.containing_type.name
    return field.name in ("proposal_id", "upload_id") or (
        field.name == "id" and owner.endswith(("Spec", "Proposal"))
    )


def _kind(field: FieldDescriptor) -> str:
    """Return the kind of a field's ids, such as ``flow_run`` or ``session``, else the field's own name."""
    name = field.name.removesuffix("s").removesuffix("_id").removeprefix("resume_")
    for kind in ("flow_run", "task_run", "session", "state", "proposal", "upload"):
        if name.endswith(kind):
            return kind
    owner: Descriptor = field.containing_type
    for kind in _KINDS:
        if kind in owner.name:
            return re.sub("(?<!^)([A-Z])", r"_\1", kind).lower()
    return name
