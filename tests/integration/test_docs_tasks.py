"""The page about tasks: each of its pieces of code runs as it stands."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.usefixtures("service")

PAGE = Path(__file__).parents[2] / "docs" / "tasks.md"


def pieces() -> list[Any]:
    """Return the pieces of code of the page, by the headings that they stand under."""
    found = []
    for section in re.split(r"^#+ ", PAGE.read_text(encoding="utf-8"), flags=re.MULTILINE)[1:]:
        title = section.partition("\n")[0]
        blocks = re.findall(r"^```python\n(.*?)^```", section, flags=re.MULTILINE | re.DOTALL)
        found += [pytest.param(block, id=f"{title}-{number}") for number, block in enumerate(blocks)]
    return found


@pytest.mark.parametrize("piece", pieces())
def test_a_piece_of_code_runs(piece: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    exec(compile(piece, str(PAGE), "exec"), {"__name__": "docs"})
