"""The SQL of the hot path, rendered from ``batch_statements`` and others by ``make statements``."""

FLOW_RUNS_BY_ID = """SELECT flow_run.id, flow_run.flow_name, flow_run.name, flow_run.flow_version, flow_run.parameters, flow_run.tags, flow_run.max_attempts, flow_run.retry_delays, flow_run.retry_jitter_factor, flow_run.parent_task_run_id, flow_run.created, flow_run.session_id, flow_run.ordinal, flow_run.run_count, flow_run.expected_start_time, flow_run.start_time, flow_run.end_time, flow_run.total_run_time, flow_run.running_since, flow_run.due, state.id AS id_1, state.type, state.name AS name_1, state.timestamp, state.message, state.data, state.scheduled_time, state.cache_key, state.cache_expiration
FROM flow_run JOIN state ON state.id = flow_run.state_id
WHERE flow_run.id IN (SELECT anon_1.value
FROM json_each(?) AS anon_1)"""

TASK_RUNS_BY_ID = """SELECT task_run.id, task_run.flow_run_id, task_run.task_key, task_run.dynamic_key, task_run.task_name, task_run.name, task_run.task_version, task_run.tags, task_run.max_attempts, task_run.retry_delays, task_run.retry_jitter_factor, task_run.inputs, task_run.tracks_subflow, task_run.child_flow_run_id, task_run.created, task_run.session_id, task_run.ordinal, task_run.run_count, task_run.expected_start_time, task_run.start_time, task_run.end_time, task_run.total_run_time, task_run.running_since, task_run.due, state.id AS id_1, state.type, state.name AS name_1, state.timestamp, state.message, state.data, state.scheduled_time, state.cache_key, state.cache_expiration
FROM task_run JOIN state ON state.id = task_run.state_id
WHERE task_run.id IN (SELECT anon_1.value
FROM json_each(?) AS anon_1)"""

TASK_RUNS_BY_KEY = """SELECT task_run.id, task_run.flow_run_id, task_run.task_key, task_run.dynamic_key, task_run.task_name, task_run.name, task_run.task_version, task_run.tags, task_run.max_attempts, task_run.retry_delays, task_run.retry_jitter_factor, task_run.inputs, task_run.tracks_subflow, task_run.child_flow_run_id, task_run.created, task_run.session_id, task_run.ordinal, task_run.run_count, task_run.expected_start_time, task_run.start_time, task_run.end_time, task_run.total_run_time, task_run.running_since, task_run.due, state.id AS id_1, state.type, state.name AS name_1, state.timestamp, state.message, state.data, state.scheduled_time, state.cache_key, state.cache_expiration
FROM json_each(?) AS keys JOIN task_run ON task_run.flow_run_id = json_extract(keys.value, '$[0]') AND task_run.task_key = json_extract(keys.value, '$[1]') AND task_run.dynamic_key = json_extract(keys.value, '$[2]') JOIN state ON state.id = task_run.state_id"""

FLOW_RUN_IDS = """SELECT flow_run.id
FROM flow_run
WHERE flow_run.id IN (SELECT anon_1.value
FROM json_each(?) AS anon_1)"""

TASK_RUN_IDS = """SELECT task_run.id
FROM task_run
WHERE task_run.id IN (SELECT anon_1.value
FROM json_each(?) AS anon_1)"""

STATES_BY_ID = """SELECT state.id, state.kind, state.run_id, state.ordinal, state.type, state.name, state.timestamp, state.message, state.data, state.scheduled_time, state.cache_key, state.cache_expiration, state.answer, state.answer_message
FROM state
WHERE state.id IN (SELECT anon_1.value
FROM json_each(?) AS anon_1)"""

ABORTS_BY_ID = """SELECT abort.proposal_id, abort.kind, abort.run_id, abort.reason, abort.message, state.id, state.type, state.name, state.timestamp, state.message AS message_1, state.data, state.scheduled_time, state.cache_key, state.cache_expiration
FROM abort JOIN state ON state.id = abort.state_id
WHERE abort.proposal_id IN (SELECT anon_1.value
FROM json_each(?) AS anon_1)"""

LIMITS_BY_TAG = """SELECT concurrency_limit.tag, concurrency_limit.slots
FROM concurrency_limit
WHERE concurrency_limit.tag IN (SELECT anon_1.value
FROM json_each(?) AS anon_1)"""

SLOTS_BY_RUN = """SELECT slot.tag, slot.task_run_id
FROM slot
WHERE slot.task_run_id IN (SELECT anon_1.value
FROM json_each(?) AS anon_1)"""

ANCESTORS_BY_RUN = """WITH RECURSIVE chain("of", id, distance) AS
(SELECT anon_1.value AS "of", anon_1.value AS id, 0 AS distance
FROM json_each(?) AS anon_1 UNION SELECT chain."of" AS "of", task_run.id AS id, chain.distance + 1 AS anon_2
FROM chain JOIN task_run ON task_run.awaits = chain.id
WHERE task_run.state_type = 3 AND task_run.awaits != '' AND chain.distance < 16 UNION SELECT chain."of" AS "of", follower.task_run_id AS task_run_id, chain.distance + 1 AS anon_3
FROM chain JOIN slot AS computed ON computed.task_run_id = chain.id JOIN waiter AS follower ON follower.blocking_tag = computed.tag
WHERE substr(computed.tag, 1, 1) = '\x1f' AND follower.until IS NULL AND chain.distance < 16)
 SELECT chain."of", holder.id, holder.name, slot.tag
FROM chain JOIN task_run AS holder ON holder.id = chain.id JOIN slot ON slot.task_run_id = holder.id
WHERE chain.id != chain."of" GROUP BY chain."of", holder.id, slot.tag ORDER BY min(chain.distance), holder.id"""

SLOTS_TAKEN = """SELECT slot.tag, count(*) AS count_1
FROM slot
WHERE slot.tag IN (SELECT anon_1.value
FROM json_each(?) AS anon_1) GROUP BY slot.tag"""

LAST_PLACE = """SELECT max(waiter.place) AS max_1
FROM waiter"""

QUEUED_BLOCKERS = """SELECT DISTINCT waiter.blocking_tag
FROM waiter
WHERE waiter.blocking_tag IN (SELECT anon_1.value
FROM json_each(?) AS anon_1) AND waiter.until IS NULL"""

WAITERS_BY_ID = """SELECT waiter.place, waiter.proposal_id, waiter.task_run_id, waiter.session_id, waiter.owner, waiter.blocking_tag, waiter.since, waiter.passed, waiter.until, waiter.state_name, waiter.state_message, waiter.cache_key, waiter.cache_expiration, waiter.refresh_cache, waiter.single_flight
FROM waiter
WHERE waiter.proposal_id IN (SELECT anon_1.value
FROM json_each(?) AS anon_1)"""

WAITERS_BY_RUN = """SELECT waiter.place, waiter.proposal_id, waiter.task_run_id, waiter.session_id, waiter.owner, waiter.blocking_tag, waiter.since, waiter.passed, waiter.until, waiter.state_name, waiter.state_message, waiter.cache_key, waiter.cache_expiration, waiter.refresh_cache, waiter.single_flight
FROM waiter
WHERE waiter.task_run_id IN (SELECT anon_1.value
FROM json_each(?) AS anon_1) ORDER BY waiter.place"""

WAITERS_BY_BLOCKER = """SELECT waiter.place, waiter.proposal_id, waiter.task_run_id, waiter.session_id, waiter.owner, waiter.blocking_tag, waiter.since, waiter.passed, waiter.until, waiter.state_name, waiter.state_message, waiter.cache_key, waiter.cache_expiration, waiter.refresh_cache, waiter.single_flight
FROM waiter
WHERE waiter.blocking_tag = ? AND waiter.until IS NULL ORDER BY waiter.place
 LIMIT ? OFFSET ?"""

WAITING_KEYS = """SELECT DISTINCT waiter.cache_key
FROM waiter
WHERE waiter.cache_key IN (SELECT anon_1.value
FROM json_each(?) AS anon_1) AND waiter.cache_key != '' AND waiter.refresh_cache IS 0 AND waiter.until IS NULL"""

WAITERS_BY_KEY = """SELECT waiter.place, waiter.proposal_id, waiter.task_run_id, waiter.session_id, waiter.owner, waiter.blocking_tag, waiter.since, waiter.passed, waiter.until, waiter.state_name, waiter.state_message, waiter.cache_key, waiter.cache_expiration, waiter.refresh_cache, waiter.single_flight
FROM waiter
WHERE waiter.cache_key = ? AND waiter.cache_key != '' AND waiter.refresh_cache IS 0 AND waiter.until IS NULL ORDER BY waiter.place
 LIMIT ? OFFSET ?"""

WAITERS_COUNT = """SELECT count(*) AS count_1
FROM waiter
WHERE waiter.blocking_tag = ? AND waiter.until IS NULL"""

ELDERS_BY_TAG = """SELECT waiter.place, waiter.proposal_id, waiter.task_run_id, waiter.session_id, waiter.owner, waiter.blocking_tag, waiter.since, waiter.passed, waiter.until, waiter.state_name, waiter.state_message, waiter.cache_key, waiter.cache_expiration, waiter.refresh_cache, waiter.single_flight
FROM waiter_tag JOIN waiter ON waiter.place = waiter_tag.place
WHERE waiter_tag.tag = ? AND waiter.until IS NULL AND substr(waiter.blocking_tag, 1, 1) != '\x1f' ORDER BY waiter_tag.place
 LIMIT ? OFFSET ?"""

CACHE_BY_KEY = """SELECT cache_entry."key", state.id, state.type, state.name, state.timestamp, state.message, state.data, state.scheduled_time, state.cache_key, state.cache_expiration
FROM cache_entry JOIN state ON state.id = cache_entry.state_id
WHERE cache_entry."key" IN (SELECT anon_1.value
FROM json_each(?) AS anon_1) AND (cache_entry.expires IS NULL OR cache_entry.expires > ?)"""

SESSIONS_BY_ID = """SELECT session.id, session.client_name, session.expires
FROM session
WHERE session.id IN (SELECT anon_1.value
FROM json_each(?) AS anon_1) AND session.ended IS 0"""

DELIVERIES = """SELECT delivery.proposal_id
FROM delivery
WHERE delivery.owner = ?"""

INSERT_FLOW_RUN = """INSERT INTO flow_run (id, flow_name, name, flow_version, parameters, tags, max_attempts, retry_delays, retry_jitter_factor, parent_task_run_id, created, state_id, state_type, state_name, session_id, ordinal, run_count, expected_start_time, start_time, end_time, total_run_time, running_since, due) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"""

INSERT_TASK_RUN = """INSERT INTO task_run (id, flow_run_id, task_key, dynamic_key, task_name, name, task_version, tags, max_attempts, retry_delays, retry_jitter_factor, inputs, tracks_subflow, child_flow_run_id, created, state_id, state_type, state_name, session_id, ordinal, run_count, expected_start_time, start_time, end_time, total_run_time, running_since, due) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"""

INSERT_FLOW_RUN_TAG = """INSERT INTO flow_run_tag (tag, run_seq) SELECT given.column1, flow_run.seq FROM (VALUES (?, ?)) AS given JOIN flow_run ON flow_run.id = given.column2"""

INSERT_TASK_RUN_TAG = """INSERT INTO task_run_tag (tag, run_seq) SELECT given.column1, task_run.seq FROM (VALUES (?, ?)) AS given JOIN task_run ON task_run.id = given.column2"""

UPDATE_FLOW_RUN = """UPDATE flow_run SET state_id = given.column1, state_type = given.column2, state_name = given.column3, session_id = given.column4, ordinal = given.column5, run_count = given.column6, expected_start_time = given.column7, start_time = given.column8, end_time = given.column9, total_run_time = given.column10, running_since = given.column11, due = given.column12 FROM (VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)) AS given WHERE flow_run.id = given.column13"""

UPDATE_TASK_RUN = """UPDATE task_run SET state_id = given.column1, state_type = given.column2, state_name = given.column3, session_id = given.column4, ordinal = given.column5, run_count = given.column6, expected_start_time = given.column7, start_time = given.column8, end_time = given.column9, total_run_time = given.column10, running_since = given.column11, due = given.column12 FROM (VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)) AS given WHERE task_run.id = given.column13"""

INSERT_STATE = """INSERT INTO state (id, kind, run_id, ordinal, type, name, timestamp, message, data, scheduled_time, cache_key, cache_expiration, answer, answer_message) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"""

INSERT_ABORT = """INSERT INTO abort (proposal_id, kind, run_id, reason, message, state_id) VALUES (?, ?, ?, ?, ?, ?)"""

INSERT_SLOT = """INSERT INTO slot (tag, task_run_id, taken) VALUES (?, ?, ?)"""

DELETE_SLOT = """DELETE FROM slot WHERE (tag, task_run_id) IN (SELECT column1, column2 FROM (VALUES (?, ?)) AS given)"""

INSERT_WAITER = """INSERT INTO waiter (proposal_id, task_run_id, session_id, owner, blocking_tag, since, passed, until, state_name, state_message, cache_key, cache_expiration, refresh_cache, single_flight) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"""

DELETE_WAITER = """DELETE FROM waiter WHERE (proposal_id) IN (SELECT column1 FROM (VALUES (?)) AS given)"""

DELETE_WAITER_TAGS = """DELETE FROM waiter_tag WHERE (proposal_id) IN (SELECT column1 FROM (VALUES (?)) AS given)"""

INSERT_WAITER_TAG = """INSERT OR IGNORE INTO waiter_tag (tag, place, proposal_id) SELECT given.column1, waiter.place, waiter.proposal_id FROM (VALUES (?, ?)) AS given JOIN waiter ON waiter.proposal_id = given.column2"""

PASS_WAITER = """UPDATE waiter SET passed = given.column1 FROM (VALUES (?, ?)) AS given WHERE waiter.proposal_id = given.column2"""

MOVE_WAITER = """UPDATE waiter SET blocking_tag = given.column1 FROM (VALUES (?, ?)) AS given WHERE waiter.proposal_id = given.column2"""

REATTACH_WAITER = """UPDATE waiter SET session_id = given.column1, owner = given.column2, until = given.column3 FROM (VALUES (?, ?, ?, ?)) AS given WHERE waiter.proposal_id = given.column4"""

INSERT_DELIVERY = """INSERT INTO delivery (owner, proposal_id) VALUES (?, ?)"""

DELETE_DELIVERIES = """DELETE FROM delivery WHERE delivery.owner = ?"""

UPSERT_CACHE_ENTRY = """INSERT INTO cache_entry ("key", state_id, task_run_id, created, expires, size, result) VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT ("key") DO UPDATE SET state_id = excluded.state_id, task_run_id = excluded.task_run_id, created = excluded.created, expires = excluded.expires, size = excluded.size, hits = 0, last_hit = NULL, result = excluded.result"""

REFER_TO_RESULT = """INSERT INTO stored_result (name, location, state_id, size, cache_key, created, referred, keep) VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (name, location) DO UPDATE SET referred = max(stored_result.referred, excluded.referred), keep = max(stored_result.keep, excluded.keep)"""

HIT_CACHE_ENTRY = """UPDATE cache_entry SET hits = cache_entry.hits + given.column1, last_hit = given.column2 FROM (VALUES (?, ?, ?)) AS given WHERE cache_entry.key = given.column3"""

VERSION = """SELECT alembic_version.version_num
FROM alembic_version"""

INSERT_VERSION = """INSERT INTO alembic_version (version_num) VALUES (?)"""

TIMELINE = """SELECT timeline.name, timeline.anchor, timeline.latest
FROM timeline"""

DELETE_TIMELINE = """DELETE FROM timeline"""

INSERT_TIMELINE = """INSERT INTO timeline (name, anchor, latest) VALUES (?, ?, ?)"""

NOTE_STEADY = """UPDATE timeline SET latest=? WHERE timeline.latest < ?"""

TRACKS_SUBFLOW = """SELECT task_run.tracks_subflow
FROM task_run
WHERE task_run.id = ?"""

SET_CHILD = """UPDATE task_run SET child_flow_run_id = given.column1 FROM (VALUES (?, ?)) AS given WHERE task_run.id = given.column2"""

SET_AWAITS = """UPDATE task_run SET awaits = given.column1 FROM (VALUES (?, ?)) AS given WHERE task_run.id = given.column2"""

ENTANGLED = """WITH RECURSIVE descent(id, distance) AS
(SELECT anon_2.value AS id, 0 AS distance
FROM json_each(?) AS anon_2 UNION SELECT task_run.awaits AS awaits, descent.distance + 1 AS anon_3
FROM descent JOIN task_run ON task_run.id = descent.id
WHERE task_run.state_type = 3 AND task_run.awaits != '' AND descent.distance < 16),
waits AS
(SELECT DISTINCT waiter.task_run_id AS value
FROM descent JOIN waiter ON waiter.task_run_id = descent.id
WHERE waiter.until IS NULL),
chain("of", id, distance) AS
(SELECT waits.value AS "of", waits.value AS id, 0 AS distance
FROM waits UNION SELECT chain."of" AS "of", task_run.id AS id, chain.distance + 1 AS anon_4
FROM chain JOIN task_run ON task_run.awaits = chain.id
WHERE task_run.state_type = 3 AND task_run.awaits != '' AND chain.distance < 16 UNION SELECT chain."of" AS "of", follower.task_run_id AS task_run_id, chain.distance + 1 AS anon_5
FROM chain JOIN slot AS computed ON computed.task_run_id = chain.id JOIN waiter AS follower ON follower.blocking_tag = computed.tag
WHERE substr(computed.tag, 1, 1) = '\x1f' AND follower.until IS NULL AND chain.distance < 16)
 SELECT waiting.id, waiting.name, anon_1.id AS id_1, anon_1.name AS name_1, anon_1.tag
FROM (SELECT chain."of" AS "of", holder.id AS id, holder.name AS name, slot.tag AS tag
FROM chain JOIN task_run AS holder ON holder.id = chain.id JOIN slot ON slot.task_run_id = holder.id
WHERE chain.id != chain."of" GROUP BY chain."of", holder.id, slot.tag ORDER BY min(chain.distance), holder.id) AS anon_1 JOIN task_run AS waiting ON waiting.id = anon_1."of" JOIN task_run_tag ON task_run_tag.run_seq = waiting.seq AND task_run_tag.tag = anon_1.tag JOIN concurrency_limit ON concurrency_limit.tag = anon_1.tag
WHERE (SELECT count(*) AS count_1
FROM slot
WHERE slot.tag = anon_1.tag) >= concurrency_limit.slots"""

FOLLOWERS = """WITH RECURSIVE descent(id, distance) AS
(SELECT anon_1.value AS id, 0 AS distance
FROM json_each(?) AS anon_1 UNION SELECT task_run.awaits AS awaits, descent.distance + 1 AS anon_2
FROM descent JOIN task_run ON task_run.id = descent.id
WHERE task_run.state_type = 3 AND task_run.awaits != '' AND descent.distance < 16)
 SELECT waiter.task_run_id
FROM descent JOIN waiter ON waiter.task_run_id = descent.id
WHERE waiter.until IS NULL AND substr(waiter.blocking_tag, 1, 1) = '\x1f'"""

INSERT_LOG = """INSERT INTO log (flow_run_id, task_run_id, logger, level, message, timestamp) VALUES (?, ?, ?, ?, ?, ?)"""

DELETE_EXPIRED = """DELETE FROM cache_entry WHERE cache_entry."key" IN (SELECT cache_entry."key"
FROM cache_entry
WHERE cache_entry.expires IS NOT NULL AND cache_entry.expires <= ? ORDER BY cache_entry.expires
 LIMIT ? OFFSET 0)"""

INSERT_SESSION = """INSERT INTO session (id, client_name, language, version, opened, expires, process, ended) VALUES (?, ?, ?, ?, ?, ?, ?, ?)"""

OPEN_SESSIONS = """SELECT session.id, session.client_name, session.expires, session.lost, session.process
FROM session
WHERE session.ended IS 0"""

NEXT_EXPIRY = """SELECT min(session.expires) AS min_1
FROM session
WHERE session.ended IS 0"""

RENEW_SESSION = """UPDATE session SET expires = given.column1, lost = given.column2 FROM (VALUES (?, ?, ?)) AS given WHERE session.id = given.column3"""

REOPEN_SESSION = """UPDATE session SET expires = given.column1, ended = given.column2 FROM (VALUES (?, ?, ?)) AS given WHERE session.id = given.column3"""

SHORTEN_SESSION = """UPDATE session SET expires=?, lost=? WHERE session.id = ? AND session.expires > ?"""

EXTEND_SESSIONS = """UPDATE session SET expires=? WHERE session.ended IS 0 AND session.expires < ?"""

CUT_SESSIONS = """UPDATE session SET expires=? WHERE session.ended IS 0 AND session.expires > ?"""

END_SESSION = """UPDATE session SET ended = given.column1 FROM (VALUES (?, ?)) AS given WHERE session.id = given.column2"""

RUNNING_FLOW_RUNS = """SELECT flow_run.id, flow_run.session_id
FROM flow_run
WHERE flow_run.session_id IN (SELECT anon_1.value
FROM json_each(?) AS anon_1) AND flow_run.state_type = 3 ORDER BY flow_run.session_id, flow_run.seq"""

RUNNING_TASK_RUNS = """SELECT task_run.id, task_run.session_id
FROM task_run
WHERE task_run.session_id IN (SELECT anon_1.value
FROM json_each(?) AS anon_1) AND task_run.state_type = 3 ORDER BY task_run.session_id, task_run.seq"""

WAITED_BLOCKERS = """SELECT DISTINCT waiter.blocking_tag
FROM waiter
WHERE waiter.until IS NULL"""

LAPSED_WAITERS = """SELECT waiter.proposal_id
FROM waiter
WHERE waiter.until <= ?"""

WAITERS_OF_SESSIONS = """SELECT waiter.proposal_id
FROM waiter
WHERE waiter.session_id IN (SELECT anon_1.value
FROM json_each(?) AS anon_1) OR waiter.owner IN (SELECT anon_2.value
FROM json_each(?) AS anon_2) AND waiter.session_id = '' AND waiter.until IS NULL"""

WAITER_IDS = """SELECT waiter.proposal_id
FROM waiter
WHERE waiter.proposal_id IN (SELECT anon_1.value
FROM json_each(?) AS anon_1)"""

ELDER_TAGS = """SELECT DISTINCT waiter_tag.tag
FROM waiter_tag
WHERE waiter_tag.proposal_id IN (SELECT anon_1.value
FROM json_each(?) AS anon_1)"""

# Makes the schema in an empty file.
SCHEMA = (
    """CREATE TABLE abort (
    proposal_id VARCHAR(36) NOT NULL,
    kind VARCHAR(4) NOT NULL,
    run_id VARCHAR(36) NOT NULL,
    reason BIGINT NOT NULL,
    message TEXT NOT NULL,
    state_id VARCHAR(36) NOT NULL,
    CONSTRAINT pk_abort PRIMARY KEY (proposal_id)
)""",
    """CREATE TABLE cache_entry (
    "key" TEXT NOT NULL,
    state_id VARCHAR(36) NOT NULL,
    task_run_id VARCHAR(36) NOT NULL,
    created BIGINT NOT NULL,
    expires BIGINT,
    size BIGINT NOT NULL,
    hits BIGINT DEFAULT 0 NOT NULL,
    last_hit BIGINT,
    result TEXT DEFAULT '' NOT NULL,
    CONSTRAINT pk_cache_entry PRIMARY KEY ("key")
)""",
    """CREATE INDEX ix_cache_entry_created ON cache_entry (created, "key")""",
    """CREATE INDEX ix_cache_entry_expires ON cache_entry (expires) WHERE expires IS NOT NULL""",
    """CREATE INDEX ix_cache_entry_result ON cache_entry (result) WHERE result != ''""",
    """CREATE TABLE concurrency_limit (
    tag TEXT NOT NULL,
    id VARCHAR(36) NOT NULL,
    slots BIGINT NOT NULL,
    created BIGINT NOT NULL,
    updated BIGINT NOT NULL,
    CONSTRAINT pk_concurrency_limit PRIMARY KEY (tag),
    CONSTRAINT uq_concurrency_limit_id UNIQUE (id)
)""",
    """CREATE TABLE delivery (
    owner VARCHAR(36) NOT NULL,
    proposal_id VARCHAR(36) NOT NULL,
    CONSTRAINT pk_delivery PRIMARY KEY (owner, proposal_id)
)
 WITHOUT ROWID""",
    """CREATE TABLE flow_run (
    seq INTEGER NOT NULL,
    id VARCHAR(36) NOT NULL,
    flow_name TEXT NOT NULL,
    name TEXT NOT NULL,
    flow_version TEXT NOT NULL,
    parameters TEXT NOT NULL,
    tags TEXT NOT NULL,
    max_attempts BIGINT NOT NULL,
    retry_delays TEXT NOT NULL,
    retry_jitter_factor FLOAT DEFAULT 0 NOT NULL,
    parent_task_run_id VARCHAR(36) NOT NULL,
    created BIGINT NOT NULL,
    state_id VARCHAR(36) NOT NULL,
    state_type BIGINT NOT NULL,
    state_name TEXT NOT NULL,
    session_id VARCHAR(36) NOT NULL,
    ordinal BIGINT NOT NULL,
    run_count BIGINT NOT NULL,
    expected_start_time BIGINT,
    start_time BIGINT,
    end_time BIGINT,
    total_run_time BIGINT NOT NULL,
    running_since BIGINT,
    due BIGINT,
    CONSTRAINT pk_flow_run PRIMARY KEY (seq),
    CONSTRAINT uq_flow_run_id UNIQUE (id)
)""",
    """CREATE INDEX ix_flow_run_flow_name ON flow_run (flow_name)""",
    """CREATE INDEX ix_flow_run_not_completed ON flow_run (seq, state_type) WHERE state_type != 4""",
    """CREATE INDEX ix_flow_run_running ON flow_run (session_id) WHERE state_type = 3""",
    """CREATE TABLE flow_run_tag (
    tag TEXT NOT NULL,
    run_seq INTEGER NOT NULL,
    CONSTRAINT pk_flow_run_tag PRIMARY KEY (tag, run_seq)
)
 WITHOUT ROWID""",
    """CREATE TABLE log (
    id INTEGER NOT NULL,
    flow_run_id VARCHAR(36) NOT NULL,
    task_run_id VARCHAR(36) NOT NULL,
    logger TEXT NOT NULL,
    level BIGINT NOT NULL,
    message TEXT NOT NULL,
    timestamp BIGINT NOT NULL,
    CONSTRAINT pk_log PRIMARY KEY (id)
)""",
    """CREATE INDEX ix_log_flow_run_id ON log (flow_run_id, id)""",
    """CREATE INDEX ix_log_task_run_id ON log (task_run_id, id) WHERE task_run_id != ''""",
    """CREATE TABLE session (
    id VARCHAR(36) NOT NULL,
    client_name TEXT NOT NULL,
    language TEXT NOT NULL,
    version TEXT NOT NULL,
    opened BIGINT NOT NULL,
    expires BIGINT NOT NULL,
    lost BIGINT,
    process TEXT NOT NULL,
    ended BOOLEAN DEFAULT 0 NOT NULL,
    CONSTRAINT pk_session PRIMARY KEY (id)
)""",
    """CREATE INDEX ix_session_expires ON session (ended, expires)""",
    """CREATE TABLE slot (
    tag TEXT NOT NULL,
    task_run_id VARCHAR(36) NOT NULL,
    taken BIGINT NOT NULL,
    CONSTRAINT pk_slot PRIMARY KEY (tag, task_run_id)
)
 WITHOUT ROWID""",
    """CREATE INDEX ix_slot_task_run_id ON slot (task_run_id)""",
    """CREATE TABLE state (
    id VARCHAR(36) NOT NULL,
    kind VARCHAR(4) NOT NULL,
    run_id VARCHAR(36) NOT NULL,
    ordinal BIGINT NOT NULL,
    type BIGINT NOT NULL,
    name TEXT NOT NULL,
    timestamp BIGINT NOT NULL,
    message TEXT NOT NULL,
    data BLOB,
    scheduled_time BIGINT,
    cache_key TEXT NOT NULL,
    cache_expiration BIGINT,
    answer BIGINT NOT NULL,
    answer_message TEXT NOT NULL,
    CONSTRAINT pk_state PRIMARY KEY (id)
)
 WITHOUT ROWID""",
    """CREATE INDEX ix_state_run_id ON state (run_id, ordinal)""",
    """CREATE TABLE stored_result (
    name TEXT NOT NULL,
    location TEXT NOT NULL,
    state_id VARCHAR(36) NOT NULL,
    size BIGINT NOT NULL,
    cache_key TEXT NOT NULL,
    created BIGINT NOT NULL,
    referred BIGINT NOT NULL,
    keep BIGINT NOT NULL,
    CONSTRAINT pk_stored_result PRIMARY KEY (name, location)
)
 WITHOUT ROWID""",
    """CREATE INDEX ix_stored_result_created ON stored_result (created, state_id) WHERE keep < 2""",
    """CREATE INDEX ix_stored_result_keep ON stored_result (name, keep)""",
    """CREATE INDEX ix_stored_result_referred ON stored_result (name, referred)""",
    """CREATE INDEX ix_stored_result_state_id ON stored_result (state_id)""",
    """CREATE TABLE task_run (
    seq INTEGER NOT NULL,
    id VARCHAR(36) NOT NULL,
    flow_run_id VARCHAR(36) NOT NULL,
    task_key TEXT NOT NULL,
    dynamic_key TEXT NOT NULL,
    task_name TEXT DEFAULT '' NOT NULL,
    name TEXT NOT NULL,
    task_version TEXT NOT NULL,
    tags TEXT NOT NULL,
    max_attempts BIGINT NOT NULL,
    retry_delays TEXT NOT NULL,
    retry_jitter_factor FLOAT DEFAULT 0 NOT NULL,
    inputs TEXT NOT NULL,
    tracks_subflow BOOLEAN NOT NULL,
    child_flow_run_id VARCHAR(36) NOT NULL,
    created BIGINT NOT NULL,
    awaits VARCHAR(36) DEFAULT '' NOT NULL,
    state_id VARCHAR(36) NOT NULL,
    state_type BIGINT NOT NULL,
    state_name TEXT NOT NULL,
    session_id VARCHAR(36) NOT NULL,
    ordinal BIGINT NOT NULL,
    run_count BIGINT NOT NULL,
    expected_start_time BIGINT,
    start_time BIGINT,
    end_time BIGINT,
    total_run_time BIGINT NOT NULL,
    running_since BIGINT,
    due BIGINT,
    CONSTRAINT pk_task_run PRIMARY KEY (seq),
    CONSTRAINT uq_task_run_flow_run_id_task_key_dynamic_key UNIQUE (flow_run_id, task_key, dynamic_key),
    CONSTRAINT uq_task_run_id UNIQUE (id)
)""",
    """CREATE INDEX ix_task_run_awaits ON task_run (awaits) WHERE awaits != ''""",
    """CREATE INDEX ix_task_run_not_completed ON task_run (seq, state_type) WHERE state_type != 4""",
    """CREATE INDEX ix_task_run_running ON task_run (session_id) WHERE state_type = 3""",
    """CREATE INDEX ix_task_run_task_key ON task_run (task_key)""",
    """CREATE INDEX ix_task_run_task_name ON task_run (task_name)""",
    """CREATE TABLE task_run_tag (
    tag TEXT NOT NULL,
    run_seq INTEGER NOT NULL,
    CONSTRAINT pk_task_run_tag PRIMARY KEY (tag, run_seq)
)
 WITHOUT ROWID""",
    """CREATE TABLE timeline (
    name TEXT NOT NULL,
    anchor BIGINT NOT NULL,
    latest BIGINT NOT NULL,
    CONSTRAINT pk_timeline PRIMARY KEY (name)
)
 WITHOUT ROWID""",
    """CREATE TABLE waiter (
    place INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    proposal_id VARCHAR(36) NOT NULL,
    task_run_id VARCHAR(36) NOT NULL,
    session_id VARCHAR(36) NOT NULL,
    owner VARCHAR(36) NOT NULL,
    blocking_tag TEXT NOT NULL,
    since BIGINT NOT NULL,
    passed BIGINT NOT NULL,
    until BIGINT,
    state_name TEXT NOT NULL,
    state_message TEXT NOT NULL,
    cache_key TEXT NOT NULL,
    cache_expiration BIGINT,
    refresh_cache BOOLEAN NOT NULL,
    single_flight BOOLEAN NOT NULL,
    CONSTRAINT uq_waiter_proposal_id UNIQUE (proposal_id)
)""",
    """CREATE INDEX ix_waiter_blocking_tag ON waiter (blocking_tag, place) WHERE until IS NULL""",
    """CREATE INDEX ix_waiter_cache_key ON waiter (cache_key, place) WHERE cache_key != ''""",
    """CREATE INDEX ix_waiter_session_id ON waiter (session_id)""",
    """CREATE INDEX ix_waiter_task_run_id ON waiter (task_run_id)""",
    """CREATE INDEX ix_waiter_until ON waiter (until) WHERE until IS NOT NULL""",
    """CREATE TABLE waiter_tag (
    tag TEXT NOT NULL,
    place INTEGER NOT NULL,
    proposal_id VARCHAR(36) NOT NULL,
    CONSTRAINT pk_waiter_tag PRIMARY KEY (tag, place)
)
 WITHOUT ROWID""",
    """CREATE INDEX ix_waiter_tag_proposal_id ON waiter_tag (proposal_id)""",
    """CREATE TABLE alembic_version (
    version_num VARCHAR(32) NOT NULL,
    CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num)
)""",
)
