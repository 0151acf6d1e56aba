from __future__ import annotations

import dataclasses
import json
import math
import os
import threading
from collections import OrderedDict
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clearway._base.settings import get_settings
from clearway._results.json_values import dump_json, is_exact_json
from clearway.exceptions import FailedRun, MissingResult
from clearway.results import ResultStore, StoredResult, get_store
from clearway.states import State, StateType
from clearway.v1.state_pb2 import Data


@pytest.fixture
def store(tmp_path: Path) -> ResultStore:
    """Return a store that keeps all results in files, however small they are."""
    return ResultStore(str(tmp_path / "storage"), dataclasses.replace(get_settings(), result_inline_bytes=0))


class Needy(Exception):  # noqa: N818
    """Cannot be read back from a pickle: its ``__init__`` wants more than it keeps."""

    def __init__(self, code: int, why: str) -> None:
        super().__init__(f"{code}: {why}")


class Locked(Exception):  # noqa: N818
    def __init__(self) -> None:
        super().__init__("locked")
        self.lock = threading.Lock()


class Subclass(dict[str, int]):
    pass


def nested_list(depth: int) -> list[Any]:
    value: list[Any] = []
    for _ in range(depth):
        value = [value]
    return value


@pytest.mark.parametrize(
    "value",
    [None, True, 0, -(2**63), 1.5, -0.0, "", "é\ud800", [], {}, [1, {"a": [None, "b"]}], nested_list(50)],
)
def test_what_json_holds_exactly_is_kept_as_json(store: ResultStore, value: Any) -> None:
    data = store.store(value)
    assert data.encoding == "json"
    assert json.loads(Path(data.location).read_bytes()) == value
    assert store.load(data) == value


@pytest.mark.parametrize(
    "value",
    [
        (1, 2),
        {1: 2},
        {1},
        bytearray(b"bytes"),
        2**63,
        math.inf,
        Subclass(a=1),
        OrderedDict(a=1),
        [1, (2,)],
        nested_list(150),
    ],
)
def test_what_json_would_change_is_pickled_and_comes_back_as_it_was(store: ResultStore, value: Any) -> None:
    data = store.store(value)
    assert data.encoding == "cloudpickle"
    loaded = store.load(data)
    assert loaded == value
    assert type(loaded) is type(value)


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner) | st.tuples(inner),
)


@given(JSON_VALUES)
def test_exact_json_comes_back_equal_and_of_the_same_types(value: Any) -> None:
    if is_exact_json(value):
        assert repr(json.loads(dump_json(value))) == repr(value)


def test_a_list_that_holds_itself_is_pickled(store: ResultStore) -> None:
    value: list[Any] = [1]
    value.append(value)
    loaded = store.load(store.store(value))
    assert loaded[1] is loaded


def test_a_function_made_at_run_time_is_kept(store: ResultStore) -> None:
    offset = 2
    assert store.load(store.store(lambda x: x + offset))(3) == 5


def test_a_result_is_named_by_its_content(store: ResultStore) -> None:
    data = store.store([1, 2])
    assert Path(data.location).name == data.sha256
    assert Path(data.location).parent.name == data.sha256[:2]
    assert data.size_bytes == len(b"[1,2]")
    assert store.store([1, 2]) == data
    assert store.store([2, 1]).location != data.location


def test_an_equal_result_is_written_once_by_a_process(store: ResultStore) -> None:
    location = Path(store.store("x").location)
    written = location.stat()
    store.store("x")
    assert location.stat().st_ino == written.st_ino


def test_what_was_stored_again_meanwhile_is_not_deleted(store: ResultStore) -> None:
    data, storage = store.store("x"), store._storage
    location = data.location
    for again in (lambda: store.store("x"), lambda: storage.write(data.sha256, b'"x"')):
        os.utime(location, (1_000, 1_000))
        again()
        assert not storage.delete(data.sha256, written_before=2_000)
    os.utime(location, (1_000, 1_000))
    assert storage.delete(data.sha256, written_before=2_000)
    assert not Path(location).exists()
    assert storage.delete(data.sha256, written_before=2_000)  # it is not there


def test_a_result_that_was_deleted_meanwhile_is_written_again(store: ResultStore) -> None:
    Path(store.store("x").location).unlink()
    assert store.load(store.store("x")) == "x"


def test_a_missing_result_says_where_it_was_expected(store: ResultStore) -> None:
    data = store.store("x")
    Path(data.location).unlink()
    with pytest.raises(MissingResult) as caught:
        store.load(data)
    assert caught.value.location == data.location
    assert data.location in str(caught.value)


@pytest.mark.parametrize("damage", [b"", b'"y"', b'"x" '])
def test_a_damaged_result_is_noticed(store: ResultStore, damage: bytes) -> None:
    data = store.store("x")
    Path(data.location).write_bytes(damage)
    with pytest.raises(MissingResult, match="is damaged"):
        store.load(data)


def test_a_result_found_missing_is_written_again(store: ResultStore) -> None:
    data = store.store("x")
    Path(data.location).unlink()
    with pytest.raises(MissingResult):
        store.load(data)
    store.forget(StoredResult.from_proto(data))
    assert store.load(store.store("x")) == "x"


def test_no_temporary_file_is_left(store: ResultStore, tmp_path: Path) -> None:
    for number in range(20):
        store.store(number)
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert len(files) == 20
    assert not [path for path in files if path.suffix == ".tmp"]


def test_a_value_that_nothing_can_hold_is_a_clear_error(store: ResultStore) -> None:
    with pytest.raises(TypeError, match=r"the result, a _thread\.lock, cannot be kept"):
        store.store(threading.Lock())


def test_a_storage_that_cannot_be_written_is_an_error_that_names_it(
    store: ResultStore, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError, match="file"):
        ResultStore(str(tmp_path / "file"), store.settings).store(1)


def test_a_result_may_come_inline(store: ResultStore) -> None:
    assert store.load(Data(encoding="json", inline=b"[1]", size_bytes=3)) == [1]


def test_a_result_of_another_clients_encoding_is_a_clear_error(store: ResultStore) -> None:
    with pytest.raises(MissingResult, match="encoding 'avro', which is not known here"):
        store.load(Data(encoding="avro", inline=b"x", size_bytes=1))


def test_a_result_that_cannot_be_understood_is_a_missing_result(store: ResultStore) -> None:
    with pytest.raises(MissingResult, match="cannot be loaded"):
        store.load(Data(encoding="cloudpickle", inline=b"no pickle", size_bytes=9))


def test_a_reference_reads_its_result_once(store: ResultStore) -> None:
    reference = StoredResult.from_proto(store.store((1, 2)))
    value = reference.load()
    Path(reference.location).unlink()
    assert reference.load() is value


def test_an_exception_comes_back_as_it_was(store: ResultStore) -> None:
    data = store.store_exception(ValueError("bad", 3))
    error = store.load(data)
    assert type(error) is ValueError
    assert error.args == ("bad", 3)


@pytest.mark.parametrize("error", [Needy(3, "no"), Locked()])
def test_an_exception_that_cannot_be_pickled_is_kept_in_words(store: ResultStore, error: Exception) -> None:
    with pytest.raises(type(error)):
        raise error
    data = store.store_exception(error)
    assert data.WhichOneof("body") is None
    state = State(StateType.FAILED, data=StoredResult.from_proto(data))
    with pytest.raises(FailedRun, match=f"{type(error).__qualname__}: {error}") as raised:
        state.result()
    assert raised.value.error == state.error
    assert "raise error" in "".join(raised.value.__notes__)


def test_the_process_has_one_store_where_the_settings_say(home: Path) -> None:
    assert get_store() is get_store()
    assert Path(get_store().store("x" * 100_000).location).is_relative_to(home / "storage")


def test_many_threads_may_write_one_result(store: ResultStore) -> None:
    value = "x" * 100_000
    threads = [threading.Thread(target=store.store, args=(value,)) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert store.load(store.store(value)) == value
