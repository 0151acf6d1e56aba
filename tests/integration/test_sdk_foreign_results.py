"""Results that a hostile or mistaken client named: nothing is read, written or deleted by its word."""

from __future__ import annotations

import itertools
import json
import logging
import os
from datetime import timedelta
from pathlib import Path
from typing import Any

import fsspec  # type: ignore[import-untyped]
import pytest

from clearway import ProcessPoolTaskRunner, State, flow, get_client, quote, task
from clearway._base.settings import forget_settings
from clearway._results import orphans
from clearway._results.known_storages import forget_place
from clearway.exceptions import MissingResult, UntrustedResult
from clearway.results import delete_orphaned_results
from integration.cli_process import run
from integration.sdk_foreign import Victim, victim

pytestmark = pytest.mark.usefixtures("service")

AT_ONCE = timedelta(0)
_keys = itertools.count()


@pytest.fixture
def key() -> str:
    """Return a cache key that no other test has."""
    return f"foreign-{next(_keys)}"


def of(key: str, **options: Any) -> list[orphans.OrphanedResult]:
    return [result for result in delete_orphaned_results(AT_ONCE, **options) if result.cache_key == key]


@pytest.mark.parametrize("dry_run", [True, False])
def test_a_stranger_s_file_is_left_alone_and_stays_listed(key: str, tmp_path: Path, dry_run: bool) -> None:
    file = victim(tmp_path / "home of a stranger", key)
    file.orphan()
    for _ in range(2):
        (left,) = of(key, dry_run=dry_run)
        assert file.is_there()
        assert (left.location, left.problem) == (str(file.path), "")
        assert left.left_alone.startswith("it is in none of the storages that this process is configured")


@pytest.mark.parametrize("scheme", ["memory", "file"])
def test_a_url_is_not_deleted_with_what_this_process_may_do_there(
    key: str, tmp_path: Path, scheme: str
) -> None:
    memory = fsspec.filesystem("memory")
    file = victim(tmp_path / "victims", key)
    memory.pipe_file(f"/victims/{file.tail}", file.body)
    file.orphan(f"memory://victims/{file.tail}" if scheme == "memory" else f"file://{file.path}")
    (left,) = of(key)
    assert memory.cat_file(f"/victims/{file.tail}") == file.body
    assert file.is_there()
    assert left.left_alone


def test_a_link_in_the_storage_does_not_lead_the_deletion_elsewhere(
    key: str, tmp_path: Path, home: Path
) -> None:
    file = victim(tmp_path / "victims", key)
    (home / "storage").mkdir(parents=True)
    (home / "storage" / file.digest[:2]).symlink_to(file.path.parent)
    file.orphan(f"{home}/storage/{file.tail}")
    for _ in range(2):  # it is listed again, as it was not dropped
        (failed,) = of(key)
        assert "symbolic link" in failed.problem
        assert file.is_there()


def test_the_command_line_lists_what_it_leaves_alone_and_succeeds(
    key: str, tmp_path: Path, home: Path
) -> None:
    file, own = victim(tmp_path / "stranger", key), victim(home / "storage", f"{key} own")
    file.orphan()
    own.orphan()
    done = run("cache", "gc", "--older-than", "0s", "--dry-run", "-o", "json")
    documents = {document["cache_key"]: document for document in json.loads(done.stdout)}
    assert (done.returncode, documents[key]["deleted"], documents[key]["problem"]) == (0, False, None)
    assert "CLEARWAY_RESULT_EXTRA_STORAGES" in documents[key]["left_alone"]
    assert documents[own.key]["left_alone"] is None
    done = run("cache", "gc", "--older-than", "0s")
    assert (done.returncode, done.stderr) == (0, "")
    deleted, _, left = done.stdout.partition("\nLeft alone ")
    assert str(own.path) in deleted
    assert str(file.path) in left
    assert file.is_there()
    assert not own.path.exists()
    done = run("cache", "gc", "--older-than", "0s", CLEARWAY_RESULT_EXTRA_STORAGES=str(tmp_path / "stranger"))
    assert str(file.path) in done.stdout.partition("\nLeft alone ")[0]
    assert not file.path.exists()


def test_a_deletion_that_fails_is_a_failure_of_the_command(key: str, home: Path) -> None:
    file = Victim(home / "storage", key)
    file.path.mkdir(parents=True)
    file.orphan()
    done = run("cache", "gc", "--older-than", "0s")
    assert done.returncode == 1
    assert f"Error: {file.path} could not be deleted: {file.path} is not a regular file" in done.stderr


@pytest.mark.parametrize("options", [[], ["--dry-run"], ["-o", "json"]], ids=["delete", "dry-run", "json"])
def test_a_storage_that_cannot_be_opened_is_said_not_to_be_searched(options: list[str]) -> None:
    done = run("cache", "gc", *options, CLEARWAY_RESULT_STORAGE="foo://bar")
    assert done.returncode == 1
    assert done.stdout == ("[]\n" if "json" in options else "")
    (line,) = [line for line in done.stderr.splitlines() if line != "No results to delete."]
    assert line.startswith("Error: the storage foo://bar could not be searched for unfinished files: ")


def test_unfinished_files_of_killed_writers_are_deleted_after_a_day(home: Path) -> None:
    left = home / "storage" / "00" / f"{'0' * 64}.{'0' * 32}.tmp"
    left.parent.mkdir(parents=True)
    left.write_bytes(b"half")
    assert str(left) not in run("cache", "gc").stdout
    os.utime(left, (1_000, 1_000))
    assert "Would delete 1 result of 4 bytes." in run("cache", "gc", "--dry-run").stdout
    assert left.exists()
    assert "Deleted 1 result of 4 bytes." in run("cache", "gc").stdout
    assert not left.exists()


def test_a_cached_result_elsewhere_is_computed_again_with_one_line(
    key: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    file = victim(tmp_path / "stranger", key)
    file.claim()
    calls = []

    @task(cache_key_fn=lambda *_: key)
    def work() -> str:
        calls.append(1)
        return "mine" * 50_000

    @flow
    def working() -> str:
        return work()

    with caplog.at_level(logging.WARNING, logger="clearway"):
        assert working() == "mine" * 50_000
        assert working() == "mine" * 50_000
    assert len(calls) == 1  # the entry was repaired
    (line,) = [record.getMessage() for record in caplog.records if file.tail in record.getMessage()]
    assert f"{file.path} is not read: it is in none of the storages" in line
    assert "CLEARWAY_RESULT_EXTRA_STORAGES" in line


@task
def length(state: State[str]) -> int:
    """Return how long the result of a state is."""
    return len(state.result())


def test_the_result_of_another_program_s_storage_is_read_where_a_setting_names_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = tmp_path / "of another program"

    @task(result_storage=place)
    def work() -> str:
        return "x" * 100_000

    @flow
    def working() -> str:
        return work(return_state=True).details.task_run_id

    run_id = working()
    forget_place(str(place))  # as in a program that does not define the task
    with get_client() as client:
        with pytest.raises(UntrustedResult, match=f"the result expected at {place}/"):
            client.read_task_run(run_id).state.result()
        monkeypatch.setenv("CLEARWAY_RESULT_EXTRA_STORAGES", str(place))
        forget_settings()
        assert client.read_task_run(run_id).state.result() == "x" * 100_000


def test_a_state_given_to_a_worker_process_is_read_there(tmp_path: Path) -> None:
    """Its storage is named in the flow's process only, which tells its workers."""

    @task(result_storage=tmp_path / "named here")
    def work() -> str:
        return "x" * 100_000

    @flow(task_runner=ProcessPoolTaskRunner(max_workers=1))
    def working() -> int:
        run_id = work(return_state=True).details.task_run_id
        with get_client() as client:
            return length.submit(quote(client.read_task_run(run_id).state)).result()

    assert working() == 100_000


def test_a_result_is_read_no_further_than_its_state_says(home: Path, key: str) -> None:
    run_id = victim(home / "storage", key).claim(size_bytes=10)
    with get_client() as client:
        state = client.read_task_run(run_id).state
    with pytest.raises(MissingResult, match="is damaged: it is not the 10 bytes"):
        state.result()
