from __future__ import annotations

import json
import pickle
from datetime import UTC, date, datetime, timedelta, timezone
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from clearway import states
from clearway._base import lazy_cloudpickle
from clearway._base.timestamps import (
    duration_from_proto,
    duration_to_proto,
    timestamp_from_proto,
    timestamp_to_proto,
)
from clearway.exceptions import CancelledRun, CrashedRun, FailedRun, UnfinishedRun
from clearway.results import StoredResult, get_store
from clearway.schemas import WaitCause
from clearway.states import AwaitingRetry, Scheduled, State, StateDetails, StateType
from clearway.v1 import state_pb2
from support.foreign_times import ForeignLength, foreign

MAKERS = {
    states.Completed: (StateType.COMPLETED, "Completed"),
    states.Failed: (StateType.FAILED, "Failed"),
    states.Crashed: (StateType.CRASHED, "Crashed"),
    states.Cancelled: (StateType.CANCELLED, "Cancelled"),
    states.Pending: (StateType.PENDING, "Pending"),
    states.Running: (StateType.RUNNING, "Running"),
    states.Retrying: (StateType.RUNNING, "Retrying"),
    states.Scheduled: (StateType.SCHEDULED, "Scheduled"),
    states.AwaitingRetry: (StateType.SCHEDULED, "AwaitingRetry"),
}


def recorded(proposed: state_pb2.ProposedState) -> state_pb2.State:
    """Return the state that the service makes of a proposed one."""
    message = state_pb2.State(
        type=proposed.type, name=proposed.name, message=proposed.message, data=proposed.data
    )
    for name in ("scheduled_time", "cache_expiration"):
        if proposed.HasField(name):  # type: ignore[arg-type]
            getattr(message.details, name).CopyFrom(getattr(proposed, name))
    message.details.cache_key = proposed.cache_key
    return message


def state_of(kind: StateType) -> State[Any]:
    state: State[Any] = State(kind)
    return state


@pytest.mark.parametrize(("make", "expected"), MAKERS.items())
def test_a_constructor_gives_its_type_and_name(make: Any, expected: tuple[StateType, str]) -> None:
    state = make(message="why")
    assert (state.type, state.name) == expected
    assert state.message == "why"


@pytest.mark.parametrize("kind", StateType)
def test_exactly_one_question_about_a_states_type_is_answered_yes(kind: StateType) -> None:
    state = state_of(kind)
    names = [each.name.lower() for each in StateType]
    answers = {name: getattr(state, f"is_{name}")() for name in names}
    assert [name for name, answer in answers.items() if answer] == [kind.name.lower()]


@pytest.mark.parametrize("kind", StateType)
def test_the_numbers_and_names_of_types_are_the_protocols(kind: StateType) -> None:
    assert state_pb2.StateType.Name(state_pb2.StateType.ValueType(kind)) == f"STATE_TYPE_{kind.name}"


@pytest.mark.parametrize("kind", [*StateType, *WaitCause])
def test_a_type_is_printed_by_its_name_and_still_is_a_number(kind: StateType | WaitCause) -> None:
    assert f"{kind}" == str(kind) == "%s" % kind == kind.name  # noqa: UP031 - as users write it
    assert f"{kind:>12}" == f"{kind.name:>12}"
    assert f"{kind:d}" == json.dumps(kind) == str(int(kind))
    assert pickle.loads(pickle.dumps(kind)) is kind


def test_four_types_are_final() -> None:
    final = {kind for kind in StateType if state_of(kind).is_final()}
    assert final == {StateType.COMPLETED, StateType.FAILED, StateType.CANCELLED, StateType.CRASHED}


def test_a_state_is_stamped_with_the_time_at_which_it_is_made() -> None:
    before = datetime.now(UTC)
    state = states.Completed()
    assert before <= state.timestamp <= datetime.now(UTC)


def test_a_state_cannot_be_changed() -> None:
    with pytest.raises(AttributeError):
        states.Completed().name = "Other"  # type: ignore[misc]


def test_a_scheduled_time_without_a_time_zone_is_refused() -> None:
    with pytest.raises(ValueError, match="scheduled_time must have a time zone"):
        states.Scheduled(datetime(2030, 1, 1))  # noqa: DTZ001 - the point


@pytest.mark.parametrize(
    ("state", "text"),
    [
        (states.Completed(1), "Completed()"),
        (states.Completed(1, name="Cached"), "Cached(COMPLETED)"),
        (states.Failed(message="no"), "Failed('no')"),
        (states.AwaitingRetry(message="soon"), "AwaitingRetry(SCHEDULED, 'soon')"),
    ],
)
def test_a_state_reads_well(state: State[Any], text: str) -> None:
    assert str(state) == text


def test_the_result_of_a_completed_state_is_its_data() -> None:
    assert states.Completed([1, 2]).result() == [1, 2]
    assert states.Completed().result() is None


def test_the_result_of_a_failed_state_is_the_exception_itself() -> None:
    error = ValueError("bad")
    with pytest.raises(ValueError, match="bad") as caught:
        states.Failed(error).result()
    assert caught.value is error
    assert states.Failed(error).result(raise_on_failure=False) is error


@pytest.mark.parametrize(
    ("make", "kind"),
    [(states.Failed, FailedRun), (states.Crashed, CrashedRun), (states.Cancelled, CancelledRun)],
)
def test_a_failure_without_an_exception_raises_one_of_ours_with_the_message(
    make: Any, kind: type[Exception]
) -> None:
    with pytest.raises(kind, match="because"):
        make(message="because").result()
    assert isinstance(make(message="because").result(raise_on_failure=False), kind)


def test_a_failure_without_exception_and_message_says_its_name() -> None:
    with pytest.raises(FailedRun, match="the run ended as Unlucky"):
        states.Failed(name="Unlucky").result()


def test_a_run_that_has_not_ended_has_no_result() -> None:
    with pytest.raises(UnfinishedRun, match="the run is AwaitingRetry and has not ended"):
        states.AwaitingRetry().result()


@pytest.mark.parametrize("wrap", [lambda s: s, lambda s: [states.Completed(1), s], lambda s: {"a": s}])
def test_a_failure_made_of_states_raises_the_first_failed_ones_exception(wrap: Any) -> None:
    inner = states.Failed(KeyError("inner"))
    with pytest.raises(KeyError, match="inner"):
        states.Failed(wrap(inner), message="1/2 states failed").result()


def test_a_completed_state_made_of_states_returns_them() -> None:
    inner = [states.Completed(1)]
    assert states.Completed(inner).result() is inner


@pytest.mark.parametrize("pickler", [pickle, lazy_cloudpickle])
def test_a_state_can_be_pickled(pickler: Any) -> None:
    state = states.Completed({"a": 1}, message="m")
    copy = pickler.loads(pickler.dumps(state))
    assert copy == state
    assert copy.data == {"a": 1}


def test_states_of_data_that_cannot_be_hashed_can_be_in_a_set() -> None:
    state = states.Completed([1])
    assert state in {state, states.Completed([2])}


def test_a_state_and_its_message_say_the_same(tmp_path: Any) -> None:
    reference = StoredResult.from_proto(get_store(tmp_path).store(5))
    state: State[int] = State(
        StateType.COMPLETED,
        "Cached",
        "why",
        reference,
        datetime(2030, 1, 2, 3, 4, 5, 678_901, UTC),
        "01234567-89ab-7def-8123-456789abcdef",
        StateDetails(
            scheduled_time=datetime(2031, 1, 1, tzinfo=UTC), cache_key="k", cache_expiration=timedelta(days=1)
        ),
    )
    message = recorded(state.to_proto())
    message.id = state.id
    message.create_time.CopyFrom(timestamp_to_proto(state.timestamp))
    assert State.from_proto(message) == state
    assert State.from_proto(message).data == reference
    assert State.from_proto(message).result() == 5


def test_a_default_name_is_left_to_the_service() -> None:
    assert states.Running().to_proto().name == ""
    assert states.Running(name="Again").to_proto().name == "Again"


def test_data_in_the_process_takes_the_place_of_the_reference(tmp_path: Any) -> None:
    value = object()
    message = recorded(states.Completed().to_proto(get_store(tmp_path).store([1])))
    assert State.from_proto(message, value).result() is value


def test_a_type_of_a_later_version_is_a_clear_error() -> None:
    message = state_pb2.State(type=99)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="type 99, which this version of clearway does not know"):
        State.from_proto(message)


@pytest.mark.parametrize(
    "at",
    [
        datetime(1970, 1, 1, tzinfo=UTC),
        datetime(1969, 12, 31, 23, 59, 59, 999_999, UTC),
        datetime(2026, 7, 1, 12, 0, 0, 1, UTC),
        datetime(9999, 12, 31, 23, 59, 59, 999_999, UTC),
    ],
)
def test_times_keep_their_microseconds(at: datetime) -> None:
    assert timestamp_from_proto(timestamp_to_proto(at)) == at
    assert timestamp_to_proto(at).ToDatetime(UTC) == at


@pytest.mark.parametrize(
    "length",
    [timedelta(), timedelta(microseconds=1), timedelta(days=-1, microseconds=1), timedelta(days=9_999)],
)
def test_durations_keep_their_microseconds(length: timedelta) -> None:
    assert duration_from_proto(duration_to_proto(length)) == length
    assert duration_to_proto(length).ToTimedelta() == length


BERLIN = ZoneInfo("Europe/Berlin")


@pytest.mark.parametrize(
    "at",
    [
        datetime(2026, 7, 1, 12, 0, 0, 1, UTC),
        datetime(2026, 7, 1, 12, 0, 0, 1, timezone(timedelta(hours=-5))),
        datetime(2026, 10, 25, 2, 30, tzinfo=BERLIN),
        datetime(2026, 10, 25, 2, 30, tzinfo=BERLIN, fold=1),
    ],
)
@pytest.mark.parametrize("make", [Scheduled, AwaitingRetry])
def test_a_time_of_any_class_derived_from_datetime_is_that_time(make: Any, at: datetime) -> None:
    state = make(scheduled_time=foreign(at))
    assert type(state.details.scheduled_time) is datetime
    assert state.details.scheduled_time == at.astimezone(UTC)
    assert state.to_proto().scheduled_time == timestamp_to_proto(at)
    assert timestamp_to_proto(foreign(at)) == timestamp_to_proto(at)


@pytest.mark.parametrize("length", [timedelta(hours=1, microseconds=1), timedelta(days=-1, seconds=5)])
def test_a_length_of_any_class_derived_from_timedelta_is_that_length(length: timedelta) -> None:
    own = ForeignLength(
        length // timedelta(days=1), 0, length % timedelta(days=1) // timedelta(microseconds=1)
    )
    assert duration_to_proto(own) == duration_to_proto(length)


def test_what_is_no_time_is_refused_by_name() -> None:
    with pytest.raises(TypeError, match=r"scheduled_time is '2026-01-01'; it must be a datetime"):
        Scheduled("2026-01-01")  # type: ignore[arg-type]
    with pytest.raises(TypeError, match=r"scheduled_time is datetime\.date"):
        AwaitingRetry(date(2026, 1, 1))  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="must have a time zone"):
        Scheduled(foreign(datetime(2026, 1, 1)))  # noqa: DTZ001 - that is what is refused
