"""The conformance runner of ``examples/typescript``, which is written apart from the one in Python."""

from __future__ import annotations

import json
import os
import shlex
import sys
from pathlib import Path

import pytest

from conformance.reading import read_all
from polyglot.typescript import build, run, run_script
from support.server import Server

TESTS = Path(__file__).parents[1]
RUNNER = "conformance/main"

# Whichever test comes first builds the package.
pytestmark = pytest.mark.timeout(240)


def movable_server(database: Path) -> str:
    """Return a command that starts a server whose clock can be moved."""
    path = os.pathsep.join(filter(None, [str(TESTS), os.environ.get("PYTHONPATH", "")]))
    command = [sys.executable, "-m", "conformance.movable_server", "--database", str(database)]
    return f"env {shlex.quote(f'PYTHONPATH={path}')} {shlex.join(command)}"


def test_each_scenario_is_passed_by_a_server_whose_clock_is_moved(tmp_path: Path) -> None:
    done = run(RUNNER, "--server", movable_server(tmp_path / "moved.db"))
    scenarios = read_all()
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.splitlines()[-1] == f"{len(scenarios)} passed, 0 failed, 0 left out"
    assert {f"passed    {each.name}" for each in scenarios} <= set(done.stdout.splitlines())


def test_on_a_server_that_runs_only_what_has_to_move_it_is_left_out(server: Server) -> None:
    done = run(RUNNER, "--address", server.address)
    scenarios = read_all()
    left_out = [each for each in scenarios if each.needs & {"clock", "restart"}]
    assert done.returncode == 0, done.stdout + done.stderr
    expected = f"{len(scenarios) - len(left_out)} passed, 0 failed, {len(left_out)} left out"
    assert done.stdout.splitlines()[-1] == expected
    moved = "left out  A scheduled run begins at its very time: it needs that the service's clock is moved"
    assert moved in done.stdout.splitlines()


def test_a_server_that_does_not_conform_is_told_where(tmp_path: Path) -> None:
    environment = {"CLEARWAY_LEASE_SECONDS": "7"}
    with Server(tmp_path / "server.db", environment=environment) as server:
        done = run(RUNNER, "--address", server.address, "--only", "The welcome tells")
    assert done.returncode == 1
    assert "FAILED    sessions.json: 'The welcome tells the lease and what the service takes'" in done.stdout
    assert 'lease is "7s", expected {"$duration":"30s"}' in done.stdout
    assert done.stdout.splitlines()[-1] == "0 passed, 1 failed, 0 left out"


# Each of them is wrong in one way, for what a server answers that was only just started.
WRONG = [
    ({"database": "oracle"}, 'database is "sqlite", expected "oracle"'),
    ({"database": None}, 'database is "sqlite", expected null'),
    ({"database": {"$any": False}}, "database is"),
    ({"database": {"$contains": "x"}}, "database is"),
    ({"database": {"$matches": "sqlit"}}, "database is"),
    ({"database": {"$length": 5}}, "database is"),
    ({"maxProposals": {"$between": [1, 2]}}, "maxProposals is 4096"),
    ({"currentTime": {"$time": "100s"}}, "currentTime is"),
    ({"lease": {"$duration": "100s"}}, 'lease is "30s"'),
    ({"features": []}, "features has"),
    ({"features": {"$includes": ["FEATURE_UNSPECIFIED"]}}, "features is"),
    ({"features": {}}, "features is"),
    ({"lease": {}}, 'lease is "30s", expected a message'),
]


def test_each_way_of_being_wrong_is_seen(server: Server, tmp_path: Path) -> None:
    scenarios = [
        {
            "name": f"Number {place} is wrong",
            "why": "To see that it is seen.",
            "steps": [{"call": "GetServerInfo", "expect": expected}],
        }
        for place, expected in enumerate(expected for expected, _ in WRONG)
    ]
    document = {"about": "What no server answers.", "scenarios": scenarios}
    (tmp_path / "wrong.json").write_text(json.dumps(document))
    done = run(RUNNER, "--address", server.address, "--scenarios", str(tmp_path))
    assert done.returncode == 1
    assert done.stdout.splitlines()[-1] == f"0 passed, {len(WRONG)} failed, 0 left out"
    told = done.stdout.split("FAILED    ")[1:]
    for each, (expected, difference) in zip(told, WRONG, strict=True):
        assert f"not as expected:\n{difference}" in each, expected


@pytest.mark.parametrize(
    ("scenario", "complaint"),
    [
        ({"steps": [{"call": "Nothing"}]}, "'Nothing' is no RPC"),
        ({"steps": [{"wait": "1s"}]}, "step 1: it must have one of call, await"),
        ({"steps": [{"restart": "server", "now": True}]}, "'now' is no key here"),
        ({"steps": [], "needs": ["luck"]}, "'needs' has 'luck'"),
        ({}, "'steps' is not there"),
    ],
)
def test_what_it_does_not_understand_is_an_error(
    scenario: dict[str, object], complaint: str, tmp_path: Path
) -> None:
    whole = {"name": "A scenario", "why": "To be refused."} | scenario
    (tmp_path / "odd.json").write_text(json.dumps({"about": "Odd ones.", "scenarios": [whole]}))
    done = run(RUNNER, "--address", "127.0.0.1:1", "--scenarios", str(tmp_path))
    assert (done.returncode, done.stdout) == (1, "")
    assert complaint in done.stderr
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize(
    ("arguments", "code", "complaint"),
    [
        ((), 2, "give either --address or --server"),
        (("--address", "here"), 2, "--address is 'here'; it must be HOST:PORT"),
        (("--address", "127.0.0.1:1", "--only", "no such"), 2, "no scenario has 'no such'"),
        (("--address", "127.0.0.1:1"), 1, "the server does not answer"),
        (("--server", "echo hello"), 1, "the server's command said 'hello --port 0'"),
    ],
)
def test_wrong_arguments_are_told(arguments: tuple[str, ...], code: int, complaint: str) -> None:
    done = run(RUNNER, *arguments)
    assert (done.returncode, done.stdout) == (code, "")
    assert complaint in done.stderr


def test_cache_keys_are_those_of_all_languages() -> None:
    vectors = TESTS / "conformance" / "cache_keys.json"
    module = (build() / "cache_key.js").as_uri()
    script = f"""
        import {{ readFileSync }} from "node:fs";
        import {{ canonical, inputKey }} from "{module}";
        const {{ vectors }} = JSON.parse(readFileSync({json.dumps(str(vectors))}, "utf8"));
        const made = vectors.map((each) => [
          canonical(each.task_key, each.arguments, each.function),
          inputKey(each.task_key, each.arguments, each.function),
        ]);
        console.log(JSON.stringify(made));
    """
    expected = [
        [each["canonical"], each["key"]]
        for each in json.loads(vectors.read_text(encoding="utf-8"))["vectors"]
    ]
    assert json.loads(run_script(script)) == expected
