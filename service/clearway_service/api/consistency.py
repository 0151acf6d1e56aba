"""Consistency: rules that involve several fields of a message.

Rules for single fields are options in ``protos/``, which ``request_validation`` applies. A function here is
named after a message. The message's checker calls it after those rules, with the message's path in the
request (empty for the request itself, otherwise ending with a dot) and the fields named by the parameters.
An unset message is passed as None, and a oneof as the name of the member that is set. A function named
after a message and one of its lists is called with the path and the list's items, if it has any.
"""

from __future__ import annotations

from collections.abc import Sequence

from clearway.v1 import cache_pb2, state_pb2, task_run_pb2
from clearway_service.api.field_checks import check_items, invalid, missing
from clearway_service.core.locations import RIGHT, SERVICE_SCHEME, is_digest, is_location_of
from clearway_service.core.states import StateType
from clearway_service.errors import InvalidArgumentError

MAX_INPUT_RUNS = 50_000
MAX_ERROR_DEPTH = 16
_INITIAL = (StateType.SCHEDULED, StateType.PENDING)


def check_proposed_state(
    path: str,
    type_: int,
    scheduled_time: object,
    cache_key: str,
    cache_expiration: object,
    refresh_cache: bool,
    cache_single_flight: bool,
    no_retry: bool,
) -> None:
    """Check that a state has the fields its type requires, and none that belong to other types."""
    if scheduled_time is None:
        if type_ == StateType.SCHEDULED:
            raise missing(f"{path}scheduled_time", "the time from which the run may start")
    elif type_ != StateType.SCHEDULED:
        field = f"{path}scheduled_time"
        raise InvalidArgumentError(
            f"{field} is set for {StateType(type_).name}; only SCHEDULED has one", field
        )
    if cache_expiration is not None and not cache_key:
        raise missing(f"{path}cache_key", "set if cache_expiration is")
    if (refresh_cache or cache_single_flight) and not (type_ == StateType.RUNNING and cache_key):
        name = "cache_single_flight" if cache_single_flight else "refresh_cache"
        raise invalid(f"{path}{name}", value=True, right="set with RUNNING and a cache_key only")
    if no_retry and type_ != StateType.FAILED:
        raise invalid(f"{path}no_retry", value=True, right="set with FAILED only")


def check_data(
    path: str, encoding: str, body: str | None, location: str, sha256: str, error: state_pb2.RunError | None
) -> None:
    """Check that a result has a body and an encoding, or an error."""
    if body is None and encoding and error is None:
        raise missing(f"{path}body", "`inline` bytes or a `location`")
    if not encoding and (body is not None or error is None):
        raise missing(f"{path}encoding", "1 to 64 characters")
    if error is not None:
        _check_depth(error, f"{path}error")
    if body == "location":
        # No location is ever stored that is not derived from the result's SHA-256.
        if not sha256:
            raise missing(f"{path}sha256", "64 lower-case hexadecimal digits if location is set")
        if not is_location_of(location, sha256):
            raise invalid(f"{path}location", location, RIGHT)


def _check_depth(error: state_pb2.RunError, field: str) -> None:
    depth, layer = 0, [error]
    while layer:
        depth += 1
        if depth > MAX_ERROR_DEPTH:
            raise InvalidArgumentError(f"{field} is more than {MAX_ERROR_DEPTH} deep", field)
        causes = [each.cause for each in layer if each.HasField("cause")]
        layer = causes + [member for each in layer for member in each.members]


def check_proposal(path: str, run: str | None, create_task_run: object) -> None:
    """Check that a proposal names exactly one run: an existing one, or one to create."""
    if create_task_run is None:
        if run is None:
            raise missing(f"{path}run", "`flow_run_id`, `task_run_id`, or else `create_task_run`")
    elif run is not None:
        raise InvalidArgumentError(
            f"{path}{run} and create_task_run are both set; set the one that is meant",
            f"{path}create_task_run",
        )


def check_task_run_spec_inputs(path: str, inputs: Sequence[task_run_pb2.TaskInput]) -> None:
    """Check the total number of runs in the inputs of a task run."""
    check_items(f"{path}.task_run_ids", sum(len(entry.task_run_ids) for entry in inputs), MAX_INPUT_RUNS)


def check_initial_state(path: str, type_: int) -> None:
    """Check that an initial state is Scheduled or Pending; called by ``parsing`` with the state's type."""
    if type_ not in _INITIAL:
        right = "SCHEDULED or PENDING; propose the next state then"
        raise invalid(f"{path}type", StateType(type_).name, right)


def check_get_concurrency_limit_request(path: str, key: str | None) -> None:
    """Check that the request names a limit."""
    if key is None:
        raise missing(f"{path}key", "`tag` or `id`")


def check_invalidate_cache_request(path: str, filter_: cache_pb2.CacheFilter | None, all_: bool) -> None:
    """Check that the request either filters entries or asks for all."""
    restricted = filter_ is not None and filter_ != cache_pb2.CacheFilter()
    if not restricted and not all_:
        right = "something that says which entries; or set `all` to remove every one"
        raise missing(f"{path}filter", right)
    if restricted and all_:
        raise InvalidArgumentError("filter and all are both set; set the one that is meant", f"{path}all")


def check_download_result_request(path: str, location: str) -> None:
    """Check that the location is in the service's own storage."""
    digest = location.removeprefix(SERVICE_SCHEME)
    if not location.startswith(SERVICE_SCHEME) or not is_digest(digest):
        right = f"{SERVICE_SCHEME} and 64 lower-case hexadecimal digits"
        raise invalid(f"{path}location", location, right)
