"""The generated reference of the protocol: complete, and without a link that leads nowhere."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from importlib import import_module
from pathlib import Path

import pytest
from google.protobuf.descriptor import FileDescriptor

from clearway.v1 import options_pb2, orchestrator_pb2
from support.documents import ROOT

REFERENCE = ROOT / "docs" / "reference"
PROTOCOL = ROOT / "docs" / "protocol.md"
PAGES = sorted(REFERENCE.glob("*.md"))
FILES: list[FileDescriptor] = [
    import_module(f"clearway.v1.{path.stem}_pb2").DESCRIPTOR
    for path in sorted((ROOT / "protos/clearway/v1").glob("*.proto"))
]
METHODS = orchestrator_pb2.DESCRIPTOR.services_by_name["Orchestrator"].methods

_LINK = re.compile(r"\]\(([^)\s]+)\)")
_HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)
_FENCE = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)


def sections(page: Path) -> dict[str, str]:
    """Return the text of each section of a page by its heading."""
    parts = re.split(r"^## ", page.read_text(encoding="utf-8"), flags=re.MULTILINE)[1:]
    return dict(part.split("\n", 1) for part in parts)


@cache
def anchors(page: Path) -> set[str]:
    """Return the anchors that GitHub gives a page's headings."""
    found: set[str] = set()
    for heading in _HEADING.findall(_FENCE.sub("", page.read_text(encoding="utf-8"))):
        slug = re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")
        number = next(n for n in range(100) if (f"{slug}-{n}" if n else slug) not in found)
        found.add(f"{slug}-{number}" if number else slug)
    return found


def broken_links(page: Path) -> Iterator[str]:
    """Yield the links to files of this repository whose file or anchor does not exist."""
    for link in _LINK.findall(_FENCE.sub("", page.read_text(encoding="utf-8"))):
        if "://" in link:
            continue
        name, _, anchor = link.partition("#")
        target = (page.parent / name).resolve() if name else page
        if not target.exists() or (anchor and anchor not in anchors(target)):
            yield link


@pytest.mark.parametrize("page", [PROTOCOL, *PAGES], ids=lambda page: page.name)
def test_no_link_of_a_page_is_broken(page: Path) -> None:
    assert list(broken_links(page)) == []


def test_a_broken_link_is_found(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(
        "# Page\n\n## A b_c: d\n\n[1](#a-b_c-d) [2](#page) [3](#e) [4](page.md#page) [5](no.md)\n"
    )
    assert list(broken_links(page)) == ["#e", "no.md"]


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_every_message_and_enum_has_its_section(file: FileDescriptor) -> None:
    found = sections(REFERENCE / f"{Path(file.name).stem}.md")
    for message in file.message_types_by_name.values():
        text = found[message.name]
        rows = re.findall(r"^\| (\d+) \| `(\w+)` \|", text, re.MULTILINE)
        assert rows == [(str(field.number), field.name) for field in message.fields]
        assert all(f"*`{oneof.name}`*" in text for oneof in message.oneofs if len(oneof.fields) > 1)
    for enum in file.enum_types_by_name.values():
        rows = re.findall(r"^\| (\d+) \| `(\w+)` \|", found[enum.name], re.MULTILINE)
        assert rows == [(str(value.number), value.name) for value in enum.values]


def test_every_rpc_says_what_it_takes_and_returns_and_which_role_it_needs() -> None:
    found = sections(REFERENCE / "orchestrator.md")
    index = (REFERENCE / "README.md").read_text(encoding="utf-8")
    assert list(found) == [method.name for method in METHODS]
    for method in METHODS:
        role = options_pb2.Role.Name(method.GetOptions().Extensions[options_pb2.role])
        word = role.removeprefix("ROLE_").lower()
        for name in (method.input_type.name, method.output_type.name, word):
            assert f"[`{name}`]" in found[method.name] or f"[{name}]" in found[method.name]
        assert f"[`{method.name}`](orchestrator.md#{method.name.lower()}) | {word} |" in index


def test_fields_show_their_types_and_rules() -> None:
    spec = sections(REFERENCE / "task_run.md")["TaskRunSpec"]
    assert "| `task_key` | string | required, no NUL, at most 255 characters |" in spec
    assert "| `retry_policy` | [`RetryPolicy`](retry.md#retrypolicy) |  |" in spec
    assert (
        "| repeated string | at most 64 items, each no control characters, not only spaces, at most" in spec
    )
    proposed = sections(REFERENCE / "state.md")["ProposedState"]
    assert "| `google.protobuf.Duration` | above 0 s, at most 3,650 days |" in proposed
    assert "| map of string to string |" in sections(REFERENCE / "proposal.md")["ProposalError"]


def test_the_committed_pages_are_fresh() -> None:
    command = [sys.executable, str(ROOT / "protos/reference.py"), "--check"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (0, "")
