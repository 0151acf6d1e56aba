"""The model as a store for engines."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from clearway_service.core.changes import Changes
from clearway_service.core.moment import Moment
from clearway_service.core.resources import Resource
from clearway_service.core.runs import FlowRunSpec, RunKind, begin
from clearway_service.core.snapshot import Snapshot
from clearway_service.core.turn import EndedRuns, Work
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
from support.model import Model, first_state


@dataclass
class OpenedModel:
    """The model in a transaction, on its own dictionaries."""

    model: Model
    moment: Moment
    new_id: Ids

    def do(self, command: Command) -> tuple[set[Resource], EndedRuns]:
        """Run a command."""
        model = self.model
        woken, ended = set[Resource](), EndedRuns()
        match command:
            case SetLimit(tag, slots):
                if tag not in model.limits:
                    self.new_id()
                woken = model.set_limit(tag, slots)
            case DeleteLimit(tag):
                woken = model.delete_limit(tag)
            case ResetLimit(tag):
                woken = model.reset_limit(tag)
            case CreateRun(run):
                steady = self.moment.steady
                kind = RunKind.FLOW if isinstance(run, FlowRunSpec) else RunKind.TASK
                model.create(kind, run, begin(first_state(self.new_id(), self.moment.now), "", steady))
            case Withdraw(proposal_ids):
                woken = model.remove_waiters(proposal_ids)
            case _:
                woken, ended = self._do_for_sessions(command)
        return woken, ended

    def _do_for_sessions(self, command: Command) -> tuple[set[Resource], EndedRuns]:
        model, steady = self.model, self.moment.steady
        match command:
            case OpenSession(id_, lease):
                model.open_session(id_, f"client of {id_}", steady + lease)
            case RenewSessions(ids, lease):
                model.renew_sessions(ids, steady + lease)
            case ExtendSessions(lease):
                model.extend_sessions(steady + lease)
            case BreakStream(id_, grace):
                model.shorten_session(id_, steady, grace)
            case ExpireSessions(lease, dead):
                return model.expire_sessions(self.moment, lease, dead)
            case EndSession(id_):
                return model.end_sessions({id_: f"lost {id_}"})
        return set(), EndedRuns()

    def collect(self, owner: str) -> list[str]:
        """Remove and return the proposals of ``owner`` that other engines have decided."""
        return self.model.collect(owner)

    def load(self, work: Work) -> Snapshot:
        """Return the snapshot for a turn."""
        return self.model.load(work, self.moment)

    def write(self, changes: Changes) -> None:
        """Apply a batch's changes."""
        self.model.write(changes, self.moment.now)


@dataclass
class ModelStore:
    """A model store that engines take turns on."""

    model: Model

    @contextmanager
    def transaction(self, moment: Moment, new_id: Ids) -> Iterator[OpenedModel]:
        """Enter a transaction."""
        yield OpenedModel(self.model, moment, new_id)
