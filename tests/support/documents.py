"""Code in documents: the blocks to run, and their expected output.

A block marked ``python run`` is a whole program. If the next block is marked ``text output``, it is the
program's expected output.
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
    """A block to run.

    Attributes:
        name: Its document and first line.
        source: The program, padded with empty lines so that its line numbers match the document.
        output: The expected output; None for any.
    """

    name: str
    source: str
    output: str | None


def programs(document: Path) -> Iterator[Program]:
    """Yield the blocks of a document to run."""
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
