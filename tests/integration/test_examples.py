"""Each program in ``examples/``, run as its user runs it."""

from __future__ import annotations

import re
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

from support.plugin import plugin_options

EXAMPLES = Path(__file__).parents[2] / "examples"
TRIED = {
    "imports_etl.py": r"asyncio has (?P<files>\d+) source files\n"
    r"they import \d+ other modules; the first are\n( +\d+  \w+\n){5}",
    "retries.py": r"(<h1>Page \d</h1>\n){5}"
    r"(get_page-\d: Running( > AwaitingRetry > Retrying){2} > Completed\n){5}",
    "limits.py": r"no limit: \d+ answered, \d+ refused\nlimit of 2: 20 answered, 0 refused\n",
    "caching.py": r"7 computed, 0 from the cache\n0 computed, 7 from the cache\n( +[\d,]+  \w+\n){7}",
    "async_crawl.py": r" +\d+ links on /json\.html\n( *\d+ links on \S+\.html\n){8,9}",
    "subflows.py": r"json: [\d.]+ MiB in .*\d+ \.py.*\nemail: [\d.]+ MiB in .*\n"
    r"report on folders: Completed\n"
    r"  report on a folder-0: Completed, with the tag 'report'\n"
    r"  report on a folder-1: Completed, with the tag 'report'\n"
    r"  report on a folder-2: Failed, with the tag 'report'\n",
}


def output_of(*arguments: str, cwd: Path) -> str:
    done = subprocess.run([sys.executable, *arguments], cwd=cwd, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.parametrize("name", TRIED)
def test_an_example_does_what_it_says(name: str, tmp_path: Path) -> None:
    output = output_of(str(EXAMPLES / name), cwd=tmp_path)
    found = re.fullmatch(TRIED[name], output)
    assert found, output
    if "files" in found.groupdict():
        there = list(Path(sysconfig.get_path("stdlib"), "asyncio").rglob("*.py"))
        assert int(found["files"]) == len(there)


def test_the_example_of_tests_passes(tmp_path: Path, home: Path) -> None:
    options = ["-p", "no:cacheprovider", *plugin_options()]
    output = output_of(
        "-m", "pytest", *options, f"--rootdir={tmp_path}", str(EXAMPLES / "test_flows.py"), cwd=tmp_path
    )
    assert "3 passed" in output
    assert not home.exists()


def test_every_example_is_tried_and_listed() -> None:
    names = {path.name for path in EXAMPLES.glob("*.py")}
    assert names == TRIED.keys() | {"test_flows.py", "verify_packages.py"}
    assert (
        set(re.findall(r"^\| \[(\w+\.py)\]\(\1\)", (EXAMPLES / "README.md").read_text(), re.MULTILINE))
        == names
    )


@pytest.mark.parametrize("name", [*TRIED, "test_flows.py"])
def test_an_example_is_short(name: str) -> None:
    assert len((EXAMPLES / name).read_text().splitlines()) < 80
