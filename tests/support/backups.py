"""Databases to back up, and archives as ``clearway backup`` writes them."""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections.abc import Iterable
from contextlib import closing
from io import BytesIO
from pathlib import Path
from typing import Any

from clearway.v1.proposal_pb2 import SetTaskRunStateRequest
from clearway.v1.result_pb2 import UploadResultRequest
from clearway.v1.state_pb2 import STATE_TYPE_COMPLETED, Data, ProposedState
from clearway_service.backup.archive import ArchiveWriter
from clearway_service.backup.manifest import DATABASE, MANIFEST, Entry, Manifest, result_name
from clearway_service.store.copies import check_copy
from support.client import Client
from support.proposals import create_flow, create_task, new_id
from support.server import Server


def digest_of(body: bytes) -> str:
    """Return the SHA-256 of a result."""
    return hashlib.sha256(body).hexdigest()


def result_file(database: Path, digest: str) -> Path:
    """Return the path where the service stores a result."""
    return database.with_name(f"{database.name}-results") / digest[:2] / digest


def keep_result(client: Client, flow_run_id: str, body: bytes, location: str = "") -> str:
    """Upload a result and complete a run with it; return the run's id.

    Args:
        client: The service.
        flow_run_id: The run's flow run.
        body: The result.
        location: The location recorded for the run instead of the real one.
    """
    digest = digest_of(body)
    client.stub.UploadResult(
        UploadResultRequest(upload_id=new_id(), sha256=digest, size_bytes=len(body), chunk=body)
    )
    run_id: str = create_task(client, flow_run_id).spec.id
    data = Data(
        encoding="bytes", location=location or f"service://{digest}", size_bytes=len(body), sha256=digest
    )
    state = ProposedState(type=STATE_TYPE_COMPLETED, data=data)
    client.stub.SetTaskRunState(SetTaskRunStateRequest(task_run_id=run_id, state=state))
    return run_id


def small_database(path: Path, results: Iterable[bytes] = (b"first", b"second" * 1000)) -> None:
    """Create a database with a flow run, and a task run for each of ``results`` in the service's storage."""
    with Server(path) as server, Client(server.address) as client:
        flow = create_flow(client).spec.id
        for body in results:
            keep_result(client, flow, body)
        server.stop()


def tables(path: Path) -> dict[str, list[tuple[Any, ...]]]:
    """Return all rows of a database that is not in use, without the processes of sessions."""
    with closing(sqlite3.connect(path)) as connection:
        names = [
            name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
        ]
        found = {}
        for name in names:
            cursor = connection.execute(f"SELECT * FROM {name}")
            columns = [column[0] for column in cursor.description]
            hidden = columns.index("process") if name == "session" else -1
            found[name] = sorted(
                (tuple(value for number, value in enumerate(row) if number != hidden) for row in cursor),
                key=repr,
            )
        return found


def write_archive(path: Path, files: dict[str, bytes], manifest: bytes | None) -> None:
    """Write an archive like ``clearway backup``, with arbitrary files and an arbitrary manifest."""
    with path.open("w+b") as file:
        writer = ArchiveWriter(file, 0)
        for name, body in files.items():
            writer.add(name, BytesIO(body), len(body))
        if manifest is not None:
            writer.add(MANIFEST, BytesIO(manifest), len(manifest))
        writer.finish()


def manifest_of(database: Path, files: dict[str, bytes]) -> Manifest:
    """Return the manifest for a database and files."""
    contents = check_copy(database)
    return Manifest(
        clearway="0.2.0",
        schema=contents.revision,
        created="2030-01-02T03:04:05+00:00",
        flow_runs=contents.flow_runs,
        task_runs=contents.task_runs,
        with_results=True,
        files={name: Entry(len(body), digest_of(body)) for name, body in files.items()},
        missing_results=[],
        damaged_results=[],
    )


def good_files(database: Path, *results: bytes) -> dict[str, bytes]:
    """Return the files of a valid backup."""
    bodies = {result_name(digest_of(body)): body for body in results}
    return {DATABASE: database.read_bytes(), **bodies}


def resigned(manifest: bytes, **changed: Any) -> bytes:
    """Return a manifest with changed fields and a matching checksum, as an attacker would make it."""
    body = json.loads(manifest) | changed
    body.pop("checksum")
    plain = json.dumps(body, sort_keys=True, separators=(",", ":")).encode()
    return json.dumps(body | {"checksum": digest_of(plain)}).encode()
