"""Checkers of requests, written from the rules in ``protos/`` by ``make statements``.

A checker raises InvalidArgumentError for the first field that breaks a rule. ``path`` is put before the names
of the message's fields. One that reads returns the fields, in the order in which the protos have them: with
None for a message that is not set, ids in their canonical form, and a oneof as the name and the value of what
is set.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from clearway_service.api import consistency
from clearway_service.api.field_checks import (
    JSON_OBJECT,
    KEY,
    SHA256,
    TAG,
    UUID,
    canonical_uuid,
    check_duration,
    check_timestamp,
    invalid,
    is_canonical_uuid,
    is_json_object,
    is_sha256,
    is_tag,
    missing,
    too_large,
    too_long,
    too_many,
)

_STATE_TYPE = frozenset({1, 2, 3, 4, 5, 6, 7})
_STATE_TYPE_RIGHT = (
    "one of "
    "STATE_TYPE_SCHEDULED, "
    "STATE_TYPE_PENDING, "
    "STATE_TYPE_RUNNING, "
    "STATE_TYPE_COMPLETED, "
    "STATE_TYPE_FAILED, "
    "STATE_TYPE_CANCELLED, "
    "STATE_TYPE_CRASHED"
)


def check_hello(sent: Any, path: str) -> None:
    client_name = sent.client_name
    if len(client_name) > 255:
        raise too_long(f"{path}client_name", client_name, 255)
    language = sent.language
    if len(language) > 64:
        raise too_long(f"{path}language", language, 64)
    version = sent.version
    if len(version) > 64:
        raise too_long(f"{path}version", version, 64)
    resume_session_id = sent.resume_session_id
    if resume_session_id and is_canonical_uuid(resume_session_id) is None:
        resume_session_id = canonical_uuid(resume_session_id, f"{path}resume_session_id")


def check_run_error(sent: Any, path: str) -> None:
    type = sent.type
    if not type:
        raise missing(f"{path}type", "1 to 255 characters")
    if len(type) > 255:
        raise too_long(f"{path}type", type, 255)
    message = sent.message
    if len(message) > 4096:
        raise too_long(f"{path}message", message, 4096)
    stack_trace = sent.stack_trace
    if len(stack_trace) > 16384:
        raise too_long(f"{path}stack_trace", stack_trace, 16384)
    cause = sent.cause if sent.HasField("cause") else None
    if cause is not None:
        check_run_error(cause, f"{path}cause.")
    members = sent.members
    if members:
        if len(members) > 16:
            raise too_many(f"{path}members", len(members), 16)
        for index, item in enumerate(members):
            check_run_error(item, f"{path}members[{index}].")


def check_data(sent: Any, path: str) -> None:
    encoding = sent.encoding
    if len(encoding) > 64:
        raise too_long(f"{path}encoding", encoding, 64)
    location = ""
    match body := sent.WhichOneof("body"):
        case "inline":
            inline = sent.inline
            if len(inline) > 65536:
                raise too_large(f"{path}inline", len(inline), 65536)
        case "location":
            location = sent.location
            if not location:
                raise missing(f"{path}location", "1 to 2048 characters")
            if len(location) > 2048:
                raise too_long(f"{path}location", location, 2048)
    size_bytes = sent.size_bytes
    if not 0 <= size_bytes:
        raise invalid(f"{path}size_bytes", size_bytes, "0 or more")
    sha256 = sent.sha256
    if sha256 and is_sha256(sha256) is None:
        raise invalid(f"{path}sha256", sha256, SHA256)
    error = sent.error if sent.HasField("error") else None
    if error is not None:
        if (size := error.ByteSize()) > 65536:
            raise too_large(f"{path}error", size, 65536)
        check_run_error(error, f"{path}error.")
    compression = sent.compression
    if len(compression) > 64:
        raise too_long(f"{path}compression", compression, 64)
    signature = sent.signature
    if signature and is_sha256(signature) is None:
        raise invalid(f"{path}signature", signature, SHA256)
    consistency.check_data(path, encoding, body, location, sha256, error)


def read_proposed_state(sent: Any, path: str) -> tuple[Any, ...]:
    type = sent.type
    if type not in _STATE_TYPE:
        if not type:
            raise missing(f"{path}type", _STATE_TYPE_RIGHT)
        raise invalid(f"{path}type", type, _STATE_TYPE_RIGHT)
    name = sent.name
    if len(name) > 255:
        raise too_long(f"{path}name", name, 255)
    message = sent.message
    if len(message) > 16384:
        raise too_long(f"{path}message", message, 16384)
    data = sent.data if sent.HasField("data") else None
    if data is not None:
        check_data(data, f"{path}data.")
    scheduled_time = sent.scheduled_time if sent.HasField("scheduled_time") else None
    if scheduled_time is not None:
        check_timestamp(scheduled_time, f"{path}scheduled_time")
    cache_key = sent.cache_key
    if len(cache_key) > 1024:
        raise too_long(f"{path}cache_key", cache_key, 1024)
    if "\0" in cache_key:
        raise invalid(f"{path}cache_key", cache_key, KEY)
    cache_expiration = sent.cache_expiration if sent.HasField("cache_expiration") else None
    if cache_expiration is not None:
        check_duration(cache_expiration, f"{path}cache_expiration", most=315360000, above=0)
    refresh_cache = sent.refresh_cache
    cache_single_flight = sent.cache_single_flight
    no_retry = sent.no_retry
    consistency.check_proposed_state(
        path,
        type,
        scheduled_time,
        cache_key,
        cache_expiration,
        refresh_cache,
        cache_single_flight,
        no_retry,
    )
    return (
        type,
        name,
        message,
        data,
        scheduled_time,
        cache_key,
        cache_expiration,
        refresh_cache,
        cache_single_flight,
        no_retry,
    )


def check_retry_policy(sent: Any, path: str) -> None:
    max_attempts = sent.max_attempts
    if not 0 <= max_attempts <= 10001:
        raise invalid(f"{path}max_attempts", max_attempts, "from 0 to 10001")
    delays = sent.delays
    if delays:
        if len(delays) > 50:
            raise too_many(f"{path}delays", len(delays), 50)
        for index, item in enumerate(delays):
            check_duration(item, f"{path}delays[{index}]", most=315360000)
    jitter_factor = sent.jitter_factor
    if not 0 <= jitter_factor <= 100:
        raise invalid(f"{path}jitter_factor", jitter_factor, "from 0 to 100")


def read_task_input(sent: Any, path: str) -> tuple[Any, ...]:
    parameter = sent.parameter
    if not parameter:
        raise missing(f"{path}parameter", "1 to 255 characters")
    if len(parameter) > 255:
        raise too_long(f"{path}parameter", parameter, 255)
    task_run_ids = sent.task_run_ids
    if task_run_ids:
        task_run_ids = list(task_run_ids)
        for index, item in enumerate(task_run_ids):
            if is_canonical_uuid(item) is None:
                task_run_ids[index] = canonical_uuid(item, f"{path}task_run_ids[{index}]")
    return (parameter, task_run_ids)


def read_task_run_spec(sent: Any, path: str) -> tuple[Any, ...]:
    id = sent.id
    if id and is_canonical_uuid(id) is None:
        id = canonical_uuid(id, f"{path}id")
    flow_run_id = sent.flow_run_id
    if not flow_run_id:
        raise missing(f"{path}flow_run_id", UUID)
    if is_canonical_uuid(flow_run_id) is None:
        flow_run_id = canonical_uuid(flow_run_id, f"{path}flow_run_id")
    task_key = sent.task_key
    if not task_key:
        raise missing(f"{path}task_key", "1 to 255 characters")
    if len(task_key) > 255:
        raise too_long(f"{path}task_key", task_key, 255)
    if "\0" in task_key:
        raise invalid(f"{path}task_key", task_key, KEY)
    dynamic_key = sent.dynamic_key
    if not dynamic_key:
        raise missing(f"{path}dynamic_key", "1 to 255 characters")
    if len(dynamic_key) > 255:
        raise too_long(f"{path}dynamic_key", dynamic_key, 255)
    if "\0" in dynamic_key:
        raise invalid(f"{path}dynamic_key", dynamic_key, KEY)
    task_name = sent.task_name
    if len(task_name) > 255:
        raise too_long(f"{path}task_name", task_name, 255)
    name = sent.name
    if len(name) > 255:
        raise too_long(f"{path}name", name, 255)
    task_version = sent.task_version
    if len(task_version) > 255:
        raise too_long(f"{path}task_version", task_version, 255)
    tags = sent.tags
    if tags:
        if len(tags) > 64 and len(set(tags)) > 64:
            raise too_many(f"{path}tags", len(set(tags)), 64)
        for index, item in enumerate(tags):
            if len(item) > 255:
                raise too_long(f"{path}tags[{index}]", item, 255)
            if not is_tag(item):
                raise invalid(f"{path}tags[{index}]", item, TAG)
    retry_policy = sent.retry_policy if sent.HasField("retry_policy") else None
    if retry_policy is not None:
        check_retry_policy(retry_policy, f"{path}retry_policy.")
    inputs = sent.inputs
    if inputs:
        if len(inputs) > 1000:
            raise too_many(f"{path}inputs", len(inputs), 1000)
        consistency.check_task_run_spec_inputs(f"{path}inputs", inputs)
    tracks_subflow = sent.tracks_subflow
    return (
        id,
        flow_run_id,
        task_key,
        dynamic_key,
        task_name,
        name,
        task_version,
        tags,
        retry_policy,
        inputs,
        tracks_subflow,
    )


def read_proposal(sent: Any, path: str) -> tuple[Any, ...]:
    id = sent.id
    if not id:
        raise missing(f"{path}id", UUID)
    if is_canonical_uuid(id) is None:
        id = canonical_uuid(id, f"{path}id")
    run_value = ""
    match run := sent.WhichOneof("run"):
        case "flow_run_id":
            flow_run_id = sent.flow_run_id
            if not flow_run_id:
                raise missing(f"{path}flow_run_id", UUID)
            if is_canonical_uuid(flow_run_id) is None:
                flow_run_id = canonical_uuid(flow_run_id, f"{path}flow_run_id")
            run_value = flow_run_id
        case "task_run_id":
            task_run_id = sent.task_run_id
            if not task_run_id:
                raise missing(f"{path}task_run_id", UUID)
            if is_canonical_uuid(task_run_id) is None:
                task_run_id = canonical_uuid(task_run_id, f"{path}task_run_id")
            run_value = task_run_id
    state = sent.state if sent.HasField("state") else None
    if state is None:
        raise missing(f"{path}state", "a ProposedState")
    create_task_run = sent.create_task_run if sent.HasField("create_task_run") else None
    consistency.check_proposal(path, run, create_task_run)
    return (id, run, run_value, state, create_task_run)


def read_await(sent: Any, path: str) -> tuple[Any, ...]:
    task_run_id = sent.task_run_id
    if not task_run_id:
        raise missing(f"{path}task_run_id", UUID)
    if is_canonical_uuid(task_run_id) is None:
        task_run_id = canonical_uuid(task_run_id, f"{path}task_run_id")
    awaited_task_run_id = sent.awaited_task_run_id
    if awaited_task_run_id and is_canonical_uuid(awaited_task_run_id) is None:
        awaited_task_run_id = canonical_uuid(awaited_task_run_id, f"{path}awaited_task_run_id")
    return (task_run_id, awaited_task_run_id)


def read_propose_request(sent: Any, path: str) -> tuple[Any, ...]:
    hello = sent.hello if sent.HasField("hello") else None
    if hello is not None:
        check_hello(hello, f"{path}hello.")
    proposals = sent.proposals
    withdrawals = sent.withdrawals
    if withdrawals:
        if len(withdrawals) > 4096:
            raise too_many(f"{path}withdrawals", len(withdrawals), 4096)
        withdrawals = list(withdrawals)
        for index, item in enumerate(withdrawals):
            if is_canonical_uuid(item) is None:
                withdrawals[index] = canonical_uuid(item, f"{path}withdrawals[{index}]")
    goodbye = sent.goodbye
    ping = sent.ping
    awaits = sent.awaits
    if awaits:
        if len(awaits) > 4096:
            raise too_many(f"{path}awaits", len(awaits), 4096)
    return (hello, proposals, withdrawals, goodbye, ping, awaits)


def check_set_flow_run_state_request(sent: Any, path: str) -> None:
    proposal_id = sent.proposal_id
    if proposal_id and is_canonical_uuid(proposal_id) is None:
        proposal_id = canonical_uuid(proposal_id, f"{path}proposal_id")
    flow_run_id = sent.flow_run_id
    if not flow_run_id:
        raise missing(f"{path}flow_run_id", UUID)
    if is_canonical_uuid(flow_run_id) is None:
        flow_run_id = canonical_uuid(flow_run_id, f"{path}flow_run_id")
    state = sent.state if sent.HasField("state") else None
    if state is None:
        raise missing(f"{path}state", "a ProposedState")
    session_id = sent.session_id
    if session_id and is_canonical_uuid(session_id) is None:
        session_id = canonical_uuid(session_id, f"{path}session_id")


def check_set_task_run_state_request(sent: Any, path: str) -> None:
    proposal_id = sent.proposal_id
    if proposal_id and is_canonical_uuid(proposal_id) is None:
        proposal_id = canonical_uuid(proposal_id, f"{path}proposal_id")
    task_run_id = sent.task_run_id
    if not task_run_id:
        raise missing(f"{path}task_run_id", UUID)
    if is_canonical_uuid(task_run_id) is None:
        task_run_id = canonical_uuid(task_run_id, f"{path}task_run_id")
    state = sent.state if sent.HasField("state") else None
    if state is None:
        raise missing(f"{path}state", "a ProposedState")
    session_id = sent.session_id
    if session_id and is_canonical_uuid(session_id) is None:
        session_id = canonical_uuid(session_id, f"{path}session_id")
    wait_timeout = sent.wait_timeout if sent.HasField("wait_timeout") else None
    if wait_timeout is not None:
        check_duration(wait_timeout, f"{path}wait_timeout")


def read_flow_run_spec(sent: Any, path: str) -> tuple[Any, ...]:
    id = sent.id
    if id and is_canonical_uuid(id) is None:
        id = canonical_uuid(id, f"{path}id")
    flow_name = sent.flow_name
    if not flow_name:
        raise missing(f"{path}flow_name", "1 to 255 characters")
    if len(flow_name) > 255:
        raise too_long(f"{path}flow_name", flow_name, 255)
    name = sent.name
    if len(name) > 255:
        raise too_long(f"{path}name", name, 255)
    flow_version = sent.flow_version
    if len(flow_version) > 255:
        raise too_long(f"{path}flow_version", flow_version, 255)
    parameters_json = sent.parameters_json
    if parameters_json and (size := len(parameters_json.encode())) > 524288:
        raise too_large(f"{path}parameters_json", size, 524288)
    if parameters_json and not is_json_object(parameters_json):
        raise invalid(f"{path}parameters_json", parameters_json, JSON_OBJECT)
    tags = sent.tags
    if tags:
        if len(tags) > 64 and len(set(tags)) > 64:
            raise too_many(f"{path}tags", len(set(tags)), 64)
        for index, item in enumerate(tags):
            if len(item) > 255:
                raise too_long(f"{path}tags[{index}]", item, 255)
            if not is_tag(item):
                raise invalid(f"{path}tags[{index}]", item, TAG)
    retry_policy = sent.retry_policy if sent.HasField("retry_policy") else None
    if retry_policy is not None:
        check_retry_policy(retry_policy, f"{path}retry_policy.")
    parent_task_run_id = sent.parent_task_run_id
    if parent_task_run_id and is_canonical_uuid(parent_task_run_id) is None:
        parent_task_run_id = canonical_uuid(parent_task_run_id, f"{path}parent_task_run_id")
    return (id, flow_name, name, flow_version, parameters_json, tags, retry_policy, parent_task_run_id)


def check_create_flow_run_request(sent: Any, path: str) -> None:
    flow_run = sent.flow_run if sent.HasField("flow_run") else None
    if flow_run is None:
        raise missing(f"{path}flow_run", "a FlowRunSpec")


def check_get_flow_run_request(sent: Any, path: str) -> None:
    id = sent.id
    if not id:
        raise missing(f"{path}id", UUID)
    if is_canonical_uuid(id) is None:
        id = canonical_uuid(id, f"{path}id")


def check_flow_run_filter(sent: Any, path: str) -> None:
    flow_names = sent.flow_names
    if flow_names:
        if len(flow_names) > 100:
            raise too_many(f"{path}flow_names", len(flow_names), 100)
        for index, item in enumerate(flow_names):
            if len(item) > 255:
                raise too_long(f"{path}flow_names[{index}]", item, 255)
    name_contains = sent.name_contains
    if len(name_contains) > 255:
        raise too_long(f"{path}name_contains", name_contains, 255)
    tags = sent.tags
    if tags:
        if len(tags) > 64 and len(set(tags)) > 64:
            raise too_many(f"{path}tags", len(set(tags)), 64)
        for index, item in enumerate(tags):
            if len(item) > 255:
                raise too_long(f"{path}tags[{index}]", item, 255)
            if not is_tag(item):
                raise invalid(f"{path}tags[{index}]", item, TAG)
    state_types = sent.state_types
    if state_types:
        if len(state_types) > 100:
            raise too_many(f"{path}state_types", len(state_types), 100)
        for index, item in enumerate(state_types):
            if item not in _STATE_TYPE:
                raise invalid(f"{path}state_types[{index}]", item, _STATE_TYPE_RIGHT)
    state_names = sent.state_names
    if state_names:
        if len(state_names) > 100:
            raise too_many(f"{path}state_names", len(state_names), 100)
        for index, item in enumerate(state_names):
            if len(item) > 255:
                raise too_long(f"{path}state_names[{index}]", item, 255)
    created_after = sent.created_after if sent.HasField("created_after") else None
    if created_after is not None:
        check_timestamp(created_after, f"{path}created_after")
    created_before = sent.created_before if sent.HasField("created_before") else None
    if created_before is not None:
        check_timestamp(created_before, f"{path}created_before")


def check_list_flow_runs_request(sent: Any, path: str) -> None:
    filter = sent.filter if sent.HasField("filter") else None
    if filter is not None:
        check_flow_run_filter(filter, f"{path}filter.")
    page_size = sent.page_size
    if not 0 <= page_size <= 1000:
        raise invalid(f"{path}page_size", page_size, "from 0 to 1000")


def check_list_flow_run_states_request(sent: Any, path: str) -> None:
    flow_run_id = sent.flow_run_id
    if not flow_run_id:
        raise missing(f"{path}flow_run_id", UUID)
    if is_canonical_uuid(flow_run_id) is None:
        flow_run_id = canonical_uuid(flow_run_id, f"{path}flow_run_id")
    page_size = sent.page_size
    if not 0 <= page_size <= 1000:
        raise invalid(f"{path}page_size", page_size, "from 0 to 1000")


def check_create_task_run_request(sent: Any, path: str) -> None:
    task_run = sent.task_run if sent.HasField("task_run") else None
    if task_run is None:
        raise missing(f"{path}task_run", "a TaskRunSpec")


def check_get_task_run_request(sent: Any, path: str) -> None:
    id = sent.id
    if not id:
        raise missing(f"{path}id", UUID)
    if is_canonical_uuid(id) is None:
        id = canonical_uuid(id, f"{path}id")


def check_task_run_filter(sent: Any, path: str) -> None:
    flow_run_id = sent.flow_run_id
    if flow_run_id and is_canonical_uuid(flow_run_id) is None:
        flow_run_id = canonical_uuid(flow_run_id, f"{path}flow_run_id")
    task_keys = sent.task_keys
    if task_keys:
        if len(task_keys) > 100:
            raise too_many(f"{path}task_keys", len(task_keys), 100)
        for index, item in enumerate(task_keys):
            if len(item) > 255:
                raise too_long(f"{path}task_keys[{index}]", item, 255)
    task_names = sent.task_names
    if task_names:
        if len(task_names) > 100:
            raise too_many(f"{path}task_names", len(task_names), 100)
        for index, item in enumerate(task_names):
            if len(item) > 255:
                raise too_long(f"{path}task_names[{index}]", item, 255)
    name_contains = sent.name_contains
    if len(name_contains) > 255:
        raise too_long(f"{path}name_contains", name_contains, 255)
    tags = sent.tags
    if tags:
        if len(tags) > 64 and len(set(tags)) > 64:
            raise too_many(f"{path}tags", len(set(tags)), 64)
        for index, item in enumerate(tags):
            if len(item) > 255:
                raise too_long(f"{path}tags[{index}]", item, 255)
            if not is_tag(item):
                raise invalid(f"{path}tags[{index}]", item, TAG)
    state_types = sent.state_types
    if state_types:
        if len(state_types) > 100:
            raise too_many(f"{path}state_types", len(state_types), 100)
        for index, item in enumerate(state_types):
            if item not in _STATE_TYPE:
                raise invalid(f"{path}state_types[{index}]", item, _STATE_TYPE_RIGHT)
    state_names = sent.state_names
    if state_names:
        if len(state_names) > 100:
            raise too_many(f"{path}state_names", len(state_names), 100)
        for index, item in enumerate(state_names):
            if len(item) > 255:
                raise too_long(f"{path}state_names[{index}]", item, 255)
    created_after = sent.created_after if sent.HasField("created_after") else None
    if created_after is not None:
        check_timestamp(created_after, f"{path}created_after")
    created_before = sent.created_before if sent.HasField("created_before") else None
    if created_before is not None:
        check_timestamp(created_before, f"{path}created_before")


def check_list_task_runs_request(sent: Any, path: str) -> None:
    filter = sent.filter if sent.HasField("filter") else None
    if filter is not None:
        check_task_run_filter(filter, f"{path}filter.")
    page_size = sent.page_size
    if not 0 <= page_size <= 1000:
        raise invalid(f"{path}page_size", page_size, "from 0 to 1000")


def check_list_task_run_states_request(sent: Any, path: str) -> None:
    task_run_id = sent.task_run_id
    if not task_run_id:
        raise missing(f"{path}task_run_id", UUID)
    if is_canonical_uuid(task_run_id) is None:
        task_run_id = canonical_uuid(task_run_id, f"{path}task_run_id")
    page_size = sent.page_size
    if not 0 <= page_size <= 1000:
        raise invalid(f"{path}page_size", page_size, "from 0 to 1000")


def check_explain_task_run_request(sent: Any, path: str) -> None:
    id = sent.id
    if not id:
        raise missing(f"{path}id", UUID)
    if is_canonical_uuid(id) is None:
        id = canonical_uuid(id, f"{path}id")


def check_set_concurrency_limit_request(sent: Any, path: str) -> None:
    tag = sent.tag
    if not tag:
        raise missing(f"{path}tag", "1 to 255 characters")
    if len(tag) > 255:
        raise too_long(f"{path}tag", tag, 255)
    if not is_tag(tag):
        raise invalid(f"{path}tag", tag, TAG)
    limit = sent.limit
    if not sent.HasField("limit"):
        raise missing(f"{path}limit", "from 0 to 1000000")
    if not 0 <= limit <= 1000000:
        raise invalid(f"{path}limit", limit, "from 0 to 1000000")


def check_get_concurrency_limit_request(sent: Any, path: str) -> None:
    match key := sent.WhichOneof("key"):
        case "tag":
            tag = sent.tag
            if not tag:
                raise missing(f"{path}tag", "1 to 255 characters")
            if len(tag) > 255:
                raise too_long(f"{path}tag", tag, 255)
            if not is_tag(tag):
                raise invalid(f"{path}tag", tag, TAG)
        case "id":
            id = sent.id
            if not id:
                raise missing(f"{path}id", UUID)
            if is_canonical_uuid(id) is None:
                id = canonical_uuid(id, f"{path}id")
    consistency.check_get_concurrency_limit_request(path, key)


def check_list_concurrency_limits_request(sent: Any, path: str) -> None:
    page_size = sent.page_size
    if not 0 <= page_size <= 1000:
        raise invalid(f"{path}page_size", page_size, "from 0 to 1000")


def check_delete_concurrency_limit_request(sent: Any, path: str) -> None:
    tag = sent.tag
    if not tag:
        raise missing(f"{path}tag", "1 to 255 characters")
    if len(tag) > 255:
        raise too_long(f"{path}tag", tag, 255)
    if not is_tag(tag):
        raise invalid(f"{path}tag", tag, TAG)


def check_reset_concurrency_limit_request(sent: Any, path: str) -> None:
    tag = sent.tag
    if not tag:
        raise missing(f"{path}tag", "1 to 255 characters")
    if len(tag) > 255:
        raise too_long(f"{path}tag", tag, 255)
    if not is_tag(tag):
        raise invalid(f"{path}tag", tag, TAG)


def check_list_slot_holders_request(sent: Any, path: str) -> None:
    tag = sent.tag
    if not tag:
        raise missing(f"{path}tag", "1 to 255 characters")
    if len(tag) > 255:
        raise too_long(f"{path}tag", tag, 255)
    if not is_tag(tag):
        raise invalid(f"{path}tag", tag, TAG)
    page_size = sent.page_size
    if not 0 <= page_size <= 1000:
        raise invalid(f"{path}page_size", page_size, "from 0 to 1000")


def check_list_slot_waiters_request(sent: Any, path: str) -> None:
    tag = sent.tag
    if not tag:
        raise missing(f"{path}tag", "1 to 255 characters")
    if len(tag) > 255:
        raise too_long(f"{path}tag", tag, 255)
    if not is_tag(tag):
        raise invalid(f"{path}tag", tag, TAG)
    page_size = sent.page_size
    if not 0 <= page_size <= 1000:
        raise invalid(f"{path}page_size", page_size, "from 0 to 1000")


def check_open_session_request(sent: Any, path: str) -> None:
    client_name = sent.client_name
    if len(client_name) > 255:
        raise too_long(f"{path}client_name", client_name, 255)
    language = sent.language
    if len(language) > 64:
        raise too_long(f"{path}language", language, 64)
    version = sent.version
    if len(version) > 64:
        raise too_long(f"{path}version", version, 64)


def check_keep_alive_request(sent: Any, path: str) -> None:
    session_id = sent.session_id
    if not session_id:
        raise missing(f"{path}session_id", UUID)
    if is_canonical_uuid(session_id) is None:
        session_id = canonical_uuid(session_id, f"{path}session_id")


def check_close_session_request(sent: Any, path: str) -> None:
    session_id = sent.session_id
    if not session_id:
        raise missing(f"{path}session_id", UUID)
    if is_canonical_uuid(session_id) is None:
        session_id = canonical_uuid(session_id, f"{path}session_id")


def check_lookup_cache_request(sent: Any, path: str) -> None:
    key = sent.key
    if not key:
        raise missing(f"{path}key", "1 to 1024 characters")
    if len(key) > 1024:
        raise too_long(f"{path}key", key, 1024)
    if "\0" in key:
        raise invalid(f"{path}key", key, KEY)


def check_cache_filter(sent: Any, path: str) -> None:
    key = sent.key
    if len(key) > 1024:
        raise too_long(f"{path}key", key, 1024)
    if "\0" in key:
        raise invalid(f"{path}key", key, KEY)
    key_prefix = sent.key_prefix
    if len(key_prefix) > 1024:
        raise too_long(f"{path}key_prefix", key_prefix, 1024)
    if "\0" in key_prefix:
        raise invalid(f"{path}key_prefix", key_prefix, KEY)
    task = sent.task
    if len(task) > 255:
        raise too_long(f"{path}task", task, 255)
    tags = sent.tags
    if tags:
        if len(tags) > 64 and len(set(tags)) > 64:
            raise too_many(f"{path}tags", len(set(tags)), 64)
        for index, item in enumerate(tags):
            if len(item) > 255:
                raise too_long(f"{path}tags[{index}]", item, 255)
            if not is_tag(item):
                raise invalid(f"{path}tags[{index}]", item, TAG)
    created_after = sent.created_after if sent.HasField("created_after") else None
    if created_after is not None:
        check_timestamp(created_after, f"{path}created_after")
    created_before = sent.created_before if sent.HasField("created_before") else None
    if created_before is not None:
        check_timestamp(created_before, f"{path}created_before")
    older_than = sent.older_than if sent.HasField("older_than") else None
    if older_than is not None:
        check_duration(older_than, f"{path}older_than", most=315360000)


def check_list_cache_entries_request(sent: Any, path: str) -> None:
    filter = sent.filter if sent.HasField("filter") else None
    if filter is not None:
        check_cache_filter(filter, f"{path}filter.")
    page_size = sent.page_size
    if not 0 <= page_size <= 1000:
        raise invalid(f"{path}page_size", page_size, "from 0 to 1000")


def check_invalidate_cache_request(sent: Any, path: str) -> None:
    filter = sent.filter if sent.HasField("filter") else None
    if filter is not None:
        check_cache_filter(filter, f"{path}filter.")
    all = sent.all
    consistency.check_invalidate_cache_request(path, filter, all)


def check_list_task_cache_stats_request(sent: Any, path: str) -> None:
    page_size = sent.page_size
    if not 0 <= page_size <= 1000:
        raise invalid(f"{path}page_size", page_size, "from 0 to 1000")


def check_upload_result_request(sent: Any, path: str) -> None:
    upload_id = sent.upload_id
    if not upload_id:
        raise missing(f"{path}upload_id", UUID)
    if is_canonical_uuid(upload_id) is None:
        upload_id = canonical_uuid(upload_id, f"{path}upload_id")
    sha256 = sent.sha256
    if not sha256:
        raise missing(f"{path}sha256", SHA256)
    if is_sha256(sha256) is None:
        raise invalid(f"{path}sha256", sha256, SHA256)
    size_bytes = sent.size_bytes
    if not 0 <= size_bytes:
        raise invalid(f"{path}size_bytes", size_bytes, "0 or more")
    offset = sent.offset
    if not 0 <= offset:
        raise invalid(f"{path}offset", offset, "0 or more")
    chunk = sent.chunk
    if len(chunk) > 4194304:
        raise too_large(f"{path}chunk", len(chunk), 4194304)


def check_download_result_request(sent: Any, path: str) -> None:
    location = sent.location
    if not location:
        raise missing(f"{path}location", "1 to 2048 characters")
    if len(location) > 2048:
        raise too_long(f"{path}location", location, 2048)
    offset = sent.offset
    if not 0 <= offset:
        raise invalid(f"{path}offset", offset, "0 or more")
    max_chunk_bytes = sent.max_chunk_bytes
    if not 0 <= max_chunk_bytes <= 4194304:
        raise invalid(f"{path}max_chunk_bytes", max_chunk_bytes, "from 0 to 4194304")
    consistency.check_download_result_request(path, location)


def check_list_orphaned_results_request(sent: Any, path: str) -> None:
    older_than = sent.older_than if sent.HasField("older_than") else None
    if older_than is not None:
        check_duration(older_than, f"{path}older_than", most=315360000)
    page_size = sent.page_size
    if not 0 <= page_size <= 1000:
        raise invalid(f"{path}page_size", page_size, "from 0 to 1000")


def check_drop_orphaned_results_request(sent: Any, path: str) -> None:
    state_ids = sent.state_ids
    if state_ids:
        if len(state_ids) > 10000:
            raise too_many(f"{path}state_ids", len(state_ids), 10000)
        state_ids = list(state_ids)
        for index, item in enumerate(state_ids):
            if is_canonical_uuid(item) is None:
                state_ids[index] = canonical_uuid(item, f"{path}state_ids[{index}]")
    else:
        raise missing(f"{path}state_ids", "1 to 10000 items")
    older_than = sent.older_than if sent.HasField("older_than") else None
    if older_than is not None:
        check_duration(older_than, f"{path}older_than", most=315360000)


def read_log(sent: Any, path: str) -> tuple[Any, ...]:
    id = sent.id
    flow_run_id = sent.flow_run_id
    if not flow_run_id:
        raise missing(f"{path}flow_run_id", UUID)
    if is_canonical_uuid(flow_run_id) is None:
        flow_run_id = canonical_uuid(flow_run_id, f"{path}flow_run_id")
    task_run_id = sent.task_run_id
    if task_run_id and is_canonical_uuid(task_run_id) is None:
        task_run_id = canonical_uuid(task_run_id, f"{path}task_run_id")
    logger = sent.logger
    if len(logger) > 255:
        raise too_long(f"{path}logger", logger, 255)
    level = sent.level
    if not 0 <= level <= 100:
        raise invalid(f"{path}level", level, "from 0 to 100")
    message = sent.message
    if len(message) > 65536:
        raise too_long(f"{path}message", message, 65536)
    create_time = sent.create_time if sent.HasField("create_time") else None
    if create_time is not None:
        check_timestamp(create_time, f"{path}create_time")
    return (id, flow_run_id, task_run_id, logger, level, message, create_time)


def check_write_logs_request(sent: Any, path: str) -> None:
    logs = sent.logs
    if logs:
        if len(logs) > 10000:
            raise too_many(f"{path}logs", len(logs), 10000)


def check_list_logs_request(sent: Any, path: str) -> None:
    flow_run_id = sent.flow_run_id
    if flow_run_id and is_canonical_uuid(flow_run_id) is None:
        flow_run_id = canonical_uuid(flow_run_id, f"{path}flow_run_id")
    task_run_id = sent.task_run_id
    if task_run_id and is_canonical_uuid(task_run_id) is None:
        task_run_id = canonical_uuid(task_run_id, f"{path}task_run_id")
    min_level = sent.min_level
    if not 0 <= min_level <= 100:
        raise invalid(f"{path}min_level", min_level, "from 0 to 100")
    page_size = sent.page_size
    if not 0 <= page_size <= 1000:
        raise invalid(f"{path}page_size", page_size, "from 0 to 1000")


# By the names of requests.
CHECKERS: dict[str, Callable[[Any, str], None]] = {
    "clearway.v1.SetFlowRunStateRequest": check_set_flow_run_state_request,
    "clearway.v1.SetTaskRunStateRequest": check_set_task_run_state_request,
    "clearway.v1.CreateFlowRunRequest": check_create_flow_run_request,
    "clearway.v1.GetFlowRunRequest": check_get_flow_run_request,
    "clearway.v1.ListFlowRunsRequest": check_list_flow_runs_request,
    "clearway.v1.ListFlowRunStatesRequest": check_list_flow_run_states_request,
    "clearway.v1.CreateTaskRunRequest": check_create_task_run_request,
    "clearway.v1.GetTaskRunRequest": check_get_task_run_request,
    "clearway.v1.ListTaskRunsRequest": check_list_task_runs_request,
    "clearway.v1.ListTaskRunStatesRequest": check_list_task_run_states_request,
    "clearway.v1.ExplainTaskRunRequest": check_explain_task_run_request,
    "clearway.v1.SetConcurrencyLimitRequest": check_set_concurrency_limit_request,
    "clearway.v1.GetConcurrencyLimitRequest": check_get_concurrency_limit_request,
    "clearway.v1.ListConcurrencyLimitsRequest": check_list_concurrency_limits_request,
    "clearway.v1.DeleteConcurrencyLimitRequest": check_delete_concurrency_limit_request,
    "clearway.v1.ResetConcurrencyLimitRequest": check_reset_concurrency_limit_request,
    "clearway.v1.ListSlotHoldersRequest": check_list_slot_holders_request,
    "clearway.v1.ListSlotWaitersRequest": check_list_slot_waiters_request,
    "clearway.v1.OpenSessionRequest": check_open_session_request,
    "clearway.v1.KeepAliveRequest": check_keep_alive_request,
    "clearway.v1.CloseSessionRequest": check_close_session_request,
    "clearway.v1.LookupCacheRequest": check_lookup_cache_request,
    "clearway.v1.ListCacheEntriesRequest": check_list_cache_entries_request,
    "clearway.v1.InvalidateCacheRequest": check_invalidate_cache_request,
    "clearway.v1.ListTaskCacheStatsRequest": check_list_task_cache_stats_request,
    "clearway.v1.UploadResultRequest": check_upload_result_request,
    "clearway.v1.DownloadResultRequest": check_download_result_request,
    "clearway.v1.ListOrphanedResultsRequest": check_list_orphaned_results_request,
    "clearway.v1.DropOrphanedResultsRequest": check_drop_orphaned_results_request,
    "clearway.v1.WriteLogsRequest": check_write_logs_request,
    "clearway.v1.ListLogsRequest": check_list_logs_request,
}
