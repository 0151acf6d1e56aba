"""A world for the storm: a database with its clients, and a server unless they are embedded."""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
import time
from collections import Counter
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from clearway.v1.concurrency_limit_pb2 import SetConcurrencyLimitRequest
from clearway.v1.flow_run_pb2 import CreateFlowRunRequest, FlowRunSpec
from clearway_service.service import Service
from clearway_service.settings import ServiceSettings
from faults.storm.clients.place import TAGS
from faults.storm.evidence import Trouble, Waiting
from faults.storm.herd import Herd, Member
from integration.sdk_proxy import Proxy
from support.proposals import new_id
from support.server import Server

LEASE_SECONDS = 5.0
GRACE_SECONDS = 1.5
EMBEDDED_LEASE_SECONDS = 30.0
_SAMPLES = 8
_SAMPLE_SECONDS = 0.5
_CLIENTS = "faults.storm.clients"


@dataclass
class World:
    """A target of the storm.

    Attributes:
        folder: The folder with its records.
        database: The SQLite file.
        lease: How long a client may be silent.
        herd: The clients.
        server: The server; None if the clients are embedded.
        deeds: The number of deeds of each kind.
    """

    folder: Path
    database: Path
    lease: float
    herd: Herd
    server: Server | None
    deeds: Counter[str]

    @property
    def troubles(self) -> list[Trouble]:
        """The faults inflicted on its clients and server."""
        return self.herd.troubles


def prepare(database: Path) -> str:
    """Set the limits in a new file, and create a flow run; return its id."""
    flow = new_id()

    async def create(service: Service) -> None:
        for tag, limit in TAGS.items():
            await service.orchestrator.SetConcurrencyLimit(SetConcurrencyLimitRequest(tag=tag, limit=limit))
        spec = FlowRunSpec(id=flow, flow_name="storm")
        await service.orchestrator.CreateFlowRun(CreateFlowRunRequest(flow_run=spec))
        await service.close_reader()

    service = Service(ServiceSettings(database=database))
    asyncio.run(create(service))
    service.close()
    return flow


def served_world(folder: Path, seed: int, stack: ExitStack) -> World:
    """Create a world with a server, and a proxy between it and each client."""
    folder.mkdir()
    database = folder / "server.db"
    flow = prepare(database)
    environment = {
        "CLEARWAY_LEASE_SECONDS": str(LEASE_SECONDS),
        "CLEARWAY_BROKEN_STREAM_GRACE_SECONDS": str(GRACE_SECONDS),
        "CLEARWAY_HOME": str(folder / "home"),
    }
    server = stack.enter_context(Server(database, environment=environment))
    herd = stack.enter_context(Herd(folder))
    for number, kind in enumerate(["stream", "stream", "stream", "unary", "sdk", "sdk"]):
        name, proxy = f"{kind}-{number}", Proxy(server.address)
        where = [str(folder), name, str(seed + number)]
        match kind:
            case "stream":
                command = [f"{_CLIENTS}.striver", *where, flow, kind, proxy.address]
            case "unary":
                command = [f"{_CLIENTS}.caller", *where, flow, kind, proxy.address]
            case _:
                command = [f"{_CLIENTS}.flows", *where]
        home = {"CLEARWAY_ADDRESS": proxy.address, "CLEARWAY_HOME": str(folder / "home")}
        herd.add(Member(name, command, home, proxy))
    return World(folder, database, LEASE_SECONDS, herd, server, Counter())


def embedded_world(folder: Path, seed: int, stack: ExitStack) -> World:
    """Create a world of processes that share a file, each with its own engine."""
    folder.mkdir()
    home = folder / "home"
    home.mkdir()
    database = home / "clearway.db"
    flow = prepare(database)
    herd = stack.enter_context(Herd(folder))
    for number, kind in enumerate(["embedded", "embedded", "flows"]):
        name = f"{kind}-{number}"
        where = [str(folder), name, str(seed + number)]
        if kind == "embedded":
            command = [f"{_CLIENTS}.striver", *where, flow, kind, str(database)]
        else:
            command = [f"{_CLIENTS}.flows", *where]
        herd.add(Member(name, command, {"CLEARWAY_HOME": str(home)}))
    return World(folder, database, EMBEDDED_LEASE_SECONDS, herd, None, Counter())


def find_forgotten(database: Path) -> list[Waiting]:
    """Return proposals that keep waiting while everything they need is free, in several checks."""
    forgotten: set[Waiting] | None = None
    for _ in range(_SAMPLES):
        found = set(_waiting_for_nothing(database))
        forgotten = found if forgotten is None else forgotten & found
        if not forgotten:
            return []
        time.sleep(_SAMPLE_SECONDS)
    return sorted(forgotten or ())


def _waiting_for_nothing(database: Path) -> list[Waiting]:
    with contextlib.closing(sqlite3.connect(database, timeout=30)) as connection:
        connection.execute("BEGIN")
        limits = dict(connection.execute("SELECT tag, slots FROM concurrency_limit"))
        held = Counter(tag for (tag,) in connection.execute("SELECT tag FROM slot"))
        wanted: dict[tuple[str, str, str], list[str]] = {}
        query = """
            SELECT waiter.proposal_id, waiter.task_run_id, waiter.cache_key, task_run_tag.tag FROM waiter
            JOIN task_run ON task_run.id = waiter.task_run_id
            LEFT JOIN task_run_tag ON task_run_tag.run_seq = task_run.seq WHERE waiter.until IS NULL
        """
        for proposal, run, key, tag in connection.execute(query):
            tags = wanted.setdefault((proposal, run, key), [])
            if tag in limits:
                tags.append(tag)
    return [
        Waiting(proposal, run, tuple(tags))
        for (proposal, run, key), tags in wanted.items()
        if all(held[tag] < limits[tag] for tag in tags) and not (key and held["\x1f" + key])
    ]


def await_quiet(database: Path, seconds: float) -> None:
    """Wait until no slot is held and nothing waits, at most ``seconds``."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        with contextlib.closing(sqlite3.connect(database, timeout=30)) as connection:
            held = connection.execute("SELECT (SELECT count(*) FROM slot) + (SELECT count(*) FROM waiter)")
            if held.fetchone()[0] == 0:
                return
        time.sleep(_SAMPLE_SECONDS)
