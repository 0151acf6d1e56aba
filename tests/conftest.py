"""What all tests share: a home of their own, and real servers in other processes."""

from __future__ import annotations

import os
from collections.abc import Generator, Iterator
from pathlib import Path

import hypothesis
import pytest

from support.server import Server

# How long an example takes says how busy the machine is, and nothing of what is tested.
hypothesis.settings.register_profile("no deadline", deadline=None)
hypothesis.settings.load_profile("no deadline")


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give the test a ``CLEARWAY_HOME`` of its own, and no other setting from outside."""
    for name in [name for name in os.environ if name.startswith("CLEARWAY_")]:
        monkeypatch.delenv(name)
    path = tmp_path / "home"
    monkeypatch.setenv("CLEARWAY_HOME", str(path))
    return path


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    """Run a server in another process, on a free port and a database of its own."""
    with Server(tmp_path / "server.db") as running:
        yield running


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Escape what UTF-8 cannot hold in what was captured: reports are sent between processes as UTF-8."""
    report = yield
    report.sections = [
        (name, text.encode("utf-8", "backslashreplace").decode()) for name, text in report.sections
    ]
    return report


_skipped: list[str] = []


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Remember what was left out."""
    if report.skipped:
        _skipped.append(report.nodeid)


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Fail where ``SKIP_NOTHING`` is set, as in CI, and something was left out all the same."""
    if os.environ.get("SKIP_NOTHING") and _skipped:
        print(f"\nleft out, although SKIP_NOTHING is set: {', '.join(_skipped)}")
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
