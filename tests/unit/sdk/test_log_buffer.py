from __future__ import annotations

from clearway._logging.buffer import LogBuffer, timestamp
from clearway.v1.log_pb2 import Log

ALL = 1_000_000


def line(message: str, flow_run_id: str = "f", at: float = 1.0) -> Log:
    return Log(flow_run_id=flow_run_id, message=message, create_time=timestamp(at))


def messages(lines: list[Log]) -> list[str]:
    return [each.message for each in lines]


def test_lines_come_out_in_their_order() -> None:
    buffer = LogBuffer()
    for message in "abc":
        buffer.add(line(message))
    assert messages(buffer.take(2, ALL)) == ["a", "b"]
    assert messages(buffer.take(2, ALL)) == ["c"]
    assert buffer.take(2, ALL) == []


def test_what_is_put_back_comes_first() -> None:
    buffer = LogBuffer()
    for message in "abc":
        buffer.add(line(message))
    buffer.put_back(buffer.take(2, ALL))
    assert messages(buffer.take(ALL, ALL)) == ["a", "b", "c"]


def test_a_batch_is_not_much_larger_than_wanted() -> None:
    buffer = LogBuffer()
    for _ in range(10):
        buffer.add(line("x" * 1_000))
    assert len(buffer.take(ALL, 2_500)) == 3


def test_what_has_no_room_is_counted_and_noted_in_its_place() -> None:
    buffer = LogBuffer(max_lines=2)
    dropped = [buffer.add(line(message, at=at)) for at, message in enumerate("abcd")]
    assert dropped == [False, False, True, False]
    assert messages(buffer.take(1, ALL)) == ["a"]
    buffer.add(line("e"))
    first, note, last = buffer.take(ALL, ALL)
    assert (first.message, last.message) == ("b", "e")
    assert note.message.startswith("2 log lines of this flow run")
    assert (note.flow_run_id, note.level, note.create_time) == ("f", 30, timestamp(2))
    assert len(buffer) == 0


def test_each_flow_run_has_a_note_of_its_own_also_when_nothing_follows() -> None:
    buffer = LogBuffer(max_lines=1)
    for flow_run_id in ("f", "f", "g", "g", "g"):
        buffer.add(line("x", flow_run_id))
    assert len(buffer.take(ALL, ALL)) == 1
    notes = buffer.take(ALL, ALL)
    assert [(note.flow_run_id, note.message[:2]) for note in notes] == [("f", "1 "), ("g", "3 ")]
    assert buffer.take(ALL, ALL) == []


def test_large_lines_count_by_their_size() -> None:
    buffer = LogBuffer(max_bytes=10_000)
    dropped = [buffer.add(line("x" * 4_000)) for _ in range(3)]
    assert dropped == [False, False, True]
    buffer.take(1, ALL)
    assert not buffer.add(line("y"))
    assert len(buffer) == 3


def test_clearing_tells_how_many_are_lost() -> None:
    buffer = LogBuffer(max_lines=2)
    for message in "abcde":
        buffer.add(line(message))
    assert buffer.clear() == 5
    assert buffer.take(ALL, ALL) == []
