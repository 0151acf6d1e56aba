"""Sources of the statements of commands that every flow needs, in Core; rendered like those of a batch."""

from __future__ import annotations

from sqlalchemy import Table, bindparam, delete, func, literal_column, select, text, update

from clearway_service.store import given_rows, schema
from clearway_service.store.ancestors import select_entangled, select_followers
from clearway_service.store.building import insert_rows, json_parameter, members, render
from clearway_service.store.columns import LOG, SESSION

_flow = schema.flow_run
_task = schema.task_run
_session = schema.session
_waiter = schema.waiter
_elder = schema.waiter_tag
_entry = schema.cache_entry
_timeline = schema.timeline


def _select_running(table: Table) -> str:
    """Return the SQL for the Running runs of sessions, by session and then in creation order."""
    # The type is a literal, so that SQLite uses the index of Running runs.
    running = members(table.c.session_id, "ids") & (table.c.state_type == text("3"))
    query = select(table.c.id, table.c.session_id).where(running).order_by(table.c.session_id, table.c.seq)
    return render(query, ("ids",))


# The revision of the schema.
VERSION = render(select(schema.version.c.version_num), ())
INSERT_VERSION = insert_rows(schema.version, ("version_num",))

# The steady clock.
TIMELINE = render(select(_timeline.c.name, _timeline.c.anchor, _timeline.c.latest), ())
DELETE_TIMELINE = render(delete(_timeline), ())
INSERT_TIMELINE = insert_rows(_timeline, ("name", "anchor", "latest"))
NOTE_STEADY = render(
    update(_timeline).where(_timeline.c.latest < bindparam("before")).values(latest=bindparam("steady")),
    ("steady", "before"),
)

# Runs.
TRACKS_SUBFLOW = render(select(_task.c.tracks_subflow).where(_task.c.id == bindparam("id")), ("id",))
SET_CHILD = given_rows.update("task_run", "id", ("child_flow_run_id",))
SET_AWAITS = given_rows.update("task_run", "id", ("awaits",))
ENTANGLED = render(select_entangled(json_parameter("awaited")), ("awaited",))
FOLLOWERS = render(select_followers(json_parameter("awaited")), ("awaited",))

# Logs.
INSERT_LOG = insert_rows(schema.log, LOG)

# The cache.
_expired = (
    select(_entry.c.key)
    .where(_entry.c.expires.is_not(None), _entry.c.expires <= bindparam("now"))
    .order_by(_entry.c.expires)
    .limit(bindparam("count"))
    .offset(literal_column("0"))
)
DELETE_EXPIRED = render(delete(_entry).where(_entry.c.key.in_(_expired)), ("now", "count"))

# Sessions.
INSERT_SESSION = insert_rows(_session, SESSION)
_open = select(*(_session.c[name] for name in ("id", "client_name", "expires", "lost", "process")))
OPEN_SESSIONS = render(_open.where(_session.c.ended.is_(False)), ())
NEXT_EXPIRY = render(select(func.min(_session.c.expires)).where(_session.c.ended.is_(False)), ())
RENEW_SESSION = given_rows.update("session", "id", ("expires", "lost"))
REOPEN_SESSION = given_rows.update("session", "id", ("expires", "ended"))
SHORTEN_SESSION = render(
    update(_session)
    .where(_session.c.id == bindparam("of_id"), _session.c.expires > bindparam("most"))
    .values(expires=bindparam("new_expires"), lost=bindparam("new_lost")),
    ("new_expires", "new_lost", "of_id", "most"),
)
EXTEND_SESSIONS = render(
    update(_session)
    .where(_session.c.ended.is_(False), _session.c.expires < bindparam("least"))
    .values(expires=bindparam("new_expires")),
    ("new_expires", "least"),
)
CUT_SESSIONS = render(
    update(_session)
    .where(_session.c.ended.is_(False), _session.c.expires > bindparam("most"))
    .values(expires=bindparam("new_expires")),
    ("new_expires", "most"),
)
END_SESSION = given_rows.update("session", "id", ("ended",))
RUNNING_FLOW_RUNS = _select_running(_flow)
RUNNING_TASK_RUNS = _select_running(_task)

# Leaving the queues.
WAITED_BLOCKERS = render(select(_waiter.c.blocking_tag).where(_waiter.c.until.is_(None)).distinct(), ())
LAPSED_WAITERS = render(select(_waiter.c.proposal_id).where(_waiter.c.until <= bindparam("now")), ("now",))
# An engine has a session too. When it ends, so do the waiters of its callers without a session of their own.
WAITERS_OF_SESSIONS = render(
    select(_waiter.c.proposal_id).where(
        members(_waiter.c.session_id, "ids")
        | (
            members(_waiter.c.owner, "owners")
            & (_waiter.c.session_id == literal_column("''"))
            & _waiter.c.until.is_(None)
        )
    ),
    ("ids", "owners"),
)
WAITER_IDS = render(select(_waiter.c.proposal_id).where(members(_waiter.c.proposal_id, "ids")), ("ids",))
ELDER_TAGS = render(select(_elder.c.tag).where(members(_elder.c.proposal_id, "ids")).distinct(), ("ids",))
