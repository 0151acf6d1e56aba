"""``clearway config view``, and what else is said of settings: by flows, the command line and the server."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from clearway._settings.table import TABLE
from integration.cli_process import CLEARWAY, answer, run, started

FLOW = Path(__file__).with_name("home_flow.py")
SECRET = "hunter2-the-key"
UNKNOWN = (
    "the variable CLEARWAY_ADRESS is not one of Clearway's settings and is ignored; "
    "did you mean CLEARWAY_ADDRESS?"
)


@pytest.fixture(autouse=True)
def profile(home: Path) -> Path:
    """Write the profile that README invites."""
    home.mkdir()
    path = home / "profile.toml"
    path.write_text(f'lease_seconds = 60\nresult_signing_key = "{SECRET}"\nmax_threads = 8\n')
    return path


def view(**variables: str) -> dict[str, dict[str, Any]]:
    documents = json.loads(answer("config", "view", "-o", "json", **variables))
    return {each["setting"]: each for each in documents}


def flow(**variables: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(FLOW)],
        env={**os.environ, **variables},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_it_shows_every_setting_its_value_and_where_that_comes_from(home: Path) -> None:
    seen = view(CLEARWAY_MAX_THREADS="9", CLEARWAY_DEBUG="")
    assert list(seen) == list(TABLE)
    shown = {name: (seen[name]["value"], seen[name]["source"]) for name in seen}
    assert shown["home"] == (str(home), "CLEARWAY_HOME")
    assert shown["lease_seconds"] == ("60", "profile.toml line 1")
    assert shown["max_threads"] == ("9", "CLEARWAY_MAX_THREADS")
    assert shown["debug"] == ("false", "default")
    assert shown["database"] == (f"{home}/clearway.db", "default")
    assert shown["result_storage"] == (f"{home}/storage", "default")
    assert seen["port"] == {
        "setting": "port",
        "variable": "CLEARWAY_PORT",
        "value": "4200",
        "source": "default",
        "problem": None,
    }


def test_it_never_shows_a_key(home: Path) -> None:
    variables = {"CLEARWAY_RESULT_STORAGE": f"ftp://me:{SECRET}@host/x"}
    shown = answer("config", "view", **variables) + answer("config", "view", "-o", "json", **variables)
    assert SECRET not in shown
    assert "***" in shown
    done = run("config", "view", CLEARWAY_PORT=SECRET[:7])
    assert SECRET not in done.stdout + done.stderr
    assert not (home / "clearway.db").exists()


def test_at_80_columns_each_setting_begins_a_line() -> None:
    lines = answer("config", "view", COLUMNS="80").splitlines()
    assert max(map(len, lines)) <= 80
    assert [line.split()[0] for line in lines[1:] if not line.startswith(" ")] == list(TABLE)


def test_wrong_settings_are_listed_with_what_is_right(home: Path, profile: Path) -> None:
    profile.write_text("lease_seconds = 0.5\nadress = 1\n")
    done = run("config", "view", CLEARWAY_PORT="many", CLEARWAY_ADRESS="x")
    assert done.returncode == 1
    assert len(done.stdout.splitlines()) == 1 + len(TABLE)
    right = "a number of seconds from 1 to 31,536,000"
    assert done.stderr.splitlines() == [
        f"Warning: {UNKNOWN}",
        f"Error: the profile {profile} sets adress in line 2, which is not a setting; did you mean address?",
        f"Error: lease_seconds in line 1 of {home}/profile.toml is 0.5; it must be {right}",
        "Error: CLEARWAY_PORT is 'many'; it must be a whole number from 0 to 65,535",
    ]


def test_a_profile_with_settings_of_the_server_serves_flows_the_command_line_and_the_server(
    home: Path,
) -> None:
    done = flow()
    assert (done.returncode, done.stdout) == (0, "['big']\n"), done.stderr
    assert len(json.loads(answer("flow-run", "ls", "-o", "json"))) == 1
    log = server_log("--port", "0")
    assert log[-1]["settings"] == {
        "home": f"{home} (CLEARWAY_HOME)",
        "lease_seconds": "60 (profile.toml line 1)",
        "port": "0 (--port)",
    }


def server_log(*options: str, **variables: str) -> list[dict[str, Any]]:
    """Return the lines of a server's log until it listens."""
    lines = []
    with started(CLEARWAY, "server", "start", *options, **variables) as server:
        assert server.stderr is not None
        for line in server.stderr:
            if line.startswith("{"):
                lines.append(json.loads(line))
                if lines[-1]["event"] == "listening":
                    break
        server.send_signal(signal.SIGTERM)
        server.communicate(timeout=30)
    return lines


@pytest.mark.parametrize("key", ["adress", "lease"])
def test_an_unknown_key_in_the_profile_is_an_error_everywhere(profile: Path, key: str) -> None:
    profile.write_text(f"{key} = 1")
    right = {"adress": "address", "lease": "lease_seconds"}[key]
    said = f"the profile {profile} sets {key} in line 1, which is not a setting; did you mean {right}?"
    done = flow()
    assert done.stderr.splitlines()[-1] == f"clearway.exceptions.InvalidSetting: {said}"
    for code, *arguments in ((1, "flow-run", "ls"), (2, "server", "start"), (2, "backup", "x.tar")):
        refused = run(*map(str, arguments))
        assert refused.returncode == code
        assert said in refused.stderr


def test_a_wrong_value_of_the_engine_is_named_by_flows_too(home: Path, profile: Path) -> None:
    profile.write_text("\nlease_seconds = 'soon'")
    done = flow()
    assert done.stderr.splitlines()[-1] == (
        f"clearway.exceptions.InvalidSetting: lease_seconds in line 2 of {home}/profile.toml is 'soon'; "
        "it must be a number of seconds from 1 to 31,536,000"
    )


def test_an_unknown_variable_is_warned_of_once_everywhere(home: Path) -> None:
    typo = {"CLEARWAY_ADRESS": "127.0.0.1:1"}
    done = flow(**typo)
    assert done.returncode == 0
    assert done.stderr.count(UNKNOWN) == 1
    listed = run("flow-run", "ls", **typo)
    assert (listed.returncode, listed.stderr) == (0, f"{UNKNOWN}\n")
    saved = run("backup", str(home / "x.tar"), **typo)
    assert (saved.returncode, saved.stderr) == (0, f"Warning: {UNKNOWN}\n")
    log = server_log("--port", "0", **typo)
    assert [(line["level"], line["event"]) for line in log] == [("warning", UNKNOWN), ("info", "listening")]
