"""The table of settings, and what has to agree with it."""

from __future__ import annotations

import dataclasses
import subprocess
import sys
from pathlib import Path

import pytest

from clearway._base.settings import Settings
from clearway._settings.sources import Sources
from clearway._settings.table import TABLE, Part, names_of
from clearway_service.settings import ATTRIBUTES, ServiceSettings

ROOT = Path(__file__).parents[3]


def test_the_sdk_has_every_setting_of_flows() -> None:
    fields = {field.name for field in dataclasses.fields(Settings)} - {"sources"}
    assert fields == {*names_of(Part.ALL, Part.FLOWS), "database"}


def test_the_service_has_every_setting_of_the_engine_and_the_server() -> None:
    fields = {field.name for field in dataclasses.fields(ServiceSettings)} - {"extend_leases"}
    assert fields == set(ATTRIBUTES.values())
    assert len(ATTRIBUTES) + len(names_of(Part.ALL, Part.FLOWS)) == len(TABLE)


def test_settings_that_a_program_makes_are_those_of_an_empty_environment(home: Path) -> None:
    read = ServiceSettings.from_sources(Sources({"CLEARWAY_HOME": str(home)}))
    assert read == ServiceSettings(database=home / "clearway.db", extend_leases=True)


def test_the_page_is_fresh() -> None:
    done = subprocess.run(
        [sys.executable, ROOT / "sdk" / "settings_page.py", "--check"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("name", TABLE)
def test_the_page_has_every_setting_once(name: str) -> None:
    page = (ROOT / "docs" / "settings.md").read_text(encoding="utf-8")
    assert page.count(f"| `{TABLE[name].variable}` |") == 1


def test_the_table_loads_nothing_but_python() -> None:
    program = "import sys, clearway._settings.sources; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    loaded = set(done.stdout.split())
    assert {name for name in loaded if name.startswith("clearway")} == {
        "clearway",
        "clearway._settings",
        *(f"clearway._settings.{name}" for name in (*PARTS,)),
    }
    assert loaded.isdisjoint({"tomllib", "difflib", "google.protobuf", "grpc"})


PARTS = ("encodings", "errors", "kinds", "nearest", "paths", "profile", "sources", "table")
