"""docs/tasks.md and docs/flows.md have every option, and none that is not there."""

from __future__ import annotations

import inspect
import re
from pathlib import Path

import pytest

from clearway import Flow, Task

DOCS = Path(__file__).parents[2] / "docs"


@pytest.mark.parametrize(("page", "kind"), [("tasks.md", Task), ("flows.md", Flow)])
def test_the_page_has_the_options_in_one_table(page: str, kind: type) -> None:
    table = (
        (DOCS / page).read_text(encoding="utf-8").split("| option | default | what |\n")[1].split("\n\n")[0]
    )
    documented = re.findall(r"`(\w+)`", "".join(row.split("|")[1] for row in table.splitlines()))
    options = [name for name in inspect.signature(kind).parameters if name != "fn"]
    assert sorted(documented) == sorted(options)
