"""The code in the documents: which blocks are to be run, and what they are to print.

A block that is marked ``python run`` is a whole program. If the next block is marked ``text output``, that is
what it prints.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[2]
DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]

_FENCE = re.compile(r"^```(?P<kind>[^\n`]*)\n(?P<body>.*?)^```$", re.MULTILINE | re.DOTALL)


class Program(NamedTuple):
    """A block that is to be run.

    Attributes:
        name: Its document and the line that it begins at.
        source: The program, after empty lines, so that its line numbers are those of the document.
        output: What it is to print; None for whatever it likes.
    """

    name: str
    source: str
    output: str | None


def programs(document: Path) -> Iterator[Program]:
    """Yield the blocks of a document that are to be run."""
    text = document.read_text(encoding="utf-8")
    blocks = list(_FENCE.finditer(text))
    for index, block in enumerate(blocks):
        if block["kind"].split() != ["python", "run"]:
            continue
        line = text.count("\n", 0, block.start("body"))
        after = blocks[index + 1] if index + 1 < len(blocks) else None
        has_output = after is not None and after["kind"].split() == ["text", "output"]
        name = f"{document.relative_to(ROOT)}:{line + 1}"
        yield Program(name, "\n" * line + block["body"], after["body"] if has_output and after else None)
