"""Archives that no backup makes: none of them is restored, and nothing is written anywhere."""

from __future__ import annotations

import io
import json
import sqlite3
import tarfile
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from clearway_service.backup.errors import BackupError
from clearway_service.backup.manifest import DATABASE, MANIFEST, Entry, result_name
from clearway_service.backup.restoring import restore, verify
from clearway_service.backup.saving import save
from clearway_service.errors import StoreUnavailableError
from clearway_service.store.database import Database
from support.backups import digest_of, good_files, manifest_of, resigned, tables, write_archive

pytestmark = pytest.mark.slow  # floods and thousands of examples

RESULT = b"a result"
NAME = result_name(digest_of(RESULT))


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("original") / "some.db"
    Database(path).close()
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA journal_mode=DELETE")
    return path


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    (tmp_path / "backups").mkdir()
    return tmp_path / "backups" / "some.tar"


def refused(archive: Path, place: Path, said: str) -> None:
    """Check that an archive is refused by both commands, and leaves nothing."""
    before = sorted(archive.parent.iterdir())
    with pytest.raises(BackupError, match=said) as raised:
        verify(archive)
    assert str(archive) in str(raised.value)
    assert len(str(raised.value)) < 600
    with pytest.raises(BackupError, match=said):
        restore(archive, place / "new.db")
    assert sorted(archive.parent.iterdir()) == before
    assert not place.exists() or list(place.iterdir()) == []


def test_a_good_archive_is_taken_and_any_tar_reads_it(database: Path, archive: Path, tmp_path: Path) -> None:
    files = good_files(database, RESULT)
    write_archive(archive, files, manifest_of(database, files).to_bytes())
    assert verify(archive) == restore(archive, tmp_path / "place" / "new.db")
    assert tables(tmp_path / "place" / "new.db") == tables(database)
    assert (tmp_path / "place" / "new.db-results" / NAME.removeprefix("results/")).read_bytes() == RESULT
    with tarfile.open(archive) as plain:
        assert plain.getnames() == [DATABASE, NAME, MANIFEST]
    with tarfile.open(archive, "a") as plain:  # rewrites the end as other programs do
        pass
    verify(archive)


def special(name: str, kind: bytes, link: str = "", size: int = 0) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname, info.size = kind, link, size
    return info


def large(path: Path) -> Path:
    """Return the path of a file whose header says that it has a petabyte."""
    info = special(DATABASE, tarfile.REGTYPE, size=2**50)
    path.write_bytes(info.tobuf(tarfile.GNU_FORMAT) + bytes(4096))
    return path


def negative(path: Path) -> Path:
    """Return the path of a file whose header says that it has fewer than no bytes."""
    info = special(DATABASE, tarfile.REGTYPE, size=-(2**40))
    path.write_bytes(info.tobuf(tarfile.GNU_FORMAT) + bytes(4096))
    return path


def comment(path: Path) -> Path:
    """Return the path of a file whose extended header is a gigabyte long, as it says."""
    info = special("header", tarfile.XHDTYPE, size=2**30)
    path.write_bytes(info.tobuf(tarfile.GNU_FORMAT) + bytes(4096))
    return path


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (large, "ends within"),
        (negative, "not a regular file"),
        (comment, "not a regular file"),
        (lambda path: path.write_bytes(b""), "ends early"),
        (lambda path: path.write_bytes(bytes(100)), "ends early"),
        (lambda path: path.write_bytes(bytes(1024)), "does not end with a manifest"),
        (lambda path: path.write_bytes(bytes(512)), "it has more data after the end"),
        (lambda path: path.write_bytes(b"SQLite format 3\0" * 1000), "not an archive"),
        (lambda path: path.write_bytes("näme".encode() * 1000), "not an archive"),
    ],
    ids=["large", "negative", "comment", "empty", "short", "nothing", "half", "database", "letters"],
)
def test_what_is_no_archive_is_refused(
    make: Callable[[Path], object], said: str, archive: Path, tmp_path: Path
) -> None:
    make(archive)
    refused(archive, tmp_path / "place", said)


@pytest.mark.parametrize(
    "member",
    [
        special(NAME, tarfile.SYMTYPE, "/etc/passwd"),
        special(NAME, tarfile.LNKTYPE, DATABASE),
        special(NAME, tarfile.CHRTYPE),
        special(NAME, tarfile.BLKTYPE),
        special(NAME, tarfile.FIFOTYPE),
        special(NAME, tarfile.DIRTYPE),
        special(NAME, tarfile.CONTTYPE),
        special(NAME, tarfile.GNUTYPE_SPARSE),
        special(NAME, tarfile.GNUTYPE_LONGNAME),
        special(NAME + "/", tarfile.AREGTYPE),
    ],
    ids=lambda member: repr(member.type),
)
def test_what_is_no_regular_file_is_refused(
    member: tarfile.TarInfo, database: Path, archive: Path, tmp_path: Path
) -> None:
    files = good_files(database, RESULT)
    write_archive(archive, files, manifest_of(database, files).to_bytes())
    body = archive.read_bytes()
    place = body.index(NAME.encode())
    archive.write_bytes(body[:place] + member.tobuf(tarfile.GNU_FORMAT) + body[place + 512 :])
    refused(archive, tmp_path / "place", "not a regular file")


@pytest.mark.parametrize(
    "name",
    [
        "../evil",
        "/tmp/evil",
        "results/../../evil",
        f"results/{'a' * 2}/../{'a' * 64}",
        f"results/ab/{'c' * 64}",
        f"results/{'A' * 2}/{'A' * 64}",
        NAME + "\n",
        NAME + "x",
        "clearway.db-wal",
        "results",
        "sub/clearway.db",
        ".",
    ],
)
@pytest.mark.parametrize("in_manifest", [True, False])
def test_a_name_that_no_backup_has_is_refused(
    name: str, database: Path, archive: Path, tmp_path: Path, *, in_manifest: bool
) -> None:
    files = good_files(database) | {name: RESULT}
    told = files if in_manifest else good_files(database)
    write_archive(archive, files, manifest_of(database, told).to_bytes())
    refused(archive, tmp_path / "place", "is not a file of a backup" if in_manifest else "differ in")
    assert not list(tmp_path.rglob("evil*"))


def test_a_member_that_is_there_twice_is_refused(database: Path, archive: Path, tmp_path: Path) -> None:
    files = good_files(database, RESULT)
    write_archive(archive, files, manifest_of(database, files).to_bytes())
    once = archive.read_bytes()
    member = once[once.index(NAME.encode()) :][:1024]
    place = once.index(MANIFEST.encode())
    archive.write_bytes(once[:place] + member + once[place:])
    refused(archive, tmp_path / "place", "more than once")


def test_something_behind_the_end_is_refused(database: Path, archive: Path, tmp_path: Path) -> None:
    files = good_files(database)
    write_archive(archive, files, manifest_of(database, files).to_bytes())
    good = archive.read_bytes()
    archive.write_bytes(good + b"x")
    refused(archive, tmp_path / "place", "it has more data after the end")
    archive.write_bytes(good + bytes(1024 * 1024))
    refused(archive, tmp_path / "place", "it has more data after the end")


def test_a_manifest_that_is_not_last_is_none(database: Path, archive: Path, tmp_path: Path) -> None:
    files = good_files(database)
    manifest = manifest_of(database, files).to_bytes()
    write_archive(archive, {MANIFEST: manifest, **files}, None)
    refused(archive, tmp_path / "place", "does not end with a manifest")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda _body: b"{", "cannot be read"),
        (lambda _body: b"[" * 100_000, "cannot be read"),
        (lambda _body: b"\xff\xfe", "cannot be read"),
        (lambda _body: b'{"format": ' + b"9" * 10_000 + b"}", "cannot be read"),
        (lambda _body: b"[]", "not a JSON object"),
        (lambda body: body.replace(b"2030", b"2031"), "checksum differs"),
        (lambda body: resigned(body, format=2, clearway="9.9"), r"format 2, .* reads 1.*'9\.9'"),
        (lambda body: resigned(body, format="1"), "'format'"),
        (lambda body: resigned(body, format=True), "'format'"),
        (lambda body: resigned(body, schema="9999"), "revision '9999'"),
        (lambda body: resigned(body, schema="../.."), r"revision '\.\./\.\.'"),
        (lambda body: resigned(body, schema=None), "'schema'"),
        (lambda body: resigned(body, flow_runs=1), "its database differ"),
        (lambda body: resigned(body, task_runs=10**30), "its database differ"),
        (lambda body: resigned(body, files=[]), "'files'"),
        (lambda body: resigned(body, files={}), f"lists no {DATABASE}"),
        (lambda body: resigned(body, files={DATABASE: 1}), "no valid entry for"),
        (lambda body: resigned(body, files={DATABASE: {"size": -1, "sha256": "x"}}), "differ in"),
        (lambda body: resigned(body, files={DATABASE: {"size": 1.5, "sha256": "x"}}), "'size'"),
        (lambda body: resigned(body, missing_results=["../x"]), "'missing_results'"),
    ],
    ids=range(20),
)
def test_a_manifest_that_is_wrong_is_refused(
    change: Callable[[bytes], bytes], said: str, database: Path, archive: Path, tmp_path: Path
) -> None:
    files = good_files(database)
    write_archive(archive, files, change(manifest_of(database, files).to_bytes()))
    refused(archive, tmp_path / "place", said)


def test_sizes_and_digests_other_than_the_manifest_says_are_refused(
    database: Path, archive: Path, tmp_path: Path
) -> None:
    files = good_files(database, RESULT)
    entries = {name: Entry(len(body), digest_of(body)) for name, body in files.items()}
    for wrong, said in (
        ({NAME: Entry(len(RESULT) - 1, digest_of(RESULT))}, "differ in"),
        ({DATABASE: Entry(entries[DATABASE].size, digest_of(b""))}, "SHA-256 differs"),
        ({result_name(digest_of(b"x")): Entry(1, digest_of(b"x"))}, "differ in"),
    ):
        manifest = replace(manifest_of(database, files), files=entries | wrong)
        write_archive(archive, files, manifest.to_bytes())
        refused(archive, tmp_path / "place", said)
    write_archive(archive, files | {NAME: b"another!"}, manifest_of(database, files).to_bytes())
    refused(archive, tmp_path / "place", "SHA-256 differs")


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (lambda _body: b"no database " * 1000, "file is not a database"),
        (lambda body: body[:-4096], "integrity_check|malformed"),
        (lambda body: body[:8192] + bytes(4096) + body[12288:], "integrity_check|malformed|not a Clearway"),
        (lambda _body: b"", "not a Clearway database"),
    ],
    ids=["letter", "short", "zeros", "empty"],
)
def test_a_database_that_is_none_is_refused_although_its_digest_fits(
    damage: Callable[[bytes], bytes], said: str, database: Path, archive: Path, tmp_path: Path
) -> None:
    files = {DATABASE: damage(database.read_bytes())}
    write_archive(archive, files, manifest_of(database, files).to_bytes())
    refused(archive, tmp_path / "place", said)


TRIGGER = "CREATE TRIGGER evil AFTER INSERT ON flow_run BEGIN DELETE FROM task_run; END"


@pytest.mark.parametrize(
    ("statements", "said"),
    [
        ([TRIGGER], "has the trigger 'evil'"),
        (["CREATE VIEW evil AS SELECT id FROM flow_run"], "has the view 'evil'"),
        (["CREATE VIRTUAL TABLE evil USING rtree(id, low, high)"], "has the object 'evil'"),
        (
            [
                TRIGGER,
                "PRAGMA writable_schema=ON",
                "UPDATE sqlite_master SET type = 'table' WHERE name = 'evil'",
            ],
            "has the object 'evil'|malformed database schema",  # recent versions of SQLite notice
        ),
        (
            [
                TRIGGER,
                "PRAGMA writable_schema=ON",
                "UPDATE sqlite_master SET sql = replace(sql, 'CREATE T', 'CREATE/**/T') WHERE name = 'evil'",
            ],
            "has the trigger 'evil'",
        ),
    ],
    ids=["trigger", "view", "virtual", "disguised", "comment"],
)
def test_a_database_with_programs_in_it_is_neither_restored_nor_backed_up(
    statements: list[str], said: str, database: Path, archive: Path, tmp_path: Path
) -> None:
    changed = tmp_path / "changed.db"
    changed.write_bytes(database.read_bytes())
    with closing(sqlite3.connect(changed, isolation_level=None)) as connection:
        for statement in statements:
            connection.execute(statement)
    files = {DATABASE: changed.read_bytes()}
    write_archive(archive, files, manifest_of(database, files).to_bytes())
    refused(archive, tmp_path / "place", said)
    with pytest.raises(StoreUnavailableError, match=said):
        save(changed, tmp_path / "new.tar", with_results=True)
    assert not (tmp_path / "new.tar").exists()


@settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_a_bit_that_flips_is_noticed_or_does_not_matter(
    data: st.DataObject, database: Path, archive: Path
) -> None:
    files = good_files(database, RESULT)
    manifest = manifest_of(database, files)
    write_archive(archive, files, manifest.to_bytes())
    body = bytearray(archive.read_bytes())
    edges = [0, len(body) - 6000]  # the database is most of it
    begin = data.draw(st.sampled_from(edges))
    place = data.draw(st.integers(begin, min(begin + 6000, len(body)) - 1))
    body[place] ^= 1 << data.draw(st.integers(0, 7))
    archive.write_bytes(body)
    try:
        found = verify(archive)
    except BackupError:
        return
    assert found == manifest


def test_reading_an_archive_takes_little_memory(database: Path, archive: Path, tmp_path: Path) -> None:
    import tracemalloc  # noqa: PLC0415 - only here

    body = bytes(64 * 1024 * 1024)
    files = good_files(database, body)
    write_archive(archive, files, manifest_of(database, files).to_bytes())
    del files, body
    tracemalloc.start()
    restore(archive, tmp_path / "place" / "new.db")
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most < 16 * 1024 * 1024


def test_a_manifest_says_what_it_holds_in_plain_json(database: Path, archive: Path) -> None:
    files = good_files(database, RESULT)
    write_archive(archive, files, manifest_of(database, files).to_bytes())
    with tarfile.open(archive) as plain:
        member = plain.extractfile(MANIFEST)
        assert isinstance(member, io.BufferedIOBase)
        body = json.load(member)
    assert body["format"] == 1
    assert body["files"][NAME] == {"size": len(RESULT), "sha256": digest_of(RESULT)}
