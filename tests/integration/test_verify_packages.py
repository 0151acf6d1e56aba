"""``examples/verify_packages.py``, run as ``make demo`` runs it, on copies that are tampered with."""

import base64
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest

from integration.cli_process import answer

SCRIPT = Path(__file__).parents[2] / "examples" / "verify_packages.py"
COPIED = ("pluggy", "iniconfig", "shellingham")
MODULE = b"answer = 42\n"


class Outcome:
    """What a run of the script printed."""

    def __init__(self, done: subprocess.CompletedProcess[str]) -> None:
        self.code = done.returncode
        self.out = done.stdout
        assert "sdk/clearway" not in done.stderr, done.stderr  # of its own frames only

    def __getitem__(self, name: str) -> int:
        found = re.search(rf"^{name} +([0-9,]+)$", self.out, re.MULTILINE)
        assert found is not None, self.out
        return int(found.group(1).replace(",", ""))

    @property
    def task_runs(self) -> list[dict[str, Any]]:
        """The task runs, by the command line that the script tells."""
        told = re.search(r"^Its task runs: \S+ (task-run ls --flow-run \S+)$", self.out, re.MULTILINE)
        assert told is not None, self.out
        found: list[dict[str, Any]] = json.loads(answer(*told.group(1).split(), "-o", "json"))
        return found


def verify(*arguments: object) -> Outcome:
    return Outcome(
        subprocess.run(
            [sys.executable, SCRIPT, *map(str, arguments)],
            capture_output=True,
            text=True,
            timeout=100,
            check=False,
        )
    )


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """A copy of some distributions that are installed here."""
    copy = tmp_path / "site-packages"
    for name in COPIED:
        for file in metadata.distribution(name).files or ():
            if ".." not in file.parts and file.suffix != ".pyc":
                target = copy / file
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(str(file.locate()), target)
        # what the installer compiled is not in the copy, and has no hash to be compared with
    return copy


@pytest.fixture
def made(tmp_path: Path) -> Path:
    """A distribution of one module, made by hand."""
    site = tmp_path / "made"
    info = site / "made-1.0.dist-info"
    info.mkdir(parents=True)
    (site / "made.py").write_bytes(MODULE)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: made\nVersion: 1.0\n")
    digest = base64.urlsafe_b64encode(hashlib.sha256(MODULE).digest()).rstrip(b"=").decode()
    (info / "RECORD").write_text(f"made.py,sha256={digest},{len(MODULE)}\nmade-1.0.dist-info/RECORD,,\n")
    return site


def test_what_is_untouched_is_clean_and_cached_the_second_time(site: Path) -> None:
    first = verify("--path", site)
    assert first.code == 0, first.out
    assert first["Distributions"] == len(COPIED)
    assert first["Files"] > first["Files without a hash"] > 0
    assert first["Bytes hashed"] > 0
    assert (first["Mismatches"], first["Missing files"], first["Cached"], first["Retried"]) == (0, 0, 0, 0)
    assert {run["state"]["name"] for run in first.task_runs} == {"Completed"}

    second = verify("--path", site)
    assert second.code == 0
    assert second["Cached"] == len(COPIED)
    assert second["Bytes hashed"] == first["Bytes hashed"]
    assert [run["state"]["name"] for run in second.task_runs] == ["Cached"] * len(COPIED)


def test_a_file_that_was_tampered_with_is_found_though_its_size_and_times_are_kept(site: Path) -> None:
    assert verify("--path", site).code == 0
    victim = site / "pluggy" / "_hooks.py"
    before = victim.stat()
    contents = bytearray(victim.read_bytes())
    contents[100] ^= 1
    victim.write_bytes(contents)
    os.utime(victim, ns=(before.st_atime_ns, before.st_mtime_ns))
    for run in ("first", "again"):
        found = verify("--path", site)
        assert found.code == 1, run
        assert found["Mismatches"] == 1
        assert re.search(r"^MISMATCH +pluggy \S+: pluggy/_hooks.py$", found.out, re.MULTILINE), found.out
        assert found["Cached"] == len(COPIED) - (run == "first")


def test_a_file_that_is_gone_is_told(made: Path) -> None:
    (made / "made.py").unlink()
    found = verify("--path", made)
    assert (found.code, found["Missing files"], found["Mismatches"]) == (1, 1, 0)
    assert re.search(r"^MISSING +made 1.0: made.py$", found.out, re.MULTILINE), found.out


def test_a_name_cannot_steer_the_terminal(made: Path) -> None:
    record = made / "made-1.0.dist-info" / "RECORD"
    record.write_bytes(record.read_bytes() + b"\x1b[2Jodd\xff.py,sha256=AAAA,1\n")
    found = verify("--path", made)
    assert (found.code, found["Missing files"]) == (1, 1)
    assert "\x1b" not in found.out
    assert "\\x1b[2Jodd\\udcff.py" in found.out


def test_what_cannot_be_read_is_tried_again_and_then_told(made: Path) -> None:
    (made / "made.py").unlink()
    (made / "made.py").mkdir()
    found = verify("--path", made)
    assert (found.code, found["Unreadable distributions"], found["Retried"]) == (1, 1, 1)
    assert "IsADirectoryError" in found.out
    (run,) = found.task_runs
    states = json.loads(answer("task-run", "inspect", run["id"], "-o", "json"))["states"]
    retry = ["AwaitingRetry", "Retrying"]
    assert [state["name"] for state in states] == ["Running", *retry, *retry, "Failed"]


def test_readers_are_limited_and_a_limit_that_is_there_stays(made: Path) -> None:
    verify("--path", made)
    assert json.loads(answer("concurrency-limit", "read", "disk", "-o", "json"))["limit"] == 4
    answer("concurrency-limit", "create", "disk", "1")
    verify("--path", made)
    limit = json.loads(answer("concurrency-limit", "read", "disk", "-o", "json"))
    assert (limit["limit"], limit["active_slots"]) == (1, [])


def test_a_directory_without_distributions_is_clean(tmp_path: Path) -> None:
    found = verify("--path", tmp_path)
    assert (found.code, found["Distributions"]) == (0, 0)


def test_results_that_were_cleared_away_are_made_anew(
    made: Path, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CLEARWAY_RESULT_INLINE_BYTES", "0")
    assert verify("--path", made).code == 0
    shutil.rmtree(home / "storage")
    assert verify("--path", made).code == 0


def test_a_path_that_is_no_directory_is_wrong_usage(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, SCRIPT, "--path", tmp_path / "none"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert "is not a directory" in done.stderr
    assert (
        "usage"
        in subprocess.run(
            [sys.executable, SCRIPT, "--help"], capture_output=True, text=True, check=True
        ).stdout
    )
