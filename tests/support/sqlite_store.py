"""The SQLite store for engines, and its contents in the form of the model's."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Select, Table, delete, select

from clearway_service.core.changes import CacheWrite, Changes
from clearway_service.core.moment import Moment
from clearway_service.core.resources import Resource
from clearway_service.core.runs import FlowRunSpec, RunKind
from clearway_service.core.snapshot import Snapshot
from clearway_service.core.states import ProposedState, StateType
from clearway_service.core.turn import EndedRuns, Work
from clearway_service.store import schema
from clearway_service.store.building import select_runs
from clearway_service.store.columns import RUN_STATE, STATE, WAITER
from clearway_service.store.database import Database
from clearway_service.store.limits import delete_limit, no_limit, reset_limit, set_limit
from clearway_service.store.loading import load
from clearway_service.store.resources import resource_from
from clearway_service.store.row_cache import RowCache
from clearway_service.store.rows import flow_run_from, task_run_from, waiter_from
from clearway_service.store.runs import create_flow_run, create_task_run
from clearway_service.store.session_ends import end_session, expire_sessions, remove_waiters
from clearway_service.store.sessions import (
    Client,
    extend_all_sessions,
    open_session,
    renew_sessions,
    shorten_session,
)
from clearway_service.store.transaction import Transaction
from clearway_service.store.writing import write
from support.engines import (
    BreakStream,
    Command,
    CreateRun,
    DeleteLimit,
    EndSession,
    ExpireSessions,
    ExtendSessions,
    Ids,
    OpenSession,
    RenewSessions,
    ResetLimit,
    SetLimit,
    Withdraw,
)
from support.model import Model

_NoLimit = type(no_limit(""))
_SESSION = ("id", "client_name", "expires", "lost", "ended")
_PENDING = ProposedState(StateType.PENDING)


@dataclass
class OpenedSqlite:
    """A SQLite file in a transaction."""

    transaction: Transaction
    row_cache: RowCache
    decided: tuple[Snapshot, Changes] | None = None

    def do(self, command: Command) -> tuple[set[Resource], EndedRuns]:
        """Run a command, as the service does."""
        self.row_cache.forget()
        transaction = self.transaction
        transaction.woken, transaction.ended_runs = set(), {}
        match command:
            case SetLimit(tag, slots):
                set_limit(tag, slots)(transaction)
            case DeleteLimit(tag):
                delete_limit(tag)(transaction)
            case ResetLimit(tag):
                reset_limit(tag)(transaction)
            case CreateRun(run) if isinstance(run, FlowRunSpec):
                create_flow_run(run, _PENDING)(transaction)
            case CreateRun(run) if not isinstance(run, FlowRunSpec):
                create_task_run(run, _PENDING)(transaction)
            case Withdraw(proposal_ids):
                remove_waiters(transaction, proposal_ids)
            case _:
                self._do_for_sessions(command)
        return transaction.woken, transaction.ended_runs

    def _do_for_sessions(self, command: Command) -> None:
        transaction = self.transaction
        match command:
            case OpenSession(id_, lease):
                open_session(id_, Client(f"client of {id_}", "", ""), lease, process=id_)(transaction)
            case RenewSessions(ids, lease):
                renew_sessions(dict.fromkeys(ids, transaction.steady + lease))(transaction)
            case ExtendSessions(lease):
                extend_all_sessions(lease)(transaction)
            case BreakStream(id_, grace):
                shorten_session(id_, grace)(transaction)
            case ExpireSessions(lease, dead):
                expire_sessions(lease, dead.__contains__)(transaction)
            case EndSession(id_):
                end_session(id_, f"lost {id_}")(transaction)

    def collect(self, owner: str) -> list[str]:
        """Remove and return the proposals of ``owner`` that other engines have decided."""
        table, connection = schema.delivery, self.transaction.connection
        mine = table.c.owner == owner
        collected = list(connection.scalars(select(table.c.proposal_id).where(mine).order_by("proposal_id")))
        connection.execute(delete(table).where(mine))
        return collected

    def load(self, work: Work) -> Snapshot:
        """Return the snapshot for a turn."""
        transaction = self.transaction
        self._snapshot = load(transaction.driver, work, transaction.moment, self.row_cache)
        return self._snapshot

    def write(self, changes: Changes) -> None:
        """Write a batch's changes."""
        write(self.transaction.driver, changes, self.transaction.now)
        self.decided = self._snapshot, changes


@dataclass
class SqliteStore:
    """A SQLite file that engines take turns on."""

    database: Database
    row_cache: RowCache = field(default_factory=RowCache)

    @contextmanager
    def transaction(self, moment: Moment, new_id: Ids) -> Iterator[OpenedSqlite]:
        """Enter a transaction, which is committed at its end."""
        with self.database.turn():
            self.row_cache.begin(self.database.data_version())
            opened = OpenedSqlite(Transaction(self.database, moment, new_id), self.row_cache)
            yield opened
        if opened.decided is not None:
            self.row_cache.committed(*opened.decided)

    def contents(self) -> dict[str, Any]:
        """Return the contents of the file, in the form of ``contents`` for a model."""
        with self.database.turn():
            rows = _Rows(self.database.writer)
            runs = {RunKind.FLOW: schema.flow_run, RunKind.TASK: schema.task_run}
            found = {
                kind: [tuple(row) for row in rows.of(select_runs(table))] for kind, table in runs.items()
            }
            flows = [(RunKind.FLOW, *flow_run_from(row)) for row in found[RunKind.FLOW]]
            tasks = [(RunKind.TASK, *task_run_from(row)) for row in found[RunKind.TASK]]
            waiters = rows.of(_columns(schema.waiter, "place", *WAITER))
            return {
                "runs": {made[1].id: made for made in flows} | {made[1].id: made for made in tasks},
                "states": sorted(rows.of(_columns(schema.state, *STATE))),
                "aborts": sorted(rows.of(select(schema.abort))),
                "limits": dict(rows.of(_columns(schema.concurrency_limit, "tag", "slots"))),
                "slots": {
                    (resource_from(column), run_id) for column, run_id, _taken in rows.of(select(schema.slot))
                },
                "waiters": {row[1]: waiter_from(row) for row in waiters},
                "elders": {(tag, id_, place) for tag, place, id_ in rows.of(select(schema.waiter_tag))},
                "sessions": set(
                    rows.of(_columns(schema.session, "id", "client_name", "expires", "lost", "ended"))
                ),
                "cache": {row[0]: row for row in rows.of(_columns(schema.cache_entry, *CacheWrite._fields))},
                "hits": dict(rows.of(_columns(schema.cache_entry, "key", "hits"))),
                "deliveries": set(rows.of(select(schema.delivery))),
            }


class _Rows:
    def __init__(self, connection: Any) -> None:
        self._connection = connection

    def of(self, query: Any) -> list[tuple[Any, ...]]:
        return [tuple(row) for row in self._connection.execute(query)]


def _columns(table: Table, *names: str) -> Select[Any]:
    return select(*(table.c[name] for name in names))


def contents(model: Model) -> dict[str, Any]:
    """Return the contents of a model."""
    columns = len(RUN_STATE) - 1
    return {
        "runs": {id_: tuple(stored) for id_, stored in model.runs.items()},
        "states": sorted(
            (
                made.state.id,
                made.kind.value,
                made.run_id,
                made.ordinal,
                *made.state[1 : columns + 1],
                *made[4:],
            )
            for made in model.states.values()
        ),
        "aborts": sorted(
            (id_, made.kind.value, made.run_id, made.abort.reason, made.abort.message, made.state.id)
            for id_, made in model.aborts.items()
        ),
        "limits": model.limits,
        "slots": model.slots,
        "waiters": model.waiters,
        "elders": {(tag, id_, place) for tag, ids in model.elders.items() for id_, place in ids.items()},
        "sessions": {(id_, *session) for id_, session in model.sessions.items()},
        "cache": {key: tuple(entry) for key, entry in model.cache.items()},
        "hits": model.hits,
        "deliveries": model.deliveries,
    }
