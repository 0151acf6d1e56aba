"""Sources of a batch's statements, in SQLAlchemy Core. ``make statements`` renders them into ``statements``.

Statements that write are for one row; ``bulk`` executes them for many.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import (
    and_,
    bindparam,
    delete,
    func,
    literal_column,
    select,
    text,
)
from sqlalchemy.dialects.sqlite import insert as upsert_into

from clearway_service.store import given_rows, schema
from clearway_service.store.ancestors import select_ancestors
from clearway_service.store.building import (
    insert_rows,
    json_parameter,
    json_rows,
    members,
    render,
    run_columns,
    select_runs,
)
from clearway_service.store.columns import (
    FLOW_RUN,
    PROGRESS,
    RUN_STATE,
    STATE,
    STORED_RESULT,
    TASK_RUN,
    WAITER,
)
from clearway_service.store.resources import MARK


def _task_runs_by_key() -> str:
    keys, (flow_run_id, task_key, dynamic_key) = json_rows("keys", 3)
    table = schema.task_run
    joined = keys.join(
        table,
        (table.c.flow_run_id == flow_run_id)
        & (table.c.task_key == task_key)
        & (table.c.dynamic_key == dynamic_key),
    ).join(schema.state, schema.state.c.id == table.c.state_id)
    return render(select(*run_columns(table)).select_from(joined), ("keys",))


def _waiters() -> Any:
    table = schema.waiter
    return select(table.c.place, *(table.c[name] for name in WAITER))


_abort_state = select(
    *(schema.abort.c[name] for name in ("proposal_id", "kind", "run_id", "reason", "message")),
    *(schema.state.c[name] for name in RUN_STATE),
).select_from(schema.abort.join(schema.state, schema.state.c.id == schema.abort.c.state_id))

# A literal, so that SQLite uses the index of waiters with a key. A run that refreshes the cache is not
# served.
_with_key = and_(text("waiter.cache_key != ''"), schema.waiter.c.refresh_cache.is_(False))
# A run that waits for another one to compute its key needs no slot yet, and none is reserved for it.
_first = func.substr(schema.waiter.c.blocking_tag, literal_column("1"), literal_column("1"))
_wants_slots = _first != literal_column(f"'{MARK}'")

# Loads. Each takes one JSON array, except the heads of queues.
FLOW_RUNS_BY_ID = render(select_runs(schema.flow_run).where(members(schema.flow_run.c.id, "ids")), ("ids",))
TASK_RUNS_BY_ID = render(select_runs(schema.task_run).where(members(schema.task_run.c.id, "ids")), ("ids",))
TASK_RUNS_BY_KEY = _task_runs_by_key()
FLOW_RUN_IDS = render(select(schema.flow_run.c.id).where(members(schema.flow_run.c.id, "ids")), ("ids",))
TASK_RUN_IDS = render(select(schema.task_run.c.id).where(members(schema.task_run.c.id, "ids")), ("ids",))
STATES_BY_ID = render(
    select(*(schema.state.c[name] for name in STATE)).where(members(schema.state.c.id, "ids")), ("ids",)
)
ABORTS_BY_ID = render(_abort_state.where(members(schema.abort.c.proposal_id, "ids")), ("ids",))
LIMITS_BY_TAG = render(
    select(schema.concurrency_limit.c.tag, schema.concurrency_limit.c.slots).where(
        members(schema.concurrency_limit.c.tag, "tags")
    ),
    ("tags",),
)
SLOTS_BY_RUN = render(
    select(schema.slot.c.tag, schema.slot.c.task_run_id).where(members(schema.slot.c.task_run_id, "ids")),
    ("ids",),
)
ANCESTORS_BY_RUN = render(select_ancestors(json_parameter("ids")), ("ids",))
SLOTS_TAKEN = render(
    select(schema.slot.c.tag, func.count())
    .where(members(schema.slot.c.tag, "tags"))
    .group_by(schema.slot.c.tag),
    ("tags",),
)
# The last place of all queues; null if no run waits.
LAST_PLACE = render(select(func.max(schema.waiter.c.place)), ())
QUEUED_BLOCKERS = render(
    select(schema.waiter.c.blocking_tag)
    .distinct()
    .where(members(schema.waiter.c.blocking_tag, "tags"), schema.waiter.c.until.is_(None)),
    ("tags",),
)
WAITERS_BY_ID = render(_waiters().where(members(schema.waiter.c.proposal_id, "ids")), ("ids",))
WAITERS_BY_RUN = render(
    _waiters().where(members(schema.waiter.c.task_run_id, "ids")).order_by(schema.waiter.c.place), ("ids",)
)
WAITERS_BY_BLOCKER = render(
    _waiters()
    .where(schema.waiter.c.blocking_tag == bindparam("tag"), schema.waiter.c.until.is_(None))
    .order_by(schema.waiter.c.place)
    .limit(bindparam("count"))
    .offset(bindparam("offset")),
    ("tag", "count", "offset"),
)
WAITING_KEYS = render(
    select(schema.waiter.c.cache_key)
    .distinct()
    .where(members(schema.waiter.c.cache_key, "keys"), _with_key, schema.waiter.c.until.is_(None)),
    ("keys",),
)
WAITERS_BY_KEY = render(
    _waiters()
    .where(schema.waiter.c.cache_key == bindparam("key"), _with_key, schema.waiter.c.until.is_(None))
    .order_by(schema.waiter.c.place)
    .limit(bindparam("count"))
    .offset(bindparam("offset")),
    ("key", "count", "offset"),
)
WAITERS_COUNT = render(
    select(func.count())
    .select_from(schema.waiter)
    .where(schema.waiter.c.blocking_tag == bindparam("tag"), schema.waiter.c.until.is_(None)),
    ("tag",),
)
ELDERS_BY_TAG = render(
    _waiters()
    .select_from(schema.waiter_tag.join(schema.waiter, schema.waiter.c.place == schema.waiter_tag.c.place))
    .where(schema.waiter_tag.c.tag == bindparam("of_tag"), schema.waiter.c.until.is_(None), _wants_slots)
    .order_by(schema.waiter_tag.c.place)
    .limit(bindparam("count"))
    .offset(bindparam("offset")),
    ("of_tag", "count", "offset"),
)
CACHE_BY_KEY = render(
    select(schema.cache_entry.c.key, *(schema.state.c[name] for name in RUN_STATE))
    .select_from(schema.cache_entry.join(schema.state, schema.state.c.id == schema.cache_entry.c.state_id))
    .where(
        members(schema.cache_entry.c.key, "keys"),
        (schema.cache_entry.c.expires.is_(None)) | (schema.cache_entry.c.expires > bindparam("now")),
    ),
    ("keys", "now"),
)
SESSIONS_BY_ID = render(
    select(schema.session.c.id, schema.session.c.client_name, schema.session.c.expires).where(
        members(schema.session.c.id, "ids"), schema.session.c.ended.is_(False)
    ),
    ("ids",),
)
# Decisions by other engines, for the asking engine to deliver.
DELIVERIES = render(
    select(schema.delivery.c.proposal_id).where(schema.delivery.c.owner == bindparam("of")), ("of",)
)

# Writes.
INSERT_FLOW_RUN = insert_rows(schema.flow_run, (*FLOW_RUN, *PROGRESS))
INSERT_TASK_RUN = insert_rows(schema.task_run, (*TASK_RUN, *PROGRESS))
INSERT_FLOW_RUN_TAG = given_rows.tag("flow_run_tag", "flow_run")
INSERT_TASK_RUN_TAG = given_rows.tag("task_run_tag", "task_run")
UPDATE_FLOW_RUN = given_rows.update("flow_run", "id", PROGRESS)
UPDATE_TASK_RUN = given_rows.update("task_run", "id", PROGRESS)
INSERT_STATE = insert_rows(schema.state, STATE)
INSERT_ABORT = insert_rows(schema.abort, ("proposal_id", "kind", "run_id", "reason", "message", "state_id"))
INSERT_SLOT = insert_rows(schema.slot, ("tag", "task_run_id", "taken"))
DELETE_SLOT = given_rows.delete("slot", ("tag", "task_run_id"))
INSERT_WAITER = insert_rows(schema.waiter, WAITER)
DELETE_WAITER = given_rows.delete("waiter", ("proposal_id",))
DELETE_WAITER_TAGS = given_rows.delete("waiter_tag", ("proposal_id",))
INSERT_WAITER_TAG = given_rows.tag_waiter()
PASS_WAITER = given_rows.update("waiter", "proposal_id", ("passed",))
MOVE_WAITER = given_rows.update("waiter", "proposal_id", ("blocking_tag",))
REATTACH_WAITER = given_rows.update("waiter", "proposal_id", ("session_id", "owner", "until"))
INSERT_DELIVERY = insert_rows(schema.delivery, ("owner", "proposal_id"))
DELETE_DELIVERIES = render(delete(schema.delivery).where(schema.delivery.c.owner == bindparam("of")), ("of",))


def _upsert_cache_entry() -> str:
    columns = ("key", "state_id", "task_run_id", "created", "expires", "size", "result")
    statement = upsert_into(schema.cache_entry).values({name: bindparam(name) for name in columns})
    replaced = {name: statement.excluded[name] for name in columns[1:]}
    # A new entry has no hits.
    replaced |= {"hits": literal_column("0"), "last_hit": literal_column("NULL")}
    return render(statement.on_conflict_do_update(index_elements=["key"], set_=replaced), columns)


def _refer_to_result() -> str:
    table = schema.stored_result
    statement = upsert_into(table).values({name: bindparam(name) for name in STORED_RESULT})
    latest = {name: func.max(table.c[name], statement.excluded[name]) for name in ("referred", "keep")}
    return render(
        statement.on_conflict_do_update(index_elements=["name", "location"], set_=latest), STORED_RESULT
    )


UPSERT_CACHE_ENTRY = _upsert_cache_entry()
REFER_TO_RESULT = _refer_to_result()
HIT_CACHE_ENTRY = given_rows.update("cache_entry", "key", ("hits", "last_hit"), added="hits")
