"""``clearway cache``, against a server and against the database file."""

import json
import os
import threading
from datetime import timedelta

import pytest

from clearway import flow, task
from integration.cli_process import answer, complaint, run
from integration.sdk_runs import SECONDS, task_runs
from support.waiting import wait_until


@pytest.fixture(params=["embedded", "server"], autouse=True)
def _service(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if request.param == "server":
        monkeypatch.setenv("CLEARWAY_ADDRESS", request.getfixturevalue("server").address)
    else:
        assert not os.environ.get("CLEARWAY_ADDRESS")


def fill(*keys: str, expires: timedelta | None = None) -> None:
    """Let runs of a task write entries, or be served from them."""

    @task(cache_key_fn=lambda _context, given: given["key"], cache_expiration=expires, tags=["disk"])
    def keyed(key: str) -> str:
        return key

    @flow
    def filling() -> None:
        for key in keys:
            keyed(key)

    filling()


def keys(*options: str) -> list[str]:
    return [entry["key"] for entry in json.loads(answer("cache", "ls", *options, "-o", "json"))]


def test_entries_are_shown() -> None:
    empty = run("cache", "ls")
    assert (empty.returncode, empty.stdout) == (0, "")
    assert "No cache entries found" in empty.stderr
    fill("a-1", "a-1", "b-1", expires=timedelta(hours=2))
    heading, *rows = answer("cache", "ls").splitlines()
    assert heading.split()[:5] == ["KEY", "TASK", "AGE", "EXPIRES", "HITS"]
    assert [(row.split()[0], row.split()[1], row.split()[5]) for row in rows] == [
        ("b-1", "keyed", "0"),
        ("a-1", "keyed", "1"),
    ]
    assert keys("--prefix", "a-") == keys("--key", "a-1") == ["a-1"]
    assert keys("--task", "keyed", "--tag", "disk", "--live", "--older-than", "0s") == ["b-1", "a-1"]
    assert keys("-n", "1") == ["b-1"]
    shown = answer("cache", "get", "a-1")
    assert "Key       a-1" in shown
    assert "Hits      1" in shown
    found = json.loads(answer("cache", "get", "a-1", "-o", "json"))
    assert (found["hits"], found["size"], found["tags"]) == (1, 5, ["disk"])
    assert found["task_run_id"] == task_runs("filling")["keyed-0"].id
    assert "no live entry for the key 'c'" in complaint(1, "cache", "get", "c")


def test_sums_are_shown() -> None:
    fill("a", "a", "b")
    assert "Entries    2" in answer("cache", "stats")
    found = json.loads(answer("cache", "stats", "-o", "json"))
    assert found["total"] | {"oldest": "", "newest": ""} == {
        "task_key": None,
        "task_name": None,
        "entries": 2,
        "expired": 0,
        "hits": 1,
        "size": 6,
        "oldest": "",
        "newest": "",
    }
    assert [(each["task_name"], each["entries"]) for each in found["tasks"]] == [("keyed", 2)]
    assert (found["computing"], found["waiting"]) == (0, 0)


def test_entries_are_removed_only_when_that_is_confirmed() -> None:
    fill("a-1", "a-2", "b-1")
    for options, wrong in ([], "select entries"), (["--all", "--prefix", "a-"], "not both"):
        assert wrong in complaint(2, "cache", "invalidate", *options, "--yes")
    assert "--yes" in complaint(2, "cache", "invalidate", "--prefix", "a-")
    assert answer("cache", "invalidate", "--prefix", "a-", "--dry-run") == "Would remove 2 cache entries.\n"
    assert "'soon' is not an age" in complaint(2, "cache", "invalidate", "--older-than", "soon", "--yes")
    assert answer("cache", "invalidate", "--older-than", "1d", "--yes") == "Removed 0 cache entries.\n"
    assert len(keys()) == 3
    assert answer("cache", "invalidate", "--key", "a-1", "-y") == "Removed 1 cache entry.\n"
    assert keys() == ["b-1", "a-2"]
    removed = json.loads(answer("cache", "invalidate", "--all", "--yes", "-o", "json"))
    assert removed == {"count": 2, "dry_run": False}
    assert keys() == []


def test_explain_shows_who_computes_the_key() -> None:
    begun, done = threading.Event(), threading.Event()

    @task(cache_key_fn=lambda _context, _given: "shared")
    def shared(_number: int) -> None:
        begun.set()
        assert done.wait(SECONDS)

    @flow
    def waiting() -> None:
        shared.submit(0)
        assert begun.wait(SECONDS)
        follower = shared.submit(1)
        wait_until(lambda: answer("cache", "stats").splitlines()[5] == "Waiting    1", "the follower")
        shown = answer("task-run", "explain", follower.task_run_id)
        found = json.loads(answer("task-run", "explain", follower.task_run_id, "-o", "json"))
        done.set()
        assert "shared-1 waits for shared-0" in " ".join(shown.split())
        assert "Run that computes its cache key" in shown
        assert (found["cause"], found["cache_key"], found["cache_position"]) == ("CACHE", "shared", 1)
        assert found["leader"]["task_run_name"] == "shared-0"

    waiting()
