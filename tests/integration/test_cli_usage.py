"""The command line and those who use it: what it says of itself, and of what they got wrong."""

import json
import os
import signal
import socket
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import pytest

from integration.cli_process import CLEARWAY, answer, complaint, run, started

GROUPS = ("server", "flow-run", "task-run", "concurrency-limit", "cache", "backup", "restore", "version")


def test_help_lists_all_groups_and_loads_none() -> None:
    listing = "import sys; sys.argv = ['clearway', '--help']\nfrom clearway_cli.main import run\n"
    heavy = "sorted({'rich', 'grpc', 'sqlalchemy', 'google.protobuf', 'asyncio'} & set(sys.modules))"
    script = f"{listing}try:\n run()\nfinally:\n print({heavy}, file=sys.stderr)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    for group in GROUPS:
        assert f"\n  {group} " in done.stdout
    assert done.stderr == "[]\n"


@pytest.mark.parametrize("group", GROUPS)
def test_each_group_has_help(group: str) -> None:
    assert answer(group, "--help").startswith(f"Usage: clearway {group} ")


def test_the_version() -> None:
    version = metadata.version("clearway")
    assert answer("version") == answer("--version") == f"clearway {version}\n"
    assert json.loads(answer("version", "-o", "json"))["clearway"] == version


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["task-rum", "ls"], "No such command 'task-rum'. Did you mean 'task-run'?"),
        (["flow-run", "ls", "-o", "xml"], "'xml' is not one of 'table', 'json'"),
        (["flow-run", "ls", "--limit", "0"], "'0' is not a whole number from 1 to 100,000"),
        (["flow-run", "ls", "--limit", "many"], "'many' is not a whole number"),
        (["flow-run", "ls", "--flow-name", ""], "'--flow-name': it must not be empty"),
        (["task-run", "ls", "--tag", ""], "'--tag': it must not be empty"),
        (["task-run", "ls", "--flow-run", ""], "'--flow-run': it must not be empty"),
        (
            ["task-run", "ls", "--state", "Cached", "--state", "failed"],
            "'failed' is a state type and 'Cached'",
        ),
        (["task-run", "inspect"], "Missing argument 'ID'"),
        (["concurrency-limit", "create", "disk", "-1"], "'-1' is not a whole number from 0 to 1,000,000"),
        (["concurrency-limit", "create", "disk", "2.5"], "'2.5' is not a whole number"),
        (["concurrency-limit", "create", "", "1"], "'TAG': it must not be empty"),
        (["server", "start", "--port", "70000"], "'70000' is not a whole number from 0 to 65,535"),
        (["server", "start", "--host", " "], "'--host': it must not be empty"),
        (["server", "start", "--database", "/"], "'/' is a directory"),
        (["server", "start", "--database", "mysql://x/y"], "'mysql://x/y' is not a database"),
    ],
    ids=" ".join,
)
def test_wrong_usage_is_told_with_its_value_and_exits_2(arguments: list[str], expected: str) -> None:
    assert expected in complaint(2, *arguments)


def test_a_wrong_setting_exits_1() -> None:
    assert "CLEARWAY_ADDRESS is 'bogus'" in complaint(1, "flow-run", "ls", CLEARWAY_ADDRESS="bogus")


def test_a_server_that_is_not_there_is_named() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    told = complaint(1, "flow-run", "ls", CLEARWAY_ADDRESS=f"127.0.0.1:{port}")
    assert f"127.0.0.1:{port}" in told
    assert "CLEARWAY_ADDRESS" in told


def test_a_file_that_is_no_database_is_named(tmp_path: Path) -> None:
    database = tmp_path / "notes.db"
    database.write_text("no database, but a text that is long enough to be taken for one\n" * 100)
    assert str(database) in complaint(1, "concurrency-limit", "ls", CLEARWAY_DATABASE=str(database))


@pytest.mark.parametrize(
    "value", [":memory:", "file:x?mode=memory", "file:///x.db", "sqlite:///x.db", "postgresql://host/x"]
)
def test_a_database_that_is_no_file_is_refused_in_one_line(
    value: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for code, *arguments in (
        (1, "concurrency-limit", "ls"),
        (2, "server", "start", "--port", "0"),
        (2, "backup", "some.tar"),
    ):
        told = complaint(code, *map(str, arguments), CLEARWAY_DATABASE=value)
        assert told.count("\n") == 1
        assert "CLEARWAY_DATABASE is " in told
        assert "the path of a file" in told
    if not value.startswith("sqlite:"):
        told = complaint(2, "server", "start", "--port", "0", "--database", value)
        assert repr(value) in " ".join(told.split())
    assert list(tmp_path.iterdir()) == []


def test_ctrl_c_while_it_waits_for_an_answer_exits_130() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"127.0.0.1:{silent.getsockname()[1]}"
        with started(CLEARWAY, "flow-run", "ls", CLEARWAY_ADDRESS=address) as waiting, silent.accept()[0]:
            waiting.send_signal(signal.SIGINT)
            out, err = waiting.communicate(timeout=30)
    assert waiting.returncode == 130, err
    assert "Traceback" not in err
    assert out == ""


def test_a_reader_that_leaves_early_is_no_failure() -> None:
    assert run("concurrency-limit", "create", "disk", "1").returncode == 0
    reading, writing = os.pipe()
    os.close(reading)
    done = subprocess.run(
        [CLEARWAY, "concurrency-limit", "ls"], stdout=writing, stderr=subprocess.PIPE, text=True, check=False
    )
    os.close(writing)
    assert (done.returncode, done.stderr) == (0, "")
