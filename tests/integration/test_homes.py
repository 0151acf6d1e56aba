"""Homes and databases: who can read them, what paths they may have, and which files are refused."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import stat
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from clearway_service.store.database import Database
from clearway_service.store.ownership import APPLICATION_ID
from integration.cli_process import CLEARWAY, answer, run, started
from integration.test_cli_server import listening

FLOW = Path(__file__).with_name("home_flow.py")
UNKNOWN_USER = ("unshare", "--map-user=54321", "--map-group=54321")


def flow(home: Path | str, umask: int = -1, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run the flow with the embedded engine, or on the server that the variables name."""
    return subprocess.run(
        [sys.executable, str(FLOW)],
        env={**os.environ, "CLEARWAY_HOME": str(home), **variables},
        capture_output=True,
        text=True,
        timeout=60,
        umask=umask,
        check=False,
    )


def modes(folder: Path) -> dict[str, int]:
    """Return the modes of a folder and of all in it."""
    return {str(each): stat.S_IMODE(each.lstat().st_mode) for each in (folder, *folder.rglob("*"))}


def contents(folder: Path) -> dict[str, tuple[bytes, int]]:
    """Return the bytes and the modification times of a folder's files."""
    return {each.name: (each.read_bytes(), each.stat().st_mtime_ns) for each in folder.iterdir()}


def assert_private(folder: Path) -> None:
    open_to_others = {name: oct(mode) for name, mode in modes(folder).items() if mode & 0o077}
    assert open_to_others == {}


# Modes


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o077])
def test_a_home_of_the_embedded_engine_is_its_owners_alone_whatever_the_umask(
    tmp_path: Path, umask: int
) -> None:
    home = tmp_path / "folder" / "home"
    done = flow(home, umask)
    assert done.returncode == 0, done.stderr
    found = modes(home)
    assert found[str(home)] == 0o700
    assert found[str(home / "clearway.db")] == 0o600
    results = [mode for name, mode in found.items() if "/storage/" in name and Path(name).is_file()]
    assert results == [0o600]


def test_the_files_beside_a_database_in_use_are_its_owners_alone(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        with closing(Database(tmp_path / "home" / "clearway.db")):
            found = modes(tmp_path / "home")
    finally:
        os.umask(before)
    assert {Path(name).name: mode for name, mode in found.items()} == {
        "home": 0o700,
        "clearway.db": 0o600,
        "clearway.db-wal": 0o600,
        "clearway.db-shm": 0o600,
    }


def test_a_home_and_backups_of_a_server_are_their_owners_alone(tmp_path: Path) -> None:
    home, client_home = tmp_path / "server", tmp_path / "client"
    command = (sys.executable, "-c", "import os, sys; os.umask(0); os.execv(sys.argv[1], sys.argv[1:])")
    serve = (*command, CLEARWAY, "server", "start", "--port", "0")
    with started(*serve, CLEARWAY_HOME=str(home)) as server:
        address = listening(server)
        done = flow(client_home, 0, CLEARWAY_ADDRESS=address, CLEARWAY_RESULT_STORAGE="service://")
        assert done.returncode == 0, done.stderr
        done = flow(client_home, 0, CLEARWAY_ADDRESS=address)
        assert done.returncode == 0, done.stderr
        backup = tmp_path / "backup.tar"
        subprocess.run(
            [*command, CLEARWAY, "backup", str(backup)],
            env={**os.environ, "CLEARWAY_HOME": str(home)},
            check=True,
            capture_output=True,
            timeout=60,
        )
        assert_private(home)
        server.send_signal(signal.SIGTERM)
        server.communicate(timeout=30)
    assert any("clearway.db-results" in name for name in modes(home))
    assert_private(home)
    # Where the results of a client without a database of its own are.
    assert modes(client_home)[str(client_home)] == 0o700
    assert stat.S_IMODE(backup.stat().st_mode) == 0o600
    restored = tmp_path / "restored" / "clearway.db"
    answer("restore", str(backup), "--database", str(restored))
    assert_private(restored.parent)


def test_a_home_that_is_there_keeps_its_mode(tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    home.chmod(0o750)
    assert flow(home).returncode == 0
    assert modes(home)[str(home)] == 0o750


# Paths


@pytest.mark.parametrize(
    "name", ["50%", "a%20b", "what?", "#1", "a?mode=ro#x&immutable=1", "sp ace é'\"", "%"]
)
def test_runs_are_read_whatever_characters_are_in_the_path_of_the_home(tmp_path: Path, name: str) -> None:
    home = tmp_path / name
    done = flow(home)
    assert (done.returncode, done.stdout) == (0, "['big']\n"), done.stderr
    (kept,) = json.loads(answer("flow-run", "ls", "-o", "json", CLEARWAY_HOME=str(home)))
    assert kept["flow_name"] == "small"
    answer("backup", str(tmp_path / "backup.tar"), CLEARWAY_HOME=str(home))
    assert [each.name for each in tmp_path.iterdir() if each.name != "home"] in (
        [name, "backup.tar"],
        ["backup.tar", name],
    )


# Users


def can_be_anyone() -> bool:
    """Return whether a process can be made that has another user's number, and our rights."""
    try:
        done = subprocess.run([*UNKNOWN_USER, "true"], capture_output=True, check=False)
    except FileNotFoundError:
        return False
    return done.returncode == 0


def homeless(*command: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run Python as a user that the system does not know, without HOME.

    Where the system gives no user namespaces, Python's own look-up of users is replaced instead.
    """
    environ = {name: value for name, value in os.environ.items() if name not in {"HOME", "CLEARWAY_HOME"}}
    arguments = [*UNKNOWN_USER, sys.executable, *command]
    if not can_be_anyone():
        unknown = "import pwd, runpy, sys; pwd.getpwuid = lambda _: {}['uid']; sys.argv.pop(0); "
        kind = "module" if command[0] == "-m" else "path"
        code = f"{unknown}runpy.run_{kind}(sys.argv[0], run_name='__main__')"
        arguments = [sys.executable, "-c", code, *(each for each in command if each != "-m")]
    return subprocess.run(
        arguments, env=environ | variables, capture_output=True, text=True, timeout=60, check=False
    )


def test_a_user_without_a_home_directory_needs_only_clearway_home(tmp_path: Path) -> None:
    home = str(tmp_path / "home")
    done = homeless(str(FLOW), CLEARWAY_HOME=home)
    assert (done.returncode, done.stdout) == (0, "['big']\n"), done.stderr
    listed = homeless(CLEARWAY, "flow-run", "ls", CLEARWAY_HOME=home)
    assert (listed.returncode, listed.stderr) == (0, "")
    saved = homeless("-m", "clearway_service.backup", "save", str(tmp_path / "x.tar"), CLEARWAY_HOME=home)
    assert saved.returncode == 0, saved.stderr
    # It opens the database, and then ends by itself.
    server = homeless("-m", "clearway_service", "--host", "256.0.0.1", "--port", "0", CLEARWAY_HOME=home)
    assert "cannot listen on 256.0.0.1:0" in server.stderr


def test_a_user_without_any_home_is_told_what_to_set() -> None:
    said = "this user has no home directory (HOME is not set); set CLEARWAY_HOME to the folder in which"
    for command in ([str(FLOW)], [CLEARWAY, "flow-run", "ls"], ["-m", "clearway_service"]):
        done = homeless(*command)
        assert done.returncode in (1, 2)
        assert said in done.stderr.splitlines()[-1]


# Files of others


def places(path: Path, wal: bool) -> None:
    """Make what another program keeps in SQLite."""
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        if wal:
            connection.execute("PRAGMA journal_mode=WAL")
        connection.executescript("CREATE TABLE moz_places (url); INSERT INTO moz_places VALUES ('x')")


def marked(path: Path) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("PRAGMA application_id=1437612560")
        connection.execute("CREATE TABLE flow_run (id)")


def empty_but_marked(path: Path) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("PRAGMA application_id=1")


def of_alembic(path: Path) -> None:
    """Make a database of another program that has Alembic too, and runs of flows."""
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        for table in ("flow_run", "flow_run_state", "task_run", "task_run_state"):
            connection.execute(f"CREATE TABLE {table} (id)")
        connection.execute("CREATE TABLE alembic_version (version_num)")
        connection.execute("INSERT INTO alembic_version VALUES ('4cdc2ba709a4')")


def killed(path: Path, begin: str = "PRAGMA journal_mode=WAL") -> None:
    """Make one whose program was killed: all of it is in the log, or a transaction in the journal."""
    program = f"""
import os, sqlite3
connection = sqlite3.connect({str(path)!r}, isolation_level=None)
connection.execute({begin!r})
connection.execute("PRAGMA wal_autocheckpoint=0")
connection.execute("CREATE TABLE moz_places (url)")
if not {begin!r}.startswith("PRAGMA journal"):
    connection.execute("BEGIN IMMEDIATE")
    connection.executemany("INSERT INTO moz_places VALUES (?)", [("x" * 3000,)] * 500)
os._exit(0)
"""
    subprocess.run([sys.executable, "-c", program], check=True)


FOREIGN: dict[str, Callable[[Path], None]] = {
    "in a journal": lambda path: places(path, wal=False),
    "with a log": lambda path: places(path, wal=True),
    "marked": marked,
    "empty but marked": empty_but_marked,
    "of Alembic": of_alembic,
    "killed": killed,
    "killed in a transaction": lambda path: killed(path, "PRAGMA cache_size=2"),
}


@pytest.mark.parametrize("make", FOREIGN)
def test_a_file_of_another_program_is_refused_and_left_untouched(tmp_path: Path, make: str) -> None:
    theirs = tmp_path / "theirs"
    theirs.mkdir()
    path = theirs / "places.sqlite"
    FOREIGN[make](path)
    before = contents(theirs)
    memory = f"{path.name}-shm"  # an index of the log that every reader may make again
    commands = {
        "embedded": lambda: flow(tmp_path / "home", CLEARWAY_DATABASE=str(path)),
        "command line": lambda: run("flow-run", "ls", CLEARWAY_DATABASE=str(path)),
        "server": lambda: run("server", "start", "--port", "0", "--database", str(path)),
        "backup": lambda: run("backup", str(tmp_path / "x.tar"), "--database", str(path)),
    }
    for name, command in commands.items():
        done = command()
        assert done.returncode == 1, name
        assert f"{path} is not a Clearway database" in done.stderr, name
        after = contents(theirs)
        assert before.keys() == after.keys(), name
        assert {each: after[each] for each in after if each != memory} == {
            each: before[each] for each in before if each != memory
        }, name


def unmark(path: Path) -> None:
    """Make a database like those of versions before the mark."""
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("PRAGMA application_id=0")


def mark_of(path: Path) -> int:
    with closing(sqlite3.connect(path)) as connection:
        (found,) = connection.execute("PRAGMA application_id").fetchone()
    return int(found)


def test_a_database_is_marked_and_its_backup_too(tmp_path: Path) -> None:
    home = tmp_path / "home"
    assert flow(home).returncode == 0
    assert mark_of(home / "clearway.db") == APPLICATION_ID
    answer("backup", str(tmp_path / "x.tar"), CLEARWAY_HOME=str(home))
    answer("restore", str(tmp_path / "x.tar"), "--database", str(tmp_path / "again.db"))
    assert mark_of(tmp_path / "again.db") == APPLICATION_ID


def test_a_database_of_an_earlier_version_is_saved_used_and_marked(tmp_path: Path) -> None:
    home = tmp_path / "home"
    assert flow(home).returncode == 0
    unmark(home / "clearway.db")
    answer("backup", str(tmp_path / "x.tar"), CLEARWAY_HOME=str(home))
    assert mark_of(home / "clearway.db") == 0
    assert flow(home).returncode == 0
    assert mark_of(home / "clearway.db") == APPLICATION_ID
    assert len(json.loads(answer("flow-run", "ls", "-o", "json", CLEARWAY_HOME=str(home)))) == 2


def test_an_empty_file_becomes_a_database(tmp_path: Path) -> None:
    (tmp_path / "empty.db").touch()
    assert flow(tmp_path / "home", CLEARWAY_DATABASE=str(tmp_path / "empty.db")).returncode == 0


def test_a_database_whose_process_was_killed_before_its_first_checkpoint_is_ours(tmp_path: Path) -> None:
    path = tmp_path / "clearway.db"
    program = (
        "import os; from pathlib import Path; from clearway_service.store.database import Database; "
        f"database = Database(Path({str(path)!r})); os._exit(0)"
    )
    subprocess.run([sys.executable, "-c", program], check=True)
    assert path.with_name("clearway.db-wal").stat().st_size > path.stat().st_size
    assert flow(tmp_path / "home", CLEARWAY_DATABASE=str(path)).returncode == 0


# Damage, and later versions


def newer(path: Path) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")


def overwrite(path: Path, begin: int, body: bytes) -> None:
    with path.open("r+b") as file:
        file.seek(begin)
        file.write(body)


UNUSABLE: dict[str, tuple[Callable[[Path], object], str]] = {
    "later version": (newer, "was written by a later version of Clearway: it has the schema revision '9999'"),
    "no header": (lambda path: overwrite(path, 0, bytes(100)), "is damaged, or not a database at all"),
    "garbage": (lambda path: path.write_bytes(b"\xde\xad" * 50_000), "is damaged, or not a database at all"),
    "cut": (lambda path: os.truncate(path, 5_000), "is damaged, or not a database at all"),
    "no schema": (
        lambda path: overwrite(path, 100, b"\xff" * 3_900),
        "is damaged, or not a database at all",
    ),
    "a folder": (
        lambda path: (path.unlink(), path.mkdir()),
        "is a directory",
    ),
}


@pytest.mark.parametrize("case", UNUSABLE)
def test_a_database_that_cannot_be_used_is_one_sentence(tmp_path: Path, case: str) -> None:
    home = tmp_path / "home"
    assert flow(home).returncode == 0
    path = home / "clearway.db"
    make, said = UNUSABLE[case]
    make(path)
    embedded = flow(home)
    last = embedded.stderr.splitlines()[-1]
    assert last.startswith("clearway.exceptions.ServerUnavailable: the database ")
    assert said in last
    ours = [line for line in embedded.stderr.splitlines() if line.lstrip().startswith("File ")]
    assert all(str(FLOW) in line for line in ours), embedded.stderr
    assert "The above exception" not in embedded.stderr
    for arguments in (
        ("flow-run", "ls"),
        ("server", "start", "--port", "0"),
        ("backup", str(tmp_path / "x.tar")),
    ):
        done = run(*arguments, CLEARWAY_HOME=str(home))
        assert done.returncode == 1
        assert said in done.stderr
        assert str(path) in done.stderr
        lines = [line for line in done.stderr.splitlines() if "GRPC" not in line]
        assert len(lines) == 1, done.stderr


def test_a_page_that_is_damaged_in_use_ends_a_flow_with_one_sentence_and_is_said_once(tmp_path: Path) -> None:
    home = tmp_path / "home"
    assert flow(home).returncode == 0
    path = home / "clearway.db"
    with closing(sqlite3.connect(path)) as connection:
        (page,) = connection.execute("SELECT rootpage FROM sqlite_master WHERE name = 'flow_run'").fetchone()
        (size,) = connection.execute("PRAGMA page_size").fetchone()
    overwrite(path, (page - 1) * size, b"\xff" * size)
    done = flow(home)
    assert done.returncode == 1
    said = f"the database {path} is damaged, or not a database at all (database disk image is malformed)"
    assert done.stderr.splitlines()[-1].startswith(f"clearway.exceptions.ServerUnavailable: {said}")
    assert done.stderr.count("accepts no transactions") == 1
    assert "accepts transactions again" not in done.stderr
