"""``clearway server start``: the service, started as people start it."""

import json
import signal
import subprocess
from pathlib import Path

import pytest

from integration.cli_process import CLEARWAY, answer, impostors, started


def listening(server: subprocess.Popen[str]) -> str:
    """Return the address that the server says it listens on."""
    assert server.stderr is not None
    lines = []
    for line in server.stderr:
        lines.append(line)
        # gRPC's own library may have something to say, too.
        event = json.loads(line) if line.startswith("{") else {}
        if event.get("event") == "listening":
            return str(event["address"])
    raise AssertionError("the server ended without listening:\n" + "".join(lines))


@pytest.mark.parametrize("scheme", ["", "sqlite:///"])
def test_it_serves_until_it_is_told_to_stop(tmp_path: Path, scheme: str) -> None:
    database = tmp_path / "service.db"
    start = (CLEARWAY, "server", "start", "--port", "0", "--database", f"{scheme}{database}")
    with started(*start) as server:
        address = listening(server)
        assert answer("concurrency-limit", "create", "disk", "3", CLEARWAY_ADDRESS=address)
        server.send_signal(signal.SIGTERM)
        server.communicate(timeout=30)
    assert server.returncode == 0
    (kept,) = json.loads(answer("concurrency-limit", "ls", "-o", "json", CLEARWAY_DATABASE=str(database)))
    assert (kept["tag"], kept["limit"]) == ("disk", 3)


def test_ctrl_c_stops_it_quietly(tmp_path: Path) -> None:
    database = str(tmp_path / "service.db")
    with started(CLEARWAY, "server", "start", "--port", "0", CLEARWAY_DATABASE=database) as server:
        listening(server)
        server.send_signal(signal.SIGINT)
        _, told = server.communicate(timeout=30)
    assert server.returncode in (0, 130), told
    assert "Traceback" not in told


def test_it_imports_nothing_from_the_working_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mark = impostors(tmp_path)
    monkeypatch.chdir(tmp_path)
    with started(CLEARWAY, "server", "start", "--port", "0", "--database", "service.db") as server:
        listening(server)
        server.send_signal(signal.SIGTERM)
        server.communicate(timeout=30)
    assert server.returncode == 0
    assert not mark.exists()
