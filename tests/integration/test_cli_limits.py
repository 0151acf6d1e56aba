"""``clearway concurrency-limit``, against a server and against the database file."""

import json
import os
import socket
from typing import Any

import pytest

from integration.cli_holding import end, holding, waiting
from integration.cli_process import answer, at_terminal, complaint, run
from integration.sdk_runs import set_limit, slots

NO_LIMIT = "0198c5a1-7c1e-7d3a-9f52-3f1d2a6b8c4e"


@pytest.fixture(params=["embedded", "server"], autouse=True)
def _service(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if request.param == "server":
        monkeypatch.setenv("CLEARWAY_ADDRESS", request.getfixturevalue("server").address)
    else:
        assert not os.environ.get("CLEARWAY_ADDRESS")


def read_limit(tag_or_id: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(answer("concurrency-limit", "read", tag_or_id, "-o", "json"))
    return found


def test_a_limit_from_its_creation_to_its_end() -> None:
    created = json.loads(answer("concurrency-limit", "create", "disk", "4", "-o", "json"))
    assert (created["limit"], created.pop("previous_limit")) == (4, None)
    assert (
        answer("concurrency-limit", "create", "disk", "2")
        == "Changed concurrency limit on tag 'disk' from 4 to 2.\n"
    )
    assert (
        answer("concurrency-limit", "create", "disk", "2")
        == "Concurrency limit 2 on tag 'disk' is unchanged.\n"
    )
    read = json.loads(answer("concurrency-limit", "inspect", "disk", "-o", "json"))
    changed = {"limit": 2, "updated": read["updated"], "holders": [], "waiters": []}
    assert read == created | changed
    shown = answer("concurrency-limit", "read", read["id"].upper()).splitlines()
    assert shown[:4] == ["Tag      disk", "Limit    2", "Used     0  [..........]", "Waiting  0"]
    assert shown[-1] == f"Id       {read['id']}"

    assert answer("concurrency-limit", "delete", "disk") == "Deleted concurrency limit on tag 'disk'.\n"
    assert "'disk'" in complaint(1, "concurrency-limit", "read", "disk")


@pytest.mark.parametrize("_service", ["server"], indirect=True)
def test_a_tag_without_a_limit_is_an_error_that_names_it() -> None:
    for command in (["inspect"], ["delete"], ["reset", "--yes"]):
        assert "'disk'" in complaint(1, "concurrency-limit", *command, "disk")
    assert NO_LIMIT in complaint(1, "concurrency-limit", "read", NO_LIMIT)
    assert (
        answer("concurrency-limit", "create", "disk", "3") == "Created concurrency limit 3 on tag 'disk'.\n"
    )


def test_all_limits_are_listed_by_tag() -> None:
    empty = run("concurrency-limit", "ls")
    assert (empty.returncode, empty.stdout) == (0, "")
    assert "concurrency-limit create" in empty.stderr
    set_limit("network", 3)
    set_limit("disk", 0)
    heading, *rows = answer("concurrency-limit", "ls").splitlines()
    assert heading.split() == ["TAG", "USED", "FULL", "WAITING", "UPDATED", "ID"]
    assert [row.split()[:4] for row in rows] == [
        ["disk", "0/0", "closed", "0"],
        ["network", "0/3", "[..........]", "0"],
    ]
    listed = json.loads(answer("concurrency-limit", "ls", "-o", "json"))
    assert [(limit["tag"], limit["limit"]) for limit in listed] == [("disk", 0), ("network", 3)]


@pytest.mark.parametrize("_service", ["server"], indirect=True)
def test_no_limits_are_an_empty_list_for_scripts() -> None:
    assert json.loads(answer("concurrency-limit", "ls", "-o", "json")) == []


def test_who_holds_a_slot_and_who_waits_is_shown() -> None:
    set_limit("disk", 1)
    with holding() as holder, waiting("disk", 1) as first, waiting("disk", 2) as second:
        (row,) = answer("concurrency-limit", "ls").splitlines()[1:]
        assert row.split()[:4] == ["disk", "1/1", "[##########]", "2"]
        read = read_limit("disk")
        (held,), waiters = read["holders"], read["waiters"]
        assert (read["active_slots"], read["waiting"]) == ([held["task_run_id"]], 2)
        host = socket.gethostname()
        assert held["client_name"] == f"{host}:{holder.pid}"
        assert held["held_seconds"] > 0
        assert 0 < held["lease_left_seconds"] <= 30
        assert [(each["position"], each["client_name"]) for each in waiters] == [
            (1, f"{host}:{first.pid}"),
            (2, f"{host}:{second.pid}"),
        ]
        _shown_to_people(held, waiters)
        for process in (holder, first, second):
            end(process)
    assert slots("disk") == ()


def _shown_to_people(held: dict[str, Any], waiters: list[dict[str, Any]]) -> None:
    facts, holders, queue = answer("concurrency-limit", "read", "disk").split("\n\n")
    assert "Used     1  [##########]\nWaiting  2\n" in facts
    title, heading, row = holders.splitlines()
    assert title == "Holders of its slots"
    assert heading.split() == ["TASK", "RUN", "NAME", "CLIENT", "HELD", "LEASE", "FLOW", "FLOW", "RUN"]
    assert row.split()[:3] == [held["task_run_id"], "hold-0", held["client_name"]]
    assert row.split()[-2:] == [held["flow_name"], held["flow_run_name"]]
    assert held["flow_name"] == "holder"
    title, _, *rows = queue.splitlines()
    assert title == "Waiting for a slot"
    assert [row.split()[:2] for row in rows] == [
        [str(each["position"]), each["task_run_id"]] for each in waiters
    ]


def test_slots_that_are_freed_by_force_go_to_who_waits() -> None:
    set_limit("disk", 1)
    with holding() as holder, waiting("disk", 1) as waiter:
        (held,) = slots("disk")
        told = complaint(2, "concurrency-limit", "reset", "disk")
        assert "tag 'disk'" in told
        assert "Use --yes" in told
        assert slots("disk") == (held,)

        reset = json.loads(answer("concurrency-limit", "reset", "disk", "--yes", "-o", "json"))
        assert (reset["tag"], [freed["task_run_id"] for freed in reset["freed"]]) == ("disk", [held])
        assert waiter.stdout is not None
        assert waiter.stdout.readline() == "holding\n"
        (next_held,) = slots("disk")
        assert next_held != held

        shown = answer("concurrency-limit", "reset", "disk", "-y")
        assert shown.startswith("Freed 1 slot of tag 'disk'.\n")
        assert next_held in shown
        end(holder)
        end(waiter)


@pytest.mark.parametrize("_service", ["server"], indirect=True)
def test_at_a_terminal_force_is_asked_about() -> None:
    set_limit("disk", 1)
    reset = ("concurrency-limit", "reset", "disk")
    code, screen = at_terminal(*reset)
    assert (code, screen) == (0, "Freed no slot of tag 'disk': none was held.\n")
    with holding() as holder:
        prompt = "Free 1 slot by force? [y/N] "
        for typed, expected in (("no\n", 1), ("\n", 1), ("\x04", 1), (None, 130)):
            code, screen = at_terminal(*reset, typed=typed, prompt=prompt)
            assert code == expected, screen
            assert ("Nothing was freed." in screen) == (expected == 1)
        assert len(slots("disk")) == 1
        code, screen = at_terminal(*reset, typed="y\n", prompt=prompt)
        assert code == 0, screen
        assert "for a while more than 1 may run" in screen
        assert "Freed 1 slot of tag 'disk'.\n" in screen
        assert slots("disk") == ()
        end(holder)


@pytest.mark.parametrize("_service", ["server"], indirect=True)
def test_a_terminal_is_shown_drawn_bars() -> None:
    set_limit("disk", 1)
    code, screen = at_terminal("concurrency-limit", "ls")
    assert (code, "░░░░░░░░░░" in screen) == (0, True)


def test_a_tag_that_the_service_refuses_is_wrong_usage() -> None:
    assert "at most 255" in complaint(2, "concurrency-limit", "create", "x" * 300, "1")
    assert json.loads(answer("concurrency-limit", "ls", "-o", "json")) == []
