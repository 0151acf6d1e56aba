"""``clearway backup`` and ``clearway restore``, as an operator uses them and gets them wrong."""

from __future__ import annotations

import json
import os
import resource
import shutil
import signal
import sqlite3
import stat
import subprocess
import tarfile
from contextlib import closing
from pathlib import Path

import pytest

from clearway.v1.result_pb2 import DownloadResultRequest
from clearway_service.backup.manifest import DATABASE, MANIFEST, result_name
from integration.cli_process import CLEARWAY, answer, complaint, impostors, run, started
from support.backups import (
    digest_of,
    good_files,
    keep_result,
    manifest_of,
    resigned,
    result_file,
    small_database,
    tables,
    write_archive,
)
from support.client import Client
from support.proposals import create_flow, new_id
from support.server import Server
from support.waiting import wait_until

FIRST, SECOND = b"first", b"second" * 1000


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make a database with two results, which no test changes."""
    path = tmp_path_factory.mktemp("original") / "some.db"
    small_database(path, (FIRST, SECOND))
    return path


@pytest.fixture(scope="module")
def archive(original: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make a backup of it, which no test changes."""
    path = tmp_path_factory.mktemp("backups") / "some.tar"
    answer("backup", str(path), "--database", str(original))
    return path


@pytest.fixture
def database(original: Path, tmp_path: Path) -> Path:
    """Return a copy of the database, of the test's own."""
    path = tmp_path / "used" / "some.db"
    shutil.copytree(original.parent, path.parent)
    return path


def manifest_in(archive: Path) -> dict[str, object]:
    with tarfile.open(archive) as plain:
        member = plain.extractfile(MANIFEST)
        assert member is not None
        body: dict[str, object] = json.load(member)
        return body


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def failed(*arguments: str, **variables: str) -> str:
    """Run a command that fails; return its one line."""
    told = complaint(1, *arguments, **variables)
    assert told.startswith("Error: ")
    assert told.count("\n") == 1
    assert len(told) < 600
    return told


def test_nothing_is_imported_from_the_working_directory(
    original: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mark = impostors(tmp_path)
    monkeypatch.chdir(tmp_path)
    assert answer("backup", "some.tar", "--database", str(original)).startswith("Saved ")
    assert answer("backup", "--verify", "some.tar")
    assert answer("restore", "some.tar", "--database", "new.db")
    assert not mark.exists()


def test_a_backup_is_restored_elsewhere_with_its_results(original: Path, tmp_path: Path) -> None:
    archive, place = tmp_path / "some backup.tar", tmp_path / "new home" / "new.db"
    told = answer("backup", str(archive), "--database", str(original))
    assert told.startswith(f"Saved 1 flow run, 2 task runs and 2 results to {archive}: ")
    assert told.count("\n") == 1
    told = answer("backup", "--verify", str(archive))
    assert told.startswith(f"{archive} is sound: 1 flow run, 2 task runs and 2 results")
    told = answer("restore", str(archive), "--database", str(place))
    assert told.startswith("Restored 1 flow run, 2 task runs and 2 results")
    assert f"clearway server start --database '{place}'" in told
    assert tables(place) == tables(original)
    for path in (archive, place, result_file(place, digest_of(FIRST))):
        assert mode(path) == 0o600
    for path in (place.parent, result_file(place, digest_of(FIRST)).parent):
        assert mode(path) == 0o700
    assert sorted(path.name for path in tmp_path.iterdir()) == ["new home", "some backup.tar"]
    assert sorted(path.name for path in place.parent.iterdir()) == ["new.db", "new.db-results"]
    with Server(place) as server, Client(server.address) as client:
        for body in (FIRST, SECOND):
            request = DownloadResultRequest(location=f"service://{digest_of(body)}")
            assert client.stub.DownloadResult(request).chunk == body
        # The results that it has need not be sent again.
        keep_result(client, create_flow(client).spec.id, FIRST)


def test_a_link_to_a_database_shares_its_results(database: Path, tmp_path: Path) -> None:
    link, place = tmp_path / "links" / "link.db", tmp_path / "new.db"
    link.parent.mkdir()
    link.symlink_to(Path("..") / "used" / "some.db")
    third = b"third"
    with Server(link) as server, Client(server.address) as client:
        for body in (FIRST, SECOND):
            request = DownloadResultRequest(location=f"service://{digest_of(body)}")
            assert client.stub.DownloadResult(request).chunk == body
        keep_result(client, create_flow(client).spec.id, third)
        server.stop()
    assert result_file(database, digest_of(third)).read_bytes() == third
    done = run("backup", str(tmp_path / "some.tar"), "--database", str(link))
    assert (done.returncode, done.stderr) == (0, "")
    assert "and 3 results" in done.stdout
    assert list(link.parent.iterdir()) == [link]
    answer("restore", str(tmp_path / "some.tar"), "--database", str(place))
    assert result_file(place, digest_of(FIRST)).read_bytes() == FIRST


EVIL = "\x1b[31mevil\nError: \u202e\x07"
SHOWN = r"\x1b[31mevil\nError: \u202e\x07"


def test_names_of_files_do_not_steer_the_terminal(original: Path, tmp_path: Path) -> None:
    archive, place = tmp_path / f"{EVIL}\udcff.tar", tmp_path / f"{EVIL}.db"
    saved = answer("backup", str(archive), "--database", str(original))
    verified = answer("backup", "--verify", str(archive))
    restored = answer("restore", str(archive), "--database", str(place))
    assert [told.count("\n") for told in (saved, verified, restored)] == [1, 1, 3]
    for told in (saved, verified):
        assert rf"{SHOWN}\udcff.tar" in told
    assert f"{SHOWN}.db" in restored
    refused = [
        failed("backup", str(archive), "--database", str(original)),
        failed("backup", f"{archive}.2", "--database", f"{place}.missing"),
        failed("backup", str(tmp_path / EVIL / "some.tar"), "--database", str(original)),
        failed("backup", "--verify", f"{archive}.missing"),
        failed("restore", str(archive), "--database", str(place)),
        failed("restore", str(tmp_path), "--database", str(tmp_path / EVIL / "new.db")),
    ]
    for told in (saved, verified, restored, *refused):
        assert all(line.isprintable() for line in told.removesuffix("\n").split("\n"))


@pytest.mark.parametrize(
    ("changed", "sound"),
    [
        ({"created": EVIL}, True),
        ({"created": "2030-01-02\n" * 10_000}, True),
        ({"schema": EVIL, "clearway": EVIL}, False),
        ({"format": 2, "clearway": EVIL}, False),
        ({"files": {EVIL: {"size": 1, "sha256": "x"}}}, False),
    ],
    ids=["created", "long", "schema", "format", "names"],
)
def test_what_a_manifest_says_does_not_steer_the_terminal(
    changed: dict[str, object], sound: bool, original: Path, tmp_path: Path
) -> None:
    archive, place = tmp_path / "some.tar", tmp_path / "new.db"
    shutil.copy(original, place)
    with closing(sqlite3.connect(place)) as connection:
        connection.execute("PRAGMA journal_mode=DELETE")
    files = good_files(place)
    write_archive(archive, files, resigned(manifest_of(place, files).to_bytes(), **changed))
    place.unlink()
    if sound:
        verified = answer("backup", "--verify", str(archive))
        restored = answer("restore", str(archive), "--database", str(place))
        assert (verified.count("\n"), restored.count("\n")) == (1, 3)
    else:
        verified = failed("backup", "--verify", str(archive))
        restored = failed("restore", str(archive), "--database", str(place))
    for told in (verified, restored):
        assert len(told) < 800
        assert all(line.isprintable() for line in told.removesuffix("\n").split("\n"))


def test_the_database_is_that_of_the_settings_and_no_server_is_asked(original: Path, tmp_path: Path) -> None:
    nowhere = {"CLEARWAY_ADDRESS": "127.0.0.1:1"}
    archive, home = str(tmp_path / "some.tar"), tmp_path / "elsewhere"
    answer("backup", archive, CLEARWAY_DATABASE=str(original), **nowhere)
    answer("restore", archive, CLEARWAY_HOME=str(home), **nowhere)
    assert tables(home / "clearway.db") == tables(original)
    answer("backup", f"{archive}.2", "--database", f"sqlite:///{original}", **nowhere)


def test_a_backup_in_the_present_folder_and_one_named_like_an_option(
    original: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("here.tar", "-n"):
        answer("backup", "--database", str(original), "--", name)
        answer("backup", "--verify", "--", name)
        answer("restore", "--database", f"{name}.db", "--", name)
    assert {path.name for path in tmp_path.iterdir()} >= {"here.tar", "-n", "here.tar.db", "-n.db"}


def test_results_can_be_left_out(original: Path, tmp_path: Path) -> None:
    archive, place = tmp_path / "some.tar", tmp_path / "new.db"
    assert "and 0 results" in answer("backup", str(archive), "--no-results", "--database", str(original))
    manifest = manifest_in(archive)
    assert (manifest["with_results"], list(manifest["files"])) == (False, [DATABASE])  # type: ignore[call-overload]
    answer("restore", str(archive), "--database", str(place))
    assert not place.with_name("new.db-results").exists()


def test_results_that_are_missing_or_are_no_results_are_listed_and_warned_of(
    database: Path, tmp_path: Path
) -> None:
    bodies = [f"result {number}".encode() for number in range(5)]
    with Server(database) as server, Client(server.address) as client:
        flow = create_flow(client).spec.id
        for body in bodies:
            keep_result(client, flow, body)
        server.stop()
    # As an earlier version took them.
    with closing(sqlite3.connect(database)) as connection, connection:
        for location in ("service:///etc/passwd", f"service://../{'a' * 64}"):
            row = (location, location, new_id(), 1, "", 1, 1, 1)
            connection.execute("INSERT INTO stored_result VALUES (?, ?, ?, ?, ?, ?, ?, ?)", row)
    secret = tmp_path / "secret"
    secret.write_bytes(bodies[2])  # what the link points to would even have the right bytes
    missing, linked, pipe, changed, folder = (result_file(database, digest_of(body)) for body in bodies)
    missing.unlink()
    linked.unlink()
    linked.symlink_to(secret)
    pipe.unlink()
    os.mkfifo(pipe)
    changed.write_bytes(b"something else altogether")
    folder.unlink()
    folder.mkdir()
    archive = tmp_path / "some.tar"
    done = run("backup", str(archive), "--database", str(database))
    assert done.returncode == 0
    assert done.stderr.startswith("Warning: 5 results that the runs refer to are missing from")
    manifest = manifest_in(archive)
    assert manifest["missing_results"] == [missing.name]
    assert manifest["damaged_results"] == sorted(path.name for path in (linked, pipe, changed, folder))
    names = {DATABASE, *(result_name(digest_of(body)) for body in (FIRST, SECOND))}
    files = manifest["files"]
    assert isinstance(files, dict)
    assert files.keys() == names
    answer("backup", "--verify", str(archive))


def test_one_of_a_kind_is_counted_in_the_singular(tmp_path: Path) -> None:
    database, archive = tmp_path / "some.db", tmp_path / "some.tar"
    small_database(database, [FIRST])
    told = answer("backup", str(archive), "--database", str(database))
    assert told.startswith(f"Saved 1 flow run, 1 task run and 1 result to {archive}: ")
    result_file(database, digest_of(FIRST)).unlink()
    done = run("backup", f"{archive}.2", "--database", str(database))
    assert done.returncode == 0
    assert done.stderr.startswith("Warning: 1 result that the runs refer to is missing from ")
    assert "1 task run and 0 results" in done.stdout


def test_a_folder_of_results_that_is_a_link_below_the_storage_is_not_followed(
    database: Path, tmp_path: Path
) -> None:
    folder = result_file(database, digest_of(FIRST)).parent
    folder.rename(tmp_path / "elsewhere")
    folder.symlink_to(tmp_path / "elsewhere")
    archive = tmp_path / "some.tar"
    assert run("backup", str(archive), "--database", str(database)).returncode == 0
    assert manifest_in(archive)["missing_results"] == [digest_of(FIRST)]


def test_a_database_of_an_earlier_revision_is_saved_as_it_is(database: Path, tmp_path: Path) -> None:
    with closing(sqlite3.connect(database)) as connection, connection:
        connection.execute("UPDATE alembic_version SET version_num = '0001'")
    archive = tmp_path / "some.tar"
    answer("backup", str(archive), "--database", str(database))
    assert manifest_in(archive)["schema"] == "0001"
    answer("restore", str(archive), "--database", str(tmp_path / "new.db"))


def make_letter(path: Path) -> None:
    path.write_text("Dear reader, this is no database. " * 100)


def make_other(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE flow_run (id)")


def make_newer(path: Path) -> None:
    small_database(path, ())
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda _path: None, "there is no database"),
        (make_letter, "file is not a database"),
        (lambda path: path.touch(), "is not a Clearway database"),
        (make_other, "is not a Clearway database"),
        (make_newer, "has the schema revision '9999', which this version of Clearway does not know"),
    ],
    ids=["none", "letter", "empty", "other", "newer"],
)
def test_what_is_no_database_of_ours_is_not_saved(make: object, said: str, tmp_path: Path) -> None:
    path = tmp_path / "some.db"
    assert callable(make)
    make(path)
    before = sorted(tmp_path.iterdir())
    told = failed("backup", str(tmp_path / "some.tar"), "--database", str(path))
    assert said in told
    assert str(path) in told
    assert sorted(tmp_path.iterdir()) == before


@pytest.mark.parametrize("command", ["backup", "restore"])
def test_wrong_arguments_exit_2(command: str, archive: Path) -> None:
    assert "is a directory" in complaint(2, command, str(archive), "--database", "/")
    assert "it must not be empty" in complaint(2, command, "")
    assert "Missing argument 'FILE'" in complaint(2, command)
    assert "not a database" in complaint(2, command, str(archive), "--database", "mysql://x/y")
    assert "profile.toml" in complaint(2, command, "x.tar", CLEARWAY_HOME=str(_bad_home(archive.parent)))


def _bad_home(folder: Path) -> Path:
    home = folder / "bad home"
    home.mkdir(exist_ok=True)
    (home / "profile.toml").write_text("= no toml")
    return home


@pytest.mark.parametrize("option", [["--database", "some.db"], ["--no-results"]], ids=["database", "results"])
def test_verify_takes_no_other_option(option: list[str], archive: Path) -> None:
    assert "'--verify'" in complaint(2, "backup", "--verify", str(archive), *option)


def test_a_backup_replaces_nothing(original: Path, tmp_path: Path) -> None:
    letter, link, folder = tmp_path / "letter", tmp_path / "link", tmp_path / "folder"
    letter.write_text("Dear reader")
    link.symlink_to(tmp_path / "nothing")
    folder.mkdir()
    for path, said in (
        (letter, "already exists"),
        (link, "already exists"),
        (folder, "is a directory"),
        (original, "already exists"),
        (tmp_path / "nowhere" / "some.tar", f"the folder {tmp_path / 'nowhere'} for some.tar does not exist"),
        (letter / "some.tar", "for some.tar does not exist"),
    ):
        assert said in failed("backup", str(path), "--database", str(original))
    assert letter.read_text() == "Dear reader"
    assert not (tmp_path / "nothing").exists()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["folder", "letter", "link"]


@pytest.mark.parametrize("ending", ["", "-wal", "-shm", "-journal", "-results"])
@pytest.mark.parametrize("kind", ["file", "folder", "link"])
def test_a_restore_replaces_nothing(ending: str, kind: str, archive: Path, tmp_path: Path) -> None:
    place = tmp_path / f"new.db{ending}"
    if kind == "file":
        place.write_text("Dear reader")
    elif kind == "folder":
        place.mkdir()
    else:
        place.symlink_to(tmp_path / "nothing")
    arguments = ("restore", str(archive), "--database", str(tmp_path / "new.db"))
    if (ending, kind) == ("", "folder"):
        assert "is a directory" in complaint(2, *arguments)
    else:
        told = failed(*arguments)
        assert f"{place} already exists" in told
        assert "move it away first" in told
    assert [path.name for path in tmp_path.iterdir()] == [place.name]


def test_what_is_no_backup_is_not_restored(archive: Path, tmp_path: Path) -> None:
    body = archive.read_bytes()
    pipe, letter, half, changed = (tmp_path / name for name in ("pipe", "letter", "half", "changed"))
    os.mkfifo(pipe)
    make_letter(letter)
    half.write_bytes(body[: len(body) // 2])
    place = body.index(SECOND)
    changed.write_bytes(body[:place] + b"S" + body[place + 1 :])
    before = sorted(tmp_path.iterdir())
    for path, said in (
        (tmp_path / "none.tar", "there is no backup"),
        (tmp_path, "is not a file"),
        (pipe, "is not a file"),
        (letter, "is not an archive of `clearway backup`, or it is damaged"),
        (half, "is it only a part of a backup?"),
        (changed, "is not what was written: its SHA-256 differs"),
    ):
        for arguments in (
            ["restore", str(path), "--database", str(tmp_path / "new" / "new.db")],
            ["backup", "--verify", str(path)],
        ):
            told = failed(*arguments)
            assert said in told
            assert str(path) in told
    assert not list((tmp_path / "new").glob("*")) if (tmp_path / "new").exists() else True
    assert sorted(path for path in tmp_path.iterdir() if path.name != "new") == before


@pytest.mark.parametrize("room", [60_000, 400_000], ids=["copy", "archive"])
def test_without_room_nothing_is_left(room: int, database: Path, tmp_path: Path) -> None:
    with Server(database) as server, Client(server.address) as client:
        keep_result(client, create_flow(client).spec.id, os.urandom(500_000))
        server.stop()
    place = tmp_path / "backups"
    place.mkdir()
    done = subprocess.run(
        [CLEARWAY, "backup", str(place / "some.tar"), "--database", str(database)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (room, room)),
    )
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (1, "", 1)
    assert done.stderr.startswith("Error: ")
    assert str(place) in done.stderr
    assert list(place.iterdir()) == []


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_an_interrupted_backup_leaves_nothing(
    number: signal.Signals, code: int, database: Path, tmp_path: Path
) -> None:
    place = tmp_path / "backups"
    place.mkdir()
    archive = place / "some.tar"

    def interrupted() -> bool:
        """Interrupt a backup while it is made; return False where it was made before that."""
        with started(CLEARWAY, "backup", str(archive), "--database", str(database)) as process:
            wait_until(lambda: list(place.iterdir()) or process.poll() is not None, "a beginning")
            process.send_signal(number)
            _, told = process.communicate(timeout=30)
        if process.returncode == 0:
            archive.unlink()
            return False
        assert (process.returncode, told) == (code, "")
        return True

    with Server(database) as server, Client(server.address) as client:
        flow = create_flow(client).spec.id
        for number_ in range(8):  # some bytes to copy
            keep_result(client, flow, os.urandom(4_000_000 + number_))
    wait_until(interrupted, "an interruption")
    assert list(place.iterdir()) == []
    answer("backup", str(archive), "--database", str(database))
