"""The pages about the protocol name what it has."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.descriptor_pb2 import FileDescriptorSet
from google.protobuf.descriptor_pool import DescriptorPool

from support.documents import ROOT

PAGES = ["docs/protocol.md", "docs/operations.md"]
PACKAGE = "clearway.v1."
ENUMS = [
    "AbortReason",
    "ErrorReason",
    "Feature",
    "FieldFormat",
    "RejectReason",
    "Role",
    "RunErrorKind",
    "StateType",
    "WaitReason",
]

_FENCE = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)
_CODE = re.compile(r"`([^`\n]+)`")
_NAME = re.compile(r"[A-Z][a-zA-Z]*[a-z][a-zA-Z]*(\.[a-z_]+)*")
_VALUE = re.compile(r"\b[A-Z]+(_[A-Z]+)*_(REASON|TYPE|KIND|FORMAT)_[A-Z_]+|\b(FEATURE|ROLE)_[A-Z_]+")
_STATE_NAMES = {"Retrying", "Cached", "AwaitingRetry", "Rerunning"}
_METHOD = re.compile(r"clearway\.v1\.Orchestrator[/.](\w+)")


@pytest.fixture(scope="module")
def pool() -> DescriptorPool:
    found = DescriptorPool()
    image = FileDescriptorSet.FromString((ROOT / "protos/released.binpb").read_bytes())
    for file in image.file:
        found.Add(file)  # type: ignore[no-untyped-call]
    return found


@pytest.fixture(scope="module")
def methods(pool: DescriptorPool) -> set[str]:
    service = pool.FindServiceByName(PACKAGE + "Orchestrator")
    return {method.name for method in service.methods}


def names_in(page: str) -> Iterator[str]:
    """Yield what stands in backticks within the text of a page."""
    text = _FENCE.sub("", (ROOT / page).read_text(encoding="utf-8"))
    yield from _CODE.findall(text)


def is_there(pool: DescriptorPool, name: str) -> bool:
    """Return whether a message or an enum, or a field of a message by its path, is in the protocol."""
    first, *path = name.split(".")
    if not path and first in ENUMS:
        return True
    try:
        message: Descriptor | None = pool.FindMessageTypeByName(PACKAGE + first)
    except KeyError:
        return False
    for part in path:
        field: FieldDescriptor | None = message.fields_by_name.get(part) if message else None
        if field is None and not (message and part in message.oneofs_by_name):
            return False
        message = field.message_type if field else None
    return True


@pytest.mark.parametrize("page", PAGES)
def test_messages_fields_and_rpcs_that_a_page_names_are_there(
    page: str, pool: DescriptorPool, methods: set[str]
) -> None:
    named = {name for name in names_in(page) if _NAME.fullmatch(name)} - _STATE_NAMES
    assert named
    assert [name for name in sorted(named) if name not in methods and not is_there(pool, name)] == []


@pytest.mark.parametrize("page", PAGES)
def test_enum_values_that_a_page_names_are_there(page: str, pool: DescriptorPool) -> None:
    known = {value.name for enum in ENUMS for value in pool.FindEnumTypeByName(PACKAGE + enum).values}
    named = {found.group() for found in _VALUE.finditer((ROOT / page).read_text(encoding="utf-8"))}
    assert named <= known


@pytest.mark.parametrize("page", PAGES)
def test_methods_in_the_commands_of_a_page_are_there(page: str, methods: set[str]) -> None:
    assert set(_METHOD.findall((ROOT / page).read_text(encoding="utf-8"))) <= methods


@pytest.mark.parametrize(
    "enum", ["ErrorReason", "WaitReason", "RejectReason", "AbortReason", "RunErrorKind", "Role"]
)
def test_the_page_about_the_protocol_names_each_reason(enum: str, pool: DescriptorPool) -> None:
    text = (ROOT / "docs/protocol.md").read_text(encoding="utf-8")
    names = {value.name for value in pool.FindEnumTypeByName(PACKAGE + enum).values if value.number}
    assert names <= set(_CODE.findall(text))


def test_the_page_about_the_protocol_says_how_to_stream(pool: DescriptorPool) -> None:
    text = (ROOT / "docs/protocol.md").read_text(encoding="utf-8")
    fields = pool.FindMessageTypeByName(PACKAGE + "ProposeRequest").fields
    assert [field.name for field in fields if field.name not in text] == []


def test_a_name_that_is_not_there_is_found(pool: DescriptorPool) -> None:
    assert is_there(pool, "Decision.wait.queued")
    assert not is_there(pool, "Decision.wait.quiet")
    assert not is_there(pool, "Decided")
    assert not is_there(pool, "Decision.proposal_id.length")


def rows_of(page: str, heading: str) -> dict[str, list[str]]:
    """Return the rows of the table below a heading, by the names in backticks in their first cells."""
    text = (ROOT / page).read_text(encoding="utf-8").split(f"## {heading}\n")[1].split("\n## ")[0]
    rows = [line.strip("| ").split(" | ") for line in text.splitlines() if line.startswith("| `")]
    return {name: [cell.strip() for cell in row[1:]] for row in rows for name in _CODE.findall(row[0])}


def test_the_table_of_errors_has_the_status_and_the_metadata_of_each_reason() -> None:
    described = (ROOT / "docs/reference/error.md").read_text(encoding="utf-8")
    errors = rows_of("docs/protocol.md", "Errors")
    for name, (status, metadata, *_) in errors.items():
        (comment,) = re.findall(rf"^\| \d+ \| `{name}` \| (.*) \|$", described, re.MULTILINE)
        assert f"Status {status}." in comment, name
        keys = re.search(r"Metadata: (.*?)\. Example", comment)
        assert _CODE.findall(metadata) == _CODE.findall(keys[1] if keys else ""), name
    assert len(errors) == 12
