"""Gathering: builds evidence from a world's files and database."""

from __future__ import annotations

import contextlib
import json
import sqlite3
import time
from collections.abc import Iterator
from hashlib import sha256
from typing import Any

from clearway.v1.state_pb2 import Data
from faults.storm.clients.place import TAGS
from faults.storm.evidence import AbortRow, Asked, Body, Evidence, RunRow, StateRow, Told, Trouble
from faults.storm.records import read_record
from faults.storm.world import World

_STATES = """
    SELECT id, run_id, ordinal, type, name, timestamp, scheduled_time, cache_key, data, message FROM state
    ORDER BY run_id, ordinal
"""
_RUNS = """
    SELECT id, 'task', state_id, state_type, ordinal, run_count, max_attempts - 1, session_id, tags
    FROM task_run
    UNION ALL
    SELECT id, 'flow', state_id, state_type, ordinal, run_count, max_attempts - 1, session_id, tags
    FROM flow_run
"""
_BEAT_GAP = 1.0
_FINISHED = "finished"


def gather(world: World) -> Evidence:
    """Return the evidence of a world whose clients have all ended."""
    evidence = Evidence(lease=world.lease, wall_offset=time.time() - time.monotonic(), limits=dict(TAGS))
    evidence.lives = list(world.herd.lives)
    evidence.troubles = list(world.troubles)
    evidence.damage = list(world.herd.damage)
    if world.server is not None:
        evidence.damage += _server_damage(world.server.log)
    for name in world.herd.members:
        _read_client(evidence, read_record(world.folder / f"client-{name}.jsonl"), name)
    _read_bodies(evidence, read_record(world.folder / "bodies.jsonl"))
    with contextlib.closing(sqlite3.connect(world.database, timeout=30)) as connection:
        _read_database(evidence, connection)
    return evidence


def _server_damage(log: list[str]) -> list[str]:
    """Return the lines of a server's log that are not JSON or report an error."""
    damage = []
    for line in log:
        try:
            level = json.loads(line).get("level")
        except ValueError:
            damage.append(f"the server wrote a line that is no JSON: {line[:300]}")
        else:
            if level in ("error", "critical"):
                damage.append(f"the server logged an error: {line[:600]}")
    return damage


def _read_client(evidence: Evidence, lines: list[dict[str, Any]], name: str) -> None:
    """Read a client's proposals, decisions and results."""
    begun: dict[int, str | None] = {}
    wanted: dict[int, str] = {}
    evidence.troubles += _pauses(lines, name)
    for line in lines:
        if "ask" in line:
            evidence.asked.append(Asked(name, line["ask"], line["run"], line["type"], line["result"]))
        elif "told" in line:
            kept = {key: line[key] for key in ("result", "reason") if key in line}
            state = tuple(line["state"])
            evidence.told.append(Told(name, line["told"], line["run"], line["answer"], state, **kept))
        elif "unexpected" in line:
            evidence.damage.append(f"client {name}: {line['unexpected']}")
        elif "job" in line:
            begun.setdefault(line["job"], None)
        elif "result" in line:
            begun[line["result"]], wanted[line["result"]] = line["got"], line["wanted"]
    if not any(_FINISHED in line for line in lines):
        evidence.damage.append(f"client {name} never came to its end")
    if any("runs_flows" in line for line in lines):
        evidence.flows += [(f"{name} {job}", wanted.get(job, "a result"), got) for job, got in begun.items()]


def _pauses(lines: list[dict[str, Any]], name: str) -> Iterator[Trouble]:
    """Yield the times in which a client's processes got no CPU time to write heartbeats."""
    beats: dict[int, float] = {}
    for line in lines:
        if "alive" in line:
            pid, at = line["pid"], line["at"]
            if (gap := at - beats.get(pid, at)) > _BEAT_GAP:
                yield Trouble(name, "had no time from the machine", at - gap, at)
            beats[pid] = at


def _read_bodies(evidence: Evidence, lines: list[dict[str, Any]]) -> None:
    ends = {(line["end"], line["pid"]): line["at"] for line in lines if "end" in line}
    for line in lines:
        if "begin" in line:
            attempt, pid = line["begin"], line["pid"]
            ended = ends.get((attempt, pid))
            tags, key = tuple(line["tags"]), line["key"]
            body = Body(attempt, line["run"], line["client"], pid, line["at"], ended, tags, key)
            evidence.bodies.append(body)


def _read_database(evidence: Evidence, connection: sqlite3.Connection) -> None:
    if (checked := connection.execute("PRAGMA integrity_check").fetchall()) != [("ok",)]:
        evidence.damage.append(f"the database is damaged: {checked[:3]}")
    for id_, run, ordinal, type_, name, at, scheduled, key, data, message in connection.execute(_STATES):
        result = _result(data)
        later = None if scheduled is None else scheduled / 1e6
        row = StateRow(id_, run, ordinal, type_, name, at / 1e6, later, key, result, message)
        evidence.states.append(row)
    clients = dict(connection.execute("SELECT id, client_name FROM session"))
    names = _client_names(evidence)
    creators = {body.run: body.client for body in evidence.bodies}
    creators |= {told.run: told.client for told in evidence.told}
    for id_, kind, state_id, type_, ordinal, count, retries, session, tags in connection.execute(_RUNS):
        client = creators.get(id_) or names.get(clients.get(session, ""), "")
        run = RunRow(id_, kind, state_id, type_, ordinal, count, retries, client, tuple(json.loads(tags)))
        evidence.runs.append(run)
    columns = "SELECT proposal_id, run_id, reason, state_id FROM abort"
    evidence.aborts = [AbortRow(*row) for row in connection.execute(columns)]
    evidence.slots = connection.execute("SELECT tag, task_run_id FROM slot").fetchall()
    evidence.waiters = connection.execute("SELECT proposal_id, task_run_id FROM waiter").fetchall()


def _client_names(evidence: Evidence) -> dict[str, str]:
    """Return the storm's clients by their names in the service, which strivers and callers give it."""
    return {life.client: life.client for life in evidence.lives}


def _result(data: bytes | None) -> str:
    if data is None:
        return ""
    parsed = Data.FromString(data)
    return sha256(parsed.inline).hexdigest()[:16] if parsed.HasField("body") else ""
