"""The pytest plugin, in a project of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from support.plugin import plugin_options

FLOWS = """
from clearway import flow, get_client, get_run_logger, task, task_input_hash

calls = []

@task(retries=3, retry_delay_seconds=60, cache_key_fn=task_input_hash)
def flaky(x):
    calls.append(x)
    get_run_logger().info("called with %s", x)
    if len(calls) < 3:
        raise ConnectionError(x)
    return x

@flow
def working(x):
    return flaky(x)

@flow
def parent(x):
    return working(x)

@flow
async def aparent(x):
    return await aworking(x)

@flow
async def aworking(x):
    return flaky.submit(x).result(), working(x)
"""
TESTS = """
import pytest
from clearway import get_client
from flows import aparent, calls, parent, working

pytestmark = pytest.mark.usefixtures("clearway_service")

@pytest.fixture(autouse=True)
def no_calls():
    calls.clear()

@pytest.mark.parametrize("number", range(2))
def test_each_has_a_service_of_its_own(number):
    assert parent(7) == 7
    assert len(calls) == 3
    with get_client() as client:
        assert {run.flow_name for run in client.read_flow_runs()} == {"parent", "working"}
        assert len(client.read_task_runs()) == 2
        client.create_concurrency_limit("tag", 1)
        assert [limit.tag for limit in client.read_concurrency_limits()] == ["tag"]

async def test_async(clearway_service, clearway_clock):
    assert clearway_service.clock is clearway_clock
    assert await aparent(7) == (7, 7)
    assert len(calls) == 3

def test_by_hand(clearway_clock):
    clearway_clock.skips_waits = False
    before = clearway_clock.now()
    assert (clearway_clock.advance(days=1) - before).days == 1
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    folder = tmp_path / "project"
    folder.mkdir()
    (folder / "flows.py").write_text(FLOWS)
    (folder / "test_flows.py").write_text(TESTS)
    (folder / "pytest.ini").write_text(
        "[pytest]\nasyncio_mode = auto\nfilterwarnings = error\n"
        "asyncio_default_fixture_loop_scope = function\n"
    )
    return folder


def output_of(project: Path, *options: str) -> str:
    """Run the project's tests, which must pass, and return what pytest said."""
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *plugin_options(), *options],
        cwd=project,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.parametrize("options", [[], ["-n", "2"]], ids=["alone", "with xdist"])
def test_each_test_has_a_service_of_its_own(project: Path, home: Path, options: list[str]) -> None:
    assert "4 passed" in output_of(project, *options)
    assert not home.exists()


def test_the_setting_usefixtures_gives_it_to_all_tests(project: Path, home: Path) -> None:
    (project / "test_flows.py").write_text(TESTS.replace("pytestmark =", "unused ="))
    with (project / "pytest.ini").open("a") as settings:
        settings.write("usefixtures = clearway_service\n")
    assert "4 passed" in output_of(project)
    assert not home.exists()


def test_the_plugin_is_named_where_pytest_looks_for_it() -> None:
    import tomllib  # noqa: PLC0415

    pyproject = tomllib.loads(Path("pyproject.toml").read_text(encoding="utf-8"))
    assert pyproject["project"]["entry-points"]["pytest11"] == {"clearway": "clearway.testing.plugin"}


def test_the_plugin_loads_nothing_until_a_fixture_is_used() -> None:
    program = (
        "import sys; import pytest; before = set(sys.modules); import clearway.testing.plugin; "
        "print(*sorted(set(sys.modules) - before))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, env=dict(os.environ)
    )
    assert done.stdout.split() == ["clearway", "clearway.testing", "clearway.testing.plugin"]
