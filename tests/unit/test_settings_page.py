"""docs/settings.md has every setting, and none that is not there."""

from __future__ import annotations

import dataclasses
import inspect
import re
from pathlib import Path

from clearway._base.settings import Settings
from clearway_service.settings import ServiceSettings

PAGE = Path(__file__).parents[2] / "docs" / "settings.md"


def documented(section: str) -> set[str]:
    """Return the variables that a section of the page names in the first column of its table."""
    text = PAGE.read_text().split(f"## {section}")[1].split("\n## ")[0]
    rows = [line.split("|")[1] for line in text.splitlines() if line.startswith("| `")]
    return {name for row in rows for name in re.findall(r"CLEARWAY_\w+", row)}


def test_the_page_has_the_settings_of_the_sdk() -> None:
    assert documented("Of flows") == {
        f"CLEARWAY_{field.name.upper()}" for field in dataclasses.fields(Settings)
    }


def test_the_page_has_the_settings_of_the_server() -> None:
    named = set(re.findall(r"``(CLEARWAY_\w+)``", inspect.getdoc(ServiceSettings) or ""))
    assert documented("Of the server") == named
