"""A directory of results that others may write to as well."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from hashlib import sha256
from pathlib import Path

import pytest

from clearway._results import folders as _folders
from clearway._results.directory_storage import DirectoryStorage
from clearway._results.folders import UnsafePathError
from clearway._results.storage import SizeMismatchError
from clearway.exceptions import MissingResult, UntrustedResult
from clearway.results import StoredResult, get_store

BODY = b'"' + b"x" * 100_000 + b'"'
DIGEST = sha256(BODY).hexdigest()
LATER = 1e11  # seconds since 1970, in the year 5138
# Old enough to be swept; in seconds since 1970.
LONG_AGO = 1_000.0


@pytest.fixture(params=["relative to descriptors", "by path"])
def storage(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> DirectoryStorage:
    """Return a storage, on a system with the calls that follow no links, and as if on one without."""
    if request.param == "by path":
        monkeypatch.setattr(_folders, "_RELATIVE", False)
        monkeypatch.setattr(_folders, "_PLAIN", os.O_CLOEXEC)
    return DirectoryStorage(str(tmp_path / "storage"))


def path(storage: DirectoryStorage) -> Path:
    return Path(storage.location(DIGEST))


def test_what_is_written_is_read_held_and_deleted(storage: DirectoryStorage) -> None:
    assert not storage.holds(DIGEST, len(BODY))
    storage.write(DIGEST, BODY)
    assert storage.read(DIGEST, len(BODY)) == BODY
    assert storage.holds(DIGEST, len(BODY))
    assert not storage.holds(DIGEST, len(BODY) + 1)
    storage.check_deletable(DIGEST)
    assert storage.delete(DIGEST, LATER)
    assert not path(storage).exists()
    assert storage.delete(DIGEST, LATER)  # it is not there
    with pytest.raises(FileNotFoundError):
        storage.read(DIGEST, len(BODY))


@pytest.mark.parametrize("size", [0, 1, len(BODY) - 1, len(BODY) + 1, 2**62])
def test_no_more_is_read_than_the_state_says(storage: DirectoryStorage, size: int) -> None:
    storage.write(DIGEST, BODY)
    with pytest.raises(SizeMismatchError, match="100,002"):
        storage.read(DIGEST, size)


@pytest.mark.parametrize("kind", ["link", "dangling link", "fifo", "directory"])
def test_what_is_no_file_is_neither_read_nor_deleted_nor_touched(
    storage: DirectoryStorage, tmp_path: Path, kind: str
) -> None:
    victim = tmp_path / "victim"
    victim.write_bytes(BODY)
    os.utime(victim, (LONG_AGO, LONG_AGO))
    place = path(storage)
    place.parent.mkdir(parents=True)
    if kind == "fifo":
        os.mkfifo(place)
    elif kind == "directory":
        place.mkdir()
    else:
        place.symlink_to(victim if kind == "link" else tmp_path / "nowhere")
    for attempt in (
        lambda: storage.read(DIGEST, len(BODY)),
        lambda: storage.delete(DIGEST, LATER),
        lambda: storage.check_deletable(DIGEST),
    ):
        with pytest.raises(UnsafePathError, match=DIGEST):
            attempt()
    assert not storage.holds(DIGEST, len(BODY))
    assert victim.stat().st_mtime == LONG_AGO
    assert os.path.lexists(place)


def test_a_folder_that_is_a_link_is_not_followed(storage: DirectoryStorage, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / DIGEST).write_bytes(BODY)
    path(storage).parents[1].mkdir()
    path(storage).parent.symlink_to(elsewhere)
    for attempt in (
        lambda: storage.read(DIGEST, len(BODY)),
        lambda: storage.write(DIGEST, BODY),
        lambda: storage.delete(DIGEST, LATER),
    ):
        with pytest.raises(UnsafePathError, match="symbolic link"):
            attempt()
    assert not storage.holds(DIGEST, len(BODY))
    assert [file.name for file in elsewhere.iterdir()] == [DIGEST]


def test_the_storage_itself_may_be_a_link(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    storage = DirectoryStorage(str(tmp_path / "link"))
    storage.write(DIGEST, BODY)
    assert storage.read(DIGEST, len(BODY)) == BODY


def test_a_link_in_the_place_of_a_result_is_replaced_and_not_written_through(
    storage: DirectoryStorage, tmp_path: Path
) -> None:
    victim = tmp_path / "victim"
    victim.write_text("precious")
    path(storage).parent.mkdir(parents=True)
    path(storage).symlink_to(victim)
    storage.write(DIGEST, BODY)
    assert victim.read_text() == "precious"
    assert not path(storage).is_symlink()
    assert storage.read(DIGEST, len(BODY)) == BODY


def test_a_temporary_file_is_never_one_that_was_there_before(
    storage: DirectoryStorage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    victim = tmp_path / "victim"
    victim.write_text("precious")
    folder = path(storage).parent
    folder.mkdir(parents=True)
    # The name that earlier versions used, which is known to all who know the process and its thread.
    (folder / f"{DIGEST}.{os.getpid()}-{threading.get_ident()}.tmp").symlink_to(victim)
    storage.write(DIGEST, BODY)
    assert victim.read_text() == "precious"
    assert storage.read(DIGEST, len(BODY)) == BODY
    # And even the right guess is not followed.
    monkeypatch.setattr(
        "clearway._results.directory_storage.temporary_name", lambda digest: f"{digest}.guessed.tmp"
    )
    (folder / f"{DIGEST}.guessed.tmp").symlink_to(victim)
    with pytest.raises(FileExistsError):
        storage.write(DIGEST, BODY)
    assert victim.read_text() == "precious"


def test_a_write_that_fails_leaves_nothing(
    storage: DirectoryStorage, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_space(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", no_space)
    with pytest.raises(OSError, match="No space left"):
        storage.write(DIGEST, BODY)
    assert list(path(storage).parent.iterdir()) == []


def test_what_killed_writers_left_is_swept_when_it_is_old(storage: DirectoryStorage, tmp_path: Path) -> None:
    storage.write(DIGEST, BODY)
    folder = path(storage).parent
    old = folder / f"{DIGEST}.{'0' * 32}.tmp"
    earlier_version = folder / f"{DIGEST}.4711-140000000000000.tmp"
    young = folder / f"{DIGEST}.{'1' * 32}.tmp"
    strangers = folder / "notes.tmp"
    link = folder / f"{DIGEST}.{'2' * 32}.tmp"
    victim = tmp_path / "victim"
    victim.write_text("precious")
    for file in (old, earlier_version, young, strangers):
        file.write_bytes(b"half")
    link.symlink_to(victim)
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / old.name).write_bytes(b"half")
    (folder.parent / "00").symlink_to(outside)
    for file in (path(storage), old, earlier_version, strangers, outside / old.name, victim):
        os.utime(file, (LONG_AGO, LONG_AGO))
    expected = {str(old), str(earlier_version)}
    for dry_run in (True, False, False):
        swept = list(storage.sweep(LONG_AGO + 1, dry_run=dry_run))
        assert {left.location for left in swept if not left.problem} == expected
        assert {left.location for left in swept if left.problem} == {str(link)}
        expected = expected if dry_run else set()
    assert not old.exists()
    kept = (path(storage), young, strangers, outside / old.name, victim)
    assert all(file.exists() for file in kept)


def test_a_storage_that_is_not_there_has_nothing_to_sweep(storage: DirectoryStorage) -> None:
    assert list(storage.sweep(LATER, dry_run=False)) == []


HUGE = """
import resource, sys
resource.setrlimit(resource.RLIMIT_AS, (2**30, 2**30))
from clearway.exceptions import MissingResult
from clearway.results import StoredResult
try:
    StoredResult("json", sys.argv[1], size=100_000, sha256=sys.argv[2]).load()
except MissingResult as error:
    print(error)
"""


def test_a_huge_file_is_not_read_for_a_small_result(home: Path) -> None:
    """The process may have 1 GiB, and the file has 3."""
    location = home / "storage" / DIGEST[:2] / DIGEST
    location.parent.mkdir(parents=True)
    with location.open("wb") as file:
        file.truncate(3 * 2**30)
    done = subprocess.run(
        [sys.executable, "-c", HUGE, str(location), DIGEST],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert "is damaged: it is not the 100000 bytes" in done.stdout, done.stderr


WAITING = """
import sys
from clearway.exceptions import UntrustedResult
from clearway.results import StoredResult
try:
    StoredResult("json", sys.argv[1], size=100_002, sha256=sys.argv[2]).load()
except UntrustedResult as error:
    print(error)
"""


def test_a_fifo_in_the_place_of_a_result_holds_up_nobody(home: Path) -> None:
    location = home / "storage" / DIGEST[:2] / DIGEST
    location.parent.mkdir(parents=True)
    os.mkfifo(location)
    done = subprocess.run(
        [sys.executable, "-c", WAITING, str(location), DIGEST],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert f"{location} is not a regular file" in done.stdout, done.stderr


def test_a_link_in_the_storage_is_an_untrusted_result_and_storing_again_repairs_it(tmp_path: Path) -> None:
    store = get_store(tmp_path / "storage")
    data = store.store("x" * 100_000)
    location = Path(data.location)
    location.rename(tmp_path / "moved")
    location.symlink_to(tmp_path / "moved")
    with pytest.raises(UntrustedResult, match="symbolic link"):
        StoredResult.from_proto(data).load()
    assert StoredResult.from_proto(store.store("x" * 100_000)).load() == "x" * 100_000
    assert not location.is_symlink()


def test_a_file_in_the_place_of_a_folder_is_a_missing_result(tmp_path: Path) -> None:
    data = get_store(tmp_path / "storage").store("x" * 100_000)
    folder = Path(data.location).parent
    Path(data.location).unlink()
    folder.rmdir()
    folder.write_text("")
    with pytest.raises(MissingResult, match="cannot be read"):
        StoredResult.from_proto(data).load()
