"""Migrations bring a file to exactly the schema that the code has."""

from __future__ import annotations

import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.command import downgrade
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from benchmarks.populated import populate

import clearway
import clearway_service
from clearway.v1.state_pb2 import Data, RunError
from clearway_service.errors import StoreUnavailableError
from clearway_service.store import migrations
from clearway_service.store.core_connection import connection_of, upgrade
from clearway_service.store.database import Database
from clearway_service.store.result_references import Keep
from clearway_service.store.schema import metadata
from clearway_service.store.sqlite import begin, connect


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "folder" / "store.db"


def objects(path: Path) -> list[tuple[str, str, str]]:
    """Return the tables and indexes of a file, as they were made."""
    with closing(sqlite3.connect(path)) as connection:
        query = "SELECT type, name, coalesce(sql, '') FROM sqlite_master ORDER BY type, name"
        return connection.execute(query).fetchall()


def migrated(path: Path) -> Path:
    """Return a file that the migrations have brought to the head, one after the other."""
    with closing(connect(path)) as driver:
        begin(driver)
        upgrade(connection_of(driver))
        driver.execute("COMMIT")
    return path


def test_an_empty_file_is_brought_to_exactly_the_metadata(path: Path) -> None:
    with closing(Database(path)) as database:
        context = MigrationContext.configure(database.writer, opts={"compare_type": True})
        assert compare_metadata(context, metadata) == []


def test_the_migrations_make_the_tables_and_indexes_that_a_new_file_has(path: Path, tmp_path: Path) -> None:
    Database(path).close()
    made, grown = objects(path), objects(migrated(tmp_path / "migrated.db"))
    assert [line[:2] for line in grown] == [line[:2] for line in made]
    conditions, expected = (
        {line[1]: line[2].partition(" WHERE ")[2] for line in lines if line[0] == "index"}
        for lines in (grown, made)
    )
    assert conditions == expected, "partial indexes have the same conditions"


def test_the_migrations_find_nothing_to_do_in_a_new_file(path: Path) -> None:
    Database(path).close()
    before = objects(path)
    assert objects(migrated(path)) == before


def test_a_new_file_is_made_without_loading_alembic_or_sqlalchemy(path: Path) -> None:
    program = f"""
import sys
from pathlib import Path
from clearway_service.store.database import Database
Database(Path({str(path)!r})).close()
print(set(sys.modules).isdisjoint(["alembic", "sqlalchemy"]))
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "True"


def test_the_head_is_that_of_the_scripts() -> None:
    config = Config()
    config.set_main_option("script_location", str(Path(migrations.__file__).parent))
    assert ScriptDirectory.from_config(config).get_heads() == [migrations.HEAD]


def test_a_file_that_is_there_is_opened_again_and_keeps_what_it_has(path: Path) -> None:
    Database(path).close()
    before = objects(path)
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("INSERT INTO concurrency_limit VALUES ('disk', 'id', 3, 1, 1)")
        connection.commit()
    Database(path).close()
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("SELECT tag, slots FROM concurrency_limit").fetchall() == [("disk", 3)]
    assert objects(path) == before


def test_a_file_of_a_later_version_is_refused_with_its_revision(path: Path) -> None:
    Database(path).close()
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
        connection.commit()
    with pytest.raises(StoreUnavailableError, match="9999"):
        Database(path)


def test_a_file_that_is_no_database_is_refused_and_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("these are my notes, and there are many of them\n" * 100)
    before = path.read_bytes()
    with pytest.raises(StoreUnavailableError, match=r"notes\.txt"):
        Database(path)
    assert path.read_bytes() == before


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreUnavailableError, match="file"):
        Database(tmp_path / "file" / "store.db")


def test_a_python_whose_sqlite_is_too_old_is_told_and_makes_no_file(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite3, "sqlite_version", "3.31.1")
    monkeypatch.setattr(sqlite3, "sqlite_version_info", (3, 31, 1))
    with pytest.raises(StoreUnavailableError, match=r"SQLite 3\.31\.1, and 3\.33\.0 or later"):
        Database(path)
    assert not path.exists()


def test_the_migrations_are_found_whatever_characters_are_in_the_path_of_the_package(tmp_path: Path) -> None:
    folder = tmp_path / "50% of it"
    for package in (Path(clearway.__file__).parent, Path(clearway_service.__file__).parent):
        shutil.copytree(package, folder / package.name, ignore=shutil.ignore_patterns("__pycache__"))
    program = f"""
import sys
sys.path.insert(0, {str(folder)!r})
from pathlib import Path
from clearway_service.store.core_connection import connection_of, upgrade
from clearway_service.store.sqlite import begin, connect
driver = connect(Path({str(tmp_path / "store.db")!r}))
begin(driver)
upgrade(connection_of(driver))
driver.execute("COMMIT")
print(upgrade.__code__.co_filename)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.stdout.startswith(str(folder)), done.stderr


@pytest.mark.parametrize("table", ["flow_run", "task_run"])
def test_a_file_of_the_first_revision_keeps_the_tags_of_its_runs(path: Path, table: str) -> None:
    populate(path, 50)
    new = f"SELECT tag, id FROM {table}_tag JOIN {table} ON seq = run_seq ORDER BY tag, id"
    old = f"SELECT tag, id FROM {table}_tag JOIN {table} ON id = run_id ORDER BY tag, id"
    with closing(sqlite3.connect(path)) as connection:
        before = connection.execute(new).fetchall()
    assert len({tag for tag, _ in before}) == 2
    config = Config()
    config.set_main_option("script_location", str(Path(migrations.__file__).parent))
    with closing(Database(path)) as database, database.turn(), database.writer.begin():
        config.attributes["connection"] = database.writer
        downgrade(config, "0001")
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute(old).fetchall() == before
    Database(path).close()
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute(new).fetchall() == before


def test_a_file_of_the_second_revision_keeps_its_references_to_results(path: Path) -> None:
    digest, other = "ab" * 32, "cd" * 32
    place = f"/srv/ab/{digest}"
    states = {
        "1": (Data(encoding="json", location=place, sha256=digest, size_bytes=3), "ended", 10),
        "2": (Data(encoding="json", location=place, sha256=digest, size_bytes=3), "ended", 30),
        "3": (Data(encoding="json", location=f"service://{other}", sha256=other, size_bytes=4), "live", 40),
        "4": (Data(encoding="json", location=f"service://{other}"), "", 50),
        "5": (Data(encoding="json", location="service:///etc/passwd"), "ended", 60),
        "6": (Data(encoding="json", inline=b"service://", size_bytes=10), "inline", 70),
        "7": (Data(encoding="json", location=f"/srv/cd/{other}", sha256=other), "dropped", 80),
        "8": (Data(error=RunError(type="E")), "", 90),
    }
    with closing(Database(path)) as database, database.turn(), database.writer.begin():
        config = Config()
        config.set_main_option("script_location", str(Path(migrations.__file__).parent))
        config.attributes["connection"] = database.writer
        downgrade(config, "0002")
    with closing(sqlite3.connect(path)) as connection, connection:
        for id_, (data, key, entered) in states.items():
            row = (
                id_,
                "task",
                "run",
                int(id_),
                4,
                "",
                entered,
                "",
                data.SerializeToString(),
                None,
                key,
                None,
                1,
                "",
            )
            connection.execute(f"INSERT INTO state VALUES ({', '.join('?' * len(row))})", row)
        connection.execute("INSERT INTO dropped_result VALUES ('7')")
        for key, state_id in (("live", "3"), ("inline", "6")):
            connection.execute(
                "INSERT INTO cache_entry VALUES (?, ?, 'run', 1, NULL, 4, 0, NULL)", (key, state_id)
            )
    Database(path).close()
    columns = "name, location, state_id, size, cache_key, created, referred, keep"
    with closing(sqlite3.connect(path)) as connection:
        found = connection.execute(f"SELECT {columns} FROM stored_result ORDER BY state_id").fetchall()
        entries = connection.execute("SELECT key, result FROM cache_entry ORDER BY key").fetchall()
    assert found == [
        (digest, place, "1", 3, "ended", 10, 30, Keep.NOTHING),
        (other, f"service://{other}", "3", 4, "live", 40, 50, Keep.STATE),
        ("service:///etc/passwd", "service:///etc/passwd", "5", 0, "ended", 60, 60, Keep.ODD_LOCATION),
    ]
    assert entries == [("inline", ""), ("live", other)]


def test_a_file_of_the_fourth_revision_keeps_its_retries_and_the_names_of_its_tasks(path: Path) -> None:
    populate(path, 1)
    config = Config()
    config.set_main_option("script_location", str(Path(migrations.__file__).parent))
    with closing(Database(path)) as database, database.turn(), database.writer.begin():
        config.attributes["connection"] = database.writer
        downgrade(config, "0004")
    named = {
        "as it is by default": ("work-7", "7", "work"),
        "named by its client": ("daily load", "7", "daily load"),
        "of a dynamic key with dashes": ("work-a-b", "a-b", "work"),
        "nothing but its number": ("-7", "7", ""),
        "shorter than its key": ("7", "1234567", "7"),
    }
    delayed = {"no retries": (0, 0, "[]"), "at once": (2, 0, "[]"), "later": (3, 5_000_000, "[5000000]")}
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("UPDATE task_run SET id = 'populated', retries = 4, retry_delays = '[1, 2]'")
        for id_, (name, dynamic_key, _expected) in named.items():
            _copy(connection, "task_run", id=id_, task_key=id_, name=name, dynamic_key=dynamic_key)
        for id_, (retries, delay, _expected) in delayed.items():
            _copy(connection, "flow_run", id=id_, retries=retries, retry_delay=delay)
    Database(path).close()
    with closing(sqlite3.connect(path)) as connection:
        tasks = {
            id_: found
            for id_, *found in connection.execute(
                "SELECT id, task_name, max_attempts, retry_delays, retry_jitter_factor FROM task_run"
            )
        }
        flows = {
            id_: found
            for id_, *found in connection.execute(
                "SELECT id, max_attempts, retry_delays, typeof(retry_delays), retry_jitter_factor "
                "FROM flow_run"
            )
        }
    for id_, (_name, _key, expected) in named.items():
        assert tasks[id_] == [expected, 5, "[1, 2]", 0]
    for id_, (retries, _delay, delays) in delayed.items():
        assert flows[id_] == [retries + 1, delays, "text", 0]


def _copy(connection: sqlite3.Connection, table: str, **changed: object) -> None:
    """Insert a row that is as the first one of a table but for some columns."""
    columns = [row[1] for row in connection.execute(f"PRAGMA table_info({table})") if row[1] != "seq"]
    row = connection.execute(f"SELECT {', '.join(columns)} FROM {table} ORDER BY seq").fetchone()
    values = [changed.get(name, value) for name, value in zip(columns, row, strict=True)]
    marks = ", ".join("?" * len(columns))
    connection.execute(f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({marks})", values)
