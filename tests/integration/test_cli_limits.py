"""``clearway concurrency-limit``, against a server and against the database file."""

import json
import os
import sys
from pathlib import Path

import pytest

from integration.cli_process import answer, complaint, run, started

HOLDER = Path(__file__).with_name("cli_holder.py")


@pytest.fixture(params=["embedded", "server"], autouse=True)
def _service(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if request.param == "server":
        monkeypatch.setenv("CLEARWAY_ADDRESS", request.getfixturevalue("server").address)
    else:
        assert not os.environ.get("CLEARWAY_ADDRESS")


def test_a_limit_from_its_creation_to_its_end() -> None:
    assert (
        answer("concurrency-limit", "create", "disk", "4") == "Created concurrency limit 4 on tag 'disk'.\n"
    )
    assert (
        answer("concurrency-limit", "create", "disk", "2")
        == "Changed concurrency limit on tag 'disk' from 4 to 2.\n"
    )
    set_again = json.loads(answer("concurrency-limit", "create", "disk", "2", "-o", "json"))
    assert (set_again["limit"], set_again["previous_limit"]) == (2, 2)

    read = json.loads(answer("concurrency-limit", "read", "disk", "-o", "json"))
    assert read == {
        key: value for key, value in set_again.items() if key not in {"previous_limit", "updated"}
    } | {"updated": read["updated"]}
    assert json.loads(answer("concurrency-limit", "inspect", "disk", "-o", "json")) == read
    shown = answer("concurrency-limit", "read", "disk").splitlines()
    assert shown[:4] == ["Tag           disk", "Limit         2", "Used          0", "Waiting       0"]
    assert shown[-1] == "Active slots  none"

    assert answer("concurrency-limit", "delete", "disk") == "Deleted concurrency limit on tag 'disk'.\n"
    for gone in ("read", "inspect", "delete"):
        assert "'disk'" in complaint(1, "concurrency-limit", gone, "disk")


def test_all_limits_are_listed_by_tag() -> None:
    empty = run("concurrency-limit", "ls")
    assert (empty.returncode, empty.stdout) == (0, "")
    assert "concurrency-limit create" in empty.stderr
    assert json.loads(answer("concurrency-limit", "ls", "-o", "json")) == []
    for tag, limit in (("network", "3"), ("disk", "0")):
        answer("concurrency-limit", "create", tag, limit)
    heading, *rows = answer("concurrency-limit", "ls").splitlines()
    assert heading.split() == ["TAG", "LIMIT", "USED", "WAITING", "UPDATED", "ID"]
    assert [row.split()[:4] for row in rows] == [["disk", "0", "0", "0"], ["network", "3", "0", "0"]]
    listed = json.loads(answer("concurrency-limit", "ls", "-o", "json"))
    assert [(limit["tag"], limit["limit"]) for limit in listed] == [("disk", 0), ("network", 3)]


def test_slots_that_are_held_are_shown_with_their_runs() -> None:
    answer("concurrency-limit", "create", "disk", "2")
    with started(sys.executable, str(HOLDER)) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "holding\n"
        (running,) = json.loads(answer("task-run", "ls", "--state", "running", "-o", "json"))
        held = json.loads(answer("concurrency-limit", "read", "disk", "-o", "json"))
        assert (held["active_slots"], held["limit"]) == ([running["id"]], 2)
        assert (
            answer("concurrency-limit", "read", "disk").splitlines()[-1] == f"Active slots  {running['id']}"
        )
        assert answer("concurrency-limit", "ls").splitlines()[1].split()[:4] == ["disk", "2", "1", "0"]
        _, told = holder.communicate("go on\n", timeout=30)
    assert holder.returncode == 0, told
    assert json.loads(answer("concurrency-limit", "read", "disk", "-o", "json"))["active_slots"] == []


def test_a_tag_that_the_service_refuses_is_wrong_usage() -> None:
    assert "at most 255" in complaint(2, "concurrency-limit", "create", "x" * 300, "1")
    assert json.loads(answer("concurrency-limit", "ls", "-o", "json")) == []
