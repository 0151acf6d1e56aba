"""The service's own storage of results."""

from __future__ import annotations

import os
from hashlib import sha256
from pathlib import Path

import pytest

from clearway_service.clock import new_id
from clearway_service.errors import InvalidArgumentError, ResultNotFoundError, StorageFullError
from clearway_service.result_files import ResultFiles

BODY = b"0123456789" * 10
DIGEST = sha256(BODY).hexdigest()
LATER = 1e11  # seconds since 1970, in the year 5138
LOCATION = f"service://{DIGEST}"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "results"


@pytest.fixture
def files(folder: Path) -> ResultFiles:
    return ResultFiles(folder, max_bytes=1_000, max_total_bytes=1_500)


def test_a_result_comes_in_pieces_and_is_read_in_pieces(files: ResultFiles) -> None:
    upload = new_id()
    assert files.write(upload, DIGEST, 100, 0, BODY[:60]) == (60, "")
    assert files.write(upload, DIGEST, 100, 0, BODY[:60]) == (60, "")  # sent again
    with pytest.raises(ResultNotFoundError, match="there is no result"):
        files.read(LOCATION, 0, 100)
    assert files.write(upload, DIGEST, 100, 60, BODY[60:]) == (100, LOCATION)
    assert files.read(LOCATION, 0, 70) == (BODY[:70], 100)
    assert files.read(LOCATION, 70, 70) == (BODY[70:], 100)
    assert files.read(LOCATION, 100, 70) == (b"", 100)


def test_a_result_that_is_there_needs_no_second_upload(files: ResultFiles) -> None:
    files.write(new_id(), DIGEST, 100, 0, BODY)
    assert files.write(new_id(), DIGEST, 100, 0, b"") == (100, LOCATION)


def test_an_upload_repairs_a_damaged_result(files: ResultFiles, folder: Path) -> None:
    files.write(new_id(), DIGEST, 100, 0, BODY)
    (path,) = (path for path in folder.rglob("*") if path.is_file())
    path.write_bytes(b"?" * 100)
    upload = new_id()
    assert files.write(upload, DIGEST, 100, 0, BODY[:60]) == (60, "")
    assert files.write(upload, DIGEST, 100, 60, BODY[60:]) == (100, LOCATION)
    assert files.read(LOCATION, 0, 100) == (BODY, 100)


def test_what_does_not_fit_is_told_and_leaves_nothing(files: ResultFiles, folder: Path) -> None:
    upload = new_id()
    with pytest.raises(InvalidArgumentError, match="1,000 bytes at most"):
        files.write(upload, DIGEST, 1_001, 0, BODY)
    with pytest.raises(InvalidArgumentError, match="ends at 100, and the result's size is 99"):
        files.write(upload, DIGEST, 99, 0, BODY)
    files.write(upload, DIGEST, 100, 0, BODY[:10])
    with pytest.raises(InvalidArgumentError, match="10 bytes were received"):
        files.write(upload, DIGEST, 100, 20, BODY[20:])
    wrong = BODY[:10] + b"?" * 90
    with pytest.raises(InvalidArgumentError, match="upload them anew"):
        files.write(upload, DIGEST, 100, 0, wrong)
    assert list(folder.iterdir()) == []


def test_the_storage_has_a_bound(files: ResultFiles) -> None:
    for number in range(2):
        body = bytes([number]) * 700
        files.write(new_id(), sha256(body).hexdigest(), 700, 0, body)
    with pytest.raises(StorageFullError, match="has 1,400 bytes and takes 1,500"):
        files.write(new_id(), DIGEST, 101, 0, BODY)
    assert files.write(new_id(), DIGEST, 100, 0, BODY) == (100, LOCATION)
    assert files.delete(DIGEST, LATER) == 100
    assert files.delete(DIGEST, LATER) == 0


def test_what_was_uploaded_again_meanwhile_is_not_deleted(files: ResultFiles, folder: Path) -> None:
    files.write(new_id(), DIGEST, 100, 0, BODY)
    (path,) = (path for path in folder.rglob("*") if path.is_file())
    os.utime(path, (1_000, 1_000))
    files.write(new_id(), DIGEST, 100, 0, b"")  # it is there already
    assert files.delete(DIGEST, written_before=2_000) == 0
    os.utime(path, (1_000, 1_000))
    assert files.delete(DIGEST, written_before=2_000) == 100


def test_the_bound_holds_for_each_piece(files: ResultFiles) -> None:
    growing, first, second = new_id(), new_id(), new_id()
    files.write(growing, DIGEST, 10, 0, b"a")  # a size that is not the last word
    for upload in (first, second):
        files.write(upload, DIGEST, 800, 0, b"a" * 10)
    files.write(first, DIGEST, 800, 10, b"a" * 700)
    with pytest.raises(StorageFullError, match="has 721 bytes and takes 1,500"):
        files.write(second, DIGEST, 800, 10, b"a" * 700)
    with pytest.raises(StorageFullError, match="so 999 more do not fit"):
        files.write(growing, DIGEST, 1_000, 1, b"a" * 500)


def test_an_upload_that_was_given_up_is_cleared_away(files: ResultFiles, folder: Path) -> None:
    given_up, going_on = new_id(), new_id()
    for upload in (given_up, going_on):
        files.write(upload, DIGEST, 100, 0, BODY[:10])
    os.utime(folder / f"{given_up}.part", (0, 0))
    body = b"another"
    files.write(new_id(), sha256(body).hexdigest(), 7, 0, body)
    assert {path.name for path in folder.glob("*.part")} == {f"{going_on}.part"}


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageFullError, match="file"):
        ResultFiles(tmp_path / "file", 1_000, 0).write(new_id(), DIGEST, 100, 0, BODY)
