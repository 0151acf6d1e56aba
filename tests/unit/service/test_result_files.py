"""The service's own storage of results."""

from __future__ import annotations

import errno
import os
import threading
import time
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from clearway_service.engine.clock import new_id
from clearway_service.errors import (
    InvalidArgumentError,
    ResultNotFoundError,
    StorageFullError,
    StoreUnavailableError,
)
from clearway_service.result_files import files as files_module
from clearway_service.result_files.files import Received, ResultFiles, SlowStep
from clearway_service.result_files.uploads import ABANDONED_SECONDS, IDLE_SECONDS, MOST_UPLOADS

BODY = b"0123456789" * 10
DIGEST = sha256(BODY).hexdigest()
LATER = 1e11  # seconds since 1970, in the year 5138
LOCATION = f"service://{DIGEST}"
WHOLE = Received(100, LOCATION)


class Ticks:
    """A clock that is moved by hand."""

    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def ticks() -> Ticks:
    return Ticks()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "results"


@pytest.fixture
def files(folder: Path, ticks: Ticks) -> ResultFiles:
    return ResultFiles(folder, max_bytes=1_000, max_total_bytes=1_500, clock=ticks)


def write(
    files: ResultFiles, upload: str, offset: int, chunk: bytes, digest: str = DIGEST, size: int = 100
) -> Received:
    """Keep a piece, with whatever has to be done before."""
    while isinstance(done := files.write(upload, digest, size, offset, chunk), SlowStep):
        done.run()
    return done


def keep(files: ResultFiles, body: bytes = BODY) -> str:
    """Keep a result, and return its SHA-256."""
    digest = sha256(body).hexdigest()
    assert write(files, new_id(), 0, body, digest, len(body)).location
    return digest


def place(folder: Path, digest: str = DIGEST) -> Path:
    return folder / digest[:2] / digest


def parts(folder: Path) -> list[Path]:
    return sorted((folder / "uploads").iterdir())


@pytest.fixture
def hashings(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Return a list that grows by one number whenever a whole file is hashed."""
    seen: list[int] = []
    hash_of = files_module.hash_of

    def count(descriptor: int) -> Any:
        seen.append(descriptor)
        return hash_of(descriptor)

    monkeypatch.setattr(files_module, "hash_of", count)
    monkeypatch.setattr("clearway_service.result_files.folder.hash_of", count)
    return seen


def test_a_result_comes_in_pieces_and_is_read_in_pieces(files: ResultFiles) -> None:
    upload = new_id()
    assert write(files, upload, 0, BODY[:60]) == (60, "")
    assert write(files, upload, 0, BODY[:60]) == (60, "")  # sent again
    assert write(files, upload, 30, BODY[30:70]) == (70, "")  # a part of it sent again
    with pytest.raises(ResultNotFoundError, match="there is no result"):
        files.read(DIGEST, 0, 100)
    assert write(files, upload, 70, BODY[70:]) == WHOLE
    assert files.read(DIGEST, 0, 70) == (BODY[:70], 100)
    assert files.read(DIGEST, 70, 70) == (BODY[70:], 100)
    assert files.read(DIGEST, 100, 70) == (b"", 100)
    assert files.read(DIGEST, 2**62, 70) == (b"", 100)


def test_a_result_without_bytes_is_kept(files: ResultFiles) -> None:
    assert files.read(keep(files, b""), 0, 10) == (b"", 0)


def test_a_result_that_is_there_needs_no_second_upload(files: ResultFiles) -> None:
    keep(files)
    assert write(files, new_id(), 0, b"") == WHOLE


def test_an_upload_repairs_a_damaged_result(files: ResultFiles, folder: Path) -> None:
    keep(files)
    place(folder).write_bytes(b"?" * 100)
    upload = new_id()
    assert write(files, upload, 0, BODY[:60]) == (60, "")
    assert write(files, upload, 60, BODY[60:]) == WHOLE
    assert files.read(DIGEST, 0, 100) == (BODY, 100)


def test_a_result_is_hashed_while_it_comes_and_once_by_another_process(
    files: ResultFiles, folder: Path, hashings: list[int]
) -> None:
    upload = new_id()
    for offset in range(100):
        write(files, upload, offset, BODY[offset : offset + 1])
    for _ in range(3):
        assert write(files, new_id(), 0, BODY[:1]) == WHOLE
    assert hashings == []
    other = ResultFiles(folder, 1_000, 0)
    for _ in range(3):
        assert write(other, new_id(), 0, BODY[:1]) == WHOLE
    assert len(hashings) == 1


def test_what_does_not_fit_is_told_and_leaves_nothing(files: ResultFiles, folder: Path) -> None:
    upload = new_id()
    with pytest.raises(InvalidArgumentError, match="1,000 bytes at most"):
        write(files, upload, 0, BODY, size=1_001)
    with pytest.raises(InvalidArgumentError, match="ends at 100, and the result's size is 99"):
        write(files, upload, 0, BODY, size=99)
    with pytest.raises(InvalidArgumentError, match="offset is 1, and 0 bytes were received"):
        write(files, upload, 1, BODY[1:])
    write(files, upload, 0, BODY[:10])
    with pytest.raises(InvalidArgumentError, match="10 bytes were received"):
        write(files, upload, 20, BODY[20:])
    wrong = BODY[:10] + b"?" * 90
    with pytest.raises(InvalidArgumentError, match="upload them again"):
        write(files, upload, 0, wrong)
    assert parts(folder) == []
    assert [path.name for path in folder.iterdir()] == ["uploads"]


def test_an_upload_says_the_same_with_each_piece(files: ResultFiles, folder: Path) -> None:
    upload = new_id()
    write(files, upload, 0, BODY[:10])
    with pytest.raises(
        InvalidArgumentError, match=f"size_bytes is 900, and upload {upload} began with 100"
    ) as size:
        write(files, upload, 10, BODY[10:], size=900)
    other = sha256(b"other").hexdigest()
    with pytest.raises(InvalidArgumentError, match=f"sha256 is {other}") as digest:
        write(files, upload, 10, BODY[10:], other)
    assert (size.value.field, digest.value.field) == ("size_bytes", "sha256")
    assert len(parts(folder)) == 1
    assert write(files, upload, 10, BODY[10:]) == WHOLE


def test_two_clients_with_one_id_do_not_mix(files: ResultFiles) -> None:
    upload, other = new_id(), b"another"
    write(files, upload, 0, BODY[:10])
    with pytest.raises(InvalidArgumentError, match="give each upload its own id"):
        write(files, upload, 0, other, sha256(other).hexdigest(), len(other))
    assert write(files, upload, 10, BODY[10:]) == WHOLE


def test_the_storage_has_a_bound(files: ResultFiles) -> None:
    for number in range(2):
        keep(files, bytes([number]) * 700)
    with pytest.raises(StorageFullError, match="has 1,400 bytes and may have 1,500"):
        write(files, new_id(), 0, BODY, size=101)
    keep(files)
    assert files.delete(DIGEST, LATER)
    with pytest.raises(ResultNotFoundError):
        files.read(DIGEST, 0, 1)
    assert files.delete(DIGEST, LATER)  # it is not there
    keep(files)


def test_the_bound_holds_for_each_piece_and_what_does_not_fit_is_discarded(
    files: ResultFiles, folder: Path
) -> None:
    first, second = new_id(), new_id()
    for upload in (first, second):
        write(files, upload, 0, b"a" * 10, size=800)
    write(files, first, 10, b"a" * 700, size=800)
    with pytest.raises(StorageFullError, match="has 720 bytes and may have 1,500"):
        write(files, second, 10, b"a" * 700, size=800)
    assert [path.name for path in parts(folder)] == [f"{first}-{DIGEST}.part"]
    with pytest.raises(StorageFullError, match="has 710 bytes"):
        write(files, new_id(), 0, b"a", size=800)


def test_the_bytes_of_the_storage_are_counted_once_and_again_by_the_sweep(
    files: ResultFiles, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    walks: list[Any] = []
    walk = os.walk
    monkeypatch.setattr(os, "walk", lambda path: walks.append(path) or walk(path))
    upload = new_id()
    for offset in range(50):
        write(files, upload, offset, BODY[offset : offset + 1])
    assert len(walks) == 1
    (folder / "of another process").write_bytes(bytes(1_401))
    write(files, upload, 50, BODY[50:60])
    files.sweep()
    assert len(walks) == 2
    with pytest.raises(StorageFullError, match="has 1,461 bytes"):
        write(files, upload, 60, BODY[60:])


def test_what_was_uploaded_again_meanwhile_is_not_deleted(files: ResultFiles, folder: Path) -> None:
    keep(files)
    os.utime(place(folder), (1_000, 1_000))
    write(files, new_id(), 0, b"")  # it is there already
    assert not files.delete(DIGEST, written_before=2_000)
    os.utime(place(folder), (1_000, 1_000))
    assert files.delete(DIGEST, written_before=2_000)
    assert not place(folder).exists()


class TestAbandonedUploads:
    def begin(self, files: ResultFiles, count: int) -> list[str]:
        uploads = [new_id() for _ in range(count)]
        for upload in uploads:
            write(files, upload, 0, BODY[:1])
        return uploads

    def test_those_without_a_piece_for_an_hour_are_removed(
        self, files: ResultFiles, folder: Path, ticks: Ticks
    ) -> None:
        _, resumed = self.begin(files, 2)
        ticks.now += ABANDONED_SECONDS
        write(files, resumed, 1, BODY[1:2])
        ticks.now += 1
        files.sweep()
        assert [path.name for path in parts(folder)] == [f"{resumed}-{DIGEST}.part"]
        assert write(files, resumed, 2, BODY[2:]) == WHOLE

    def test_those_of_earlier_versions_and_of_other_processes_are_too(
        self, files: ResultFiles, folder: Path
    ) -> None:
        (mine,) = self.begin(files, 1)
        for name in (f"{new_id()}.part", f"uploads/{new_id()}-{DIGEST}.part"):
            for age in (0.0, ABANDONED_SECONDS + 60):
                path = folder / f"{name[:-5]}{age:.0f}.part"
                path.write_bytes(b"half")
                os.utime(path, (time.time() - age,) * 2)
        # Of one that is known, the clock that cannot jump decides.
        os.utime(folder / "uploads" / f"{mine}-{DIGEST}.part", (0, 0))
        files.sweep()
        left = [path.name for path in folder.rglob("*.part")]
        assert len(left) == 3
        assert f"{mine}-{DIGEST}.part" in left

    def test_no_piece_looks_at_other_uploads(
        self, files: ResultFiles, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        self.begin(files, 3)
        for name in ("listdir", "scandir", "walk"):
            monkeypatch.setattr(os, name, None)
        self.begin(files, 3)

    def test_their_number_is_bounded_and_one_that_has_paused_makes_room(
        self, folder: Path, ticks: Ticks
    ) -> None:
        files = ResultFiles(folder, 1_000, 0, ticks)
        first, second, *_ = self.begin(files, MOST_UPLOADS)
        with pytest.raises(StoreUnavailableError, match="1,024 results are being uploaded"):
            self.begin(files, 1)
        ticks.now += IDLE_SECONDS
        write(files, first, 1, BODY[1:2])
        self.begin(files, 1)
        assert len(parts(folder)) == MOST_UPLOADS
        assert write(files, first, 2, BODY[2:]) == WHOLE
        # A result is there by now, but not of the SHA-256 of these.
        assert f"{second}-{DIGEST}.part" not in {path.name for path in parts(folder)}

    def test_a_client_with_many_loses_its_own_to_others(self, folder: Path, ticks: Ticks) -> None:
        files = ResultFiles(folder, 1_000, 0, ticks)
        first, *flood = [new_id() for _ in range(MOST_UPLOADS)]
        for upload in (first, *flood):
            files.write(upload, DIGEST, 100, 0, BODY[:1], "many")
        files.write(first, DIGEST, 100, 1, BODY[1:2], "many")
        mine = new_id()
        assert files.write(mine, DIGEST, 100, 0, BODY[:50], "few") == (50, "")
        left = {path.name.removesuffix(f"-{DIGEST}.part") for path in parts(folder)}
        assert left == {first, mine, *flood[1:]}
        # What the flood brings is refused, and takes nothing of the other client, which pauses meanwhile.
        ticks.now += IDLE_SECONDS
        for upload in (first, *flood[1:]):
            files.write(upload, DIGEST, 100, 1, BODY[1:2], "many")
        with pytest.raises(StoreUnavailableError, match="1,024 results are being uploaded"):
            files.write(new_id(), DIGEST, 100, 0, BODY[:1], "many")
        assert files.write(mine, DIGEST, 100, 50, BODY[50:], "few") == WHOLE

    def test_those_of_an_earlier_process_count_and_can_be_resumed(
        self, folder: Path, ticks: Ticks, hashings: list[int]
    ) -> None:
        before = ResultFiles(folder, 1_000, 0, ticks)
        (resumed,) = self.begin(before, 1)
        write(before, resumed, 1, BODY[1:50])
        self.begin(before, MOST_UPLOADS - 1)
        files = ResultFiles(folder, 1_000, 0, ticks)
        with pytest.raises(StoreUnavailableError, match="1,024 results"):
            self.begin(files, 1)
        assert write(files, resumed, 50, BODY[50:60]) == (60, "")
        assert write(files, resumed, 60, BODY[60:]) == WHOLE
        assert len(hashings) == 1

    def test_one_whose_file_is_lost_begins_again(self, files: ResultFiles, folder: Path) -> None:
        (upload,) = self.begin(files, 1)
        parts(folder)[0].unlink()
        with pytest.raises(InvalidArgumentError, match="0 bytes were received"):
            write(files, upload, 1, BODY[1:])
        assert write(files, upload, 0, BODY) == WHOLE


class TestLinks:
    """A link in the folder leads nowhere: nothing outside is read, written or deleted by it."""

    @pytest.fixture
    def outside(self, tmp_path: Path) -> Path:
        outside = tmp_path / "outside"
        (outside / DIGEST[:2]).mkdir(parents=True)
        (outside / DIGEST[:2] / DIGEST).write_bytes(BODY)
        os.utime(outside / DIGEST[:2] / DIGEST, (1_000, 1_000))
        return outside

    def check(self, files: ResultFiles, outside: Path) -> None:
        target = outside / DIGEST[:2] / DIGEST
        for call in (
            lambda: files.read(DIGEST, 0, 100),
            lambda: files.delete(DIGEST, LATER),
            lambda: write(files, new_id(), 0, BODY),
        ):
            with pytest.raises(StoreUnavailableError, match="link"):
                call()
        assert target.read_bytes() == BODY
        assert target.stat().st_mtime == 1_000
        assert list(outside.iterdir()) == [target.parent]

    def test_the_folder_itself(self, files: ResultFiles, folder: Path, outside: Path) -> None:
        folder.symlink_to(outside)
        self.check(files, outside)

    def test_the_folder_of_a_result(self, files: ResultFiles, folder: Path, outside: Path) -> None:
        folder.mkdir()
        (folder / DIGEST[:2]).symlink_to(outside / DIGEST[:2])
        self.check(files, outside)

    def test_a_result(self, files: ResultFiles, folder: Path, outside: Path) -> None:
        target = outside / DIGEST[:2] / DIGEST
        place(folder).parent.mkdir(parents=True)
        place(folder).symlink_to(target)
        with pytest.raises(StoreUnavailableError, match="not a regular file"):
            files.read(DIGEST, 0, 100)
        with pytest.raises(StoreUnavailableError, match="not a regular file"):
            files.delete(DIGEST, LATER)
        assert write(files, new_id(), 0, BODY) == WHOLE  # the upload replaces the link
        assert not place(folder).is_symlink()
        assert target.stat().st_mtime == 1_000

    @pytest.mark.parametrize("make", [Path.symlink_to, Path.hardlink_to])
    def test_an_upload(
        self, files: ResultFiles, folder: Path, tmp_path: Path, make: Callable[[Path, Path], None]
    ) -> None:
        victim = tmp_path / "victim"
        victim.write_bytes(b"precious" * 20)
        upload = new_id()
        part = folder / "uploads" / f"{upload}-{DIGEST}.part"
        part.parent.mkdir(parents=True)
        make(part, victim)
        assert write(files, upload, 0, BODY[:50]) == (50, "")  # removed, and made again
        part.unlink()
        make(part, victim)
        with pytest.raises(InvalidArgumentError, match="0 bytes were received"):
            write(files, upload, 50, BODY[50:])
        assert victim.read_bytes() == b"precious" * 20

    def test_uploads(self, files: ResultFiles, folder: Path, outside: Path) -> None:
        folder.mkdir()
        (folder / "uploads").symlink_to(outside)
        with pytest.raises(StoreUnavailableError, match="uploads is a link"):
            write(files, new_id(), 0, BODY)

    def test_a_fifo_hangs_nobody(self, files: ResultFiles, folder: Path) -> None:
        place(folder).parent.mkdir(parents=True)
        os.mkfifo(place(folder))
        with pytest.raises(StoreUnavailableError, match="not a regular file"):
            files.read(DIGEST, 0, 100)
        assert write(files, new_id(), 0, BODY) == WHOLE


@pytest.mark.parametrize("path", ["", "../clearway.db", "/etc/passwd", "..", "a" * 64 + "/..", "A" * 64])
def test_nothing_but_a_hash_names_a_file(files: ResultFiles, path: str) -> None:
    with pytest.raises(ValueError, match="is no SHA-256"):
        files.delete(path, LATER)
    with pytest.raises(ValueError, match="is no SHA-256"):
        files.read(path, 0, 1)


@pytest.mark.parametrize(
    ("number", "error"),
    [
        (errno.ENOSPC, StorageFullError),
        (errno.EDQUOT, StorageFullError),
        (errno.EFBIG, StorageFullError),
        (errno.EMFILE, StoreUnavailableError),
        (errno.ENFILE, StoreUnavailableError),
        (errno.EIO, StoreUnavailableError),
        (errno.EACCES, StoreUnavailableError),
        (errno.EROFS, StoreUnavailableError),
    ],
)
@pytest.mark.parametrize("call", ["open", "pwrite", "fsync", "rename", "mkdir"])
def test_a_failure_of_the_system_is_told_as_what_it_is(
    call: str,
    number: int,
    error: type[Exception],
    files: ResultFiles,
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fail(*_arguments: Any, **_options: Any) -> Any:
        raise OSError(number, os.strerror(number))

    upload = new_id()
    write(files, upload, 0, BODY[:50])
    with monkeypatch.context() as failing:
        failing.setattr(os, call, fail)
        with pytest.raises(error, match=os.strerror(number)):
            write(files, upload, 50, BODY[50:])
    assert not place(folder).exists()
    if call == "fsync" or (error is StorageFullError and call != "open"):
        # A full disk gets its bytes back, and what a disk may have lost is not counted as written.
        assert parts(folder) == []
    elif error is StoreUnavailableError:
        assert write(files, upload, 50, BODY[50:]) == WHOLE
    assert keep(files) == DIGEST


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreUnavailableError, match="file"):
        write(ResultFiles(tmp_path / "file", 1_000, 0), new_id(), 0, BODY)


def test_a_piece_beside_another_one_of_its_upload_is_told_to_wait(
    files: ResultFiles, monkeypatch: pytest.MonkeyPatch
) -> None:
    upload = new_id()
    write(files, upload, 0, BODY[:10])
    inside, go_on = threading.Event(), threading.Event()
    pwrite = os.pwrite

    def held(*arguments: Any) -> int:
        inside.set()
        assert go_on.wait(30)
        return pwrite(*arguments)

    monkeypatch.setattr(os, "pwrite", held)
    first = threading.Thread(target=write, args=(files, upload, 10, BODY[10:20]))
    first.start()
    assert inside.wait(30)
    with pytest.raises(StoreUnavailableError, match="one at a time"):
        write(files, upload, 10, BODY[10:20])
    go_on.set()
    first.join()
    assert write(files, upload, 20, BODY[20:]) == WHOLE
