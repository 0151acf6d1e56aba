"""What README.md and docs/ show is run, and prints what they say."""

from __future__ import annotations

import runpy
from pathlib import Path

import pytest

import clearway.testing
from support.documents import DOCUMENTS, ROOT, Program, programs

PROGRAMS = [program for document in DOCUMENTS for program in programs(document)]


@pytest.mark.parametrize("program", PROGRAMS, ids=[program.name for program in PROGRAMS])
def test_a_program_in_the_documents_runs(
    program: Program, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(ROOT)
    monkeypatch.setattr("clearway._definition.registry._defined", {})  # others' tasks may be called so
    path = tmp_path / "program.py"
    path.write_text(program.source, encoding="utf-8")
    with clearway.testing.service():
        runpy.run_path(str(path), run_name="__main__")
    if program.output is not None:
        assert capsys.readouterr().out == program.output


def test_there_are_programs_in_the_documents() -> None:
    assert {program.name.partition(":")[0] for program in PROGRAMS} >= {
        "README.md",
        "docs/tasks.md",
        "docs/testing.md",
    }


def test_a_block_is_read_with_its_output(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("support.documents.ROOT", tmp_path)
    document = tmp_path / "page.md"
    document.write_text(
        "# Page\n\n```python\nno\n```\n\n"
        "```python run\nprint(1)\n```\n\nIt prints:\n\n```text output\n1\n```\n"
    )
    assert list(programs(document)) == [Program("page.md:8", "\n" * 7 + "print(1)\n", "1\n")]
