"""Which results are kept how, and which are read."""

from __future__ import annotations

import dataclasses
import gzip
import hmac
from pathlib import Path
from typing import Any

import pytest

from clearway import results
from clearway._base.settings import Settings, forget_settings, get_settings
from clearway.exceptions import InvalidSetting, MissingResult, UntrustedResult
from clearway.results import ResultStore, StoredResult, get_store, register_serializer


class Ran(Exception):  # noqa: N818
    """Raised by a pickle that is loaded."""


class Bomb:
    def __reduce__(self) -> tuple[Any, ...]:
        return exec, ("raise AssertionError('a pickle was loaded')",)


def store_with(monkeypatch: pytest.MonkeyPatch, **variables: str) -> ResultStore:
    """Return the store of a process with these settings."""
    for name, value in variables.items():
        monkeypatch.setenv(f"CLEARWAY_{name.upper()}", value)
    forget_settings()
    return get_store()


@pytest.fixture(autouse=True)
def fresh_settings(home: Path) -> Any:
    del home
    forget_settings()
    yield
    forget_settings()


def reference(data: Any) -> StoredResult:
    return StoredResult.from_proto(data)


def test_a_small_result_travels_in_its_state_and_a_large_one_by_reference(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    store = store_with(monkeypatch, result_inline_bytes="100")
    small, large = store.store("x" * 98), store.store("x" * 99)  # and two quotes
    assert (small.WhichOneof("body"), large.WhichOneof("body")) == ("inline", "location")
    assert (small.size, large.size) == (100, 101)
    assert store.load(small) == "x" * 98
    assert store.load(large) == "x" * 99


def test_bytes_are_kept_as_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    data = store_with(monkeypatch).store(b"\x00\xff")
    assert (data.encoding, data.inline) == ("bytes", b"\x00\xff")
    assert reference(data).load() == b"\x00\xff"


def test_a_refused_encoding_is_never_read(monkeypatch: pytest.MonkeyPatch) -> None:
    armed = store_with(monkeypatch).store(Bomb())
    assert armed.encoding == "cloudpickle"
    store = store_with(monkeypatch, result_serializers="json, bytes")
    with pytest.raises(UntrustedResult, match="cloudpickle, which the setting CLEARWAY_RESULT_SERIALIZERS"):
        store.load(armed)
    with pytest.raises(TypeError, match="would have to be pickled"):
        store.store({1, 2})
    assert store.load(store.store([1])) == [1]
    kept = store.store_exception(ValueError("bad"))
    assert (kept.encoding, kept.error.type, kept.error.message) == ("", "builtins.ValueError", "bad")


@pytest.mark.parametrize("value", ["", "pickle", "json;bytes", ","])
def test_a_wrong_list_of_serializers_is_a_clear_error(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    if not value:
        assert get_settings().result_serializers == {"json", "bytes", "cloudpickle"}
        return
    with pytest.raises(InvalidSetting, match="one or more of json, bytes, cloudpickle"):
        store_with(monkeypatch, result_serializers=value)


def test_signed_results_are_read_and_others_refused_before_anything_is_read(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    unsigned = store_with(monkeypatch, result_inline_bytes="0").store(Bomb())
    forged = store_with(monkeypatch, result_signing_key="theirs").store(Bomb())
    store = store_with(monkeypatch, result_signing_key="ours")
    signed = store.store((1, 2))
    assert store.load(signed) == (1, 2)
    Path(unsigned.location).unlink()  # so that reading it would be another error
    with pytest.raises(UntrustedResult, match="is not signed"):
        store.load(unsigned)
    with pytest.raises(UntrustedResult, match="made with another key"):
        store.load(forged)


@pytest.mark.parametrize("change", ["encoding", "compression", "size", "sha256"])
def test_a_signature_holds_for_one_result_only(monkeypatch: pytest.MonkeyPatch, change: str) -> None:
    store = store_with(monkeypatch, result_signing_key="ours")
    result = reference(store.store([1, 2]))
    other = reference(store.store(b"another"))
    changed = {
        "encoding": "cloudpickle",
        "compression": "gzip",
        "size": other.size,
        "sha256": other.sha256,
    }[change]
    with pytest.raises(UntrustedResult):
        dataclasses.replace(result, **{change: changed}).load()


def test_a_signature_is_what_the_protocol_says(monkeypatch: pytest.MonkeyPatch) -> None:
    data = store_with(monkeypatch, result_signing_key="k\u00e9y").store([1, 2])
    text = f"json\n\n5\n{data.sha256}"
    assert data.signature == hmac.new("k\u00e9y".encode(), text.encode(), "sha256").hexdigest()


def test_the_key_is_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    settings: Settings = store_with(monkeypatch, result_signing_key="very secret").settings
    assert "very secret" not in repr(settings)


def test_results_are_compressed_where_that_is_asked_for_and_worth_it(monkeypatch: pytest.MonkeyPatch) -> None:
    store = store_with(monkeypatch, result_compression="gzip")
    large, small = store.store(["x" * 10_000]), store.store("x")
    assert (large.compression, small.compression) == ("gzip", "")
    assert gzip.decompress(large.inline) == b'["' + b"x" * 10_000 + b'"]'
    assert large.size == len(large.inline) < 200
    assert store.load(large) == ["x" * 10_000]
    assert store.store(["x" * 10_000]) == large


def test_an_unknown_compression_is_a_missing_result() -> None:
    with pytest.raises(MissingResult, match="compressed by 'brotli', which is not known here"):
        StoredResult("json", inline=b"1", size=1, compression="brotli").load()


class Celsius:
    def __init__(self, degrees: float) -> None:
        self.degrees = degrees


def test_a_serializer_of_ones_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(results.serializers, "_custom", {})
    register_serializer(
        "celsius", Celsius, lambda value: str(value.degrees).encode(), lambda body: Celsius(float(body))
    )
    data = store_with(monkeypatch).store(Celsius(21.5))
    assert (data.encoding, data.inline) == ("celsius", b"21.5")
    assert reference(data).load().degrees == 21.5
    monkeypatch.setattr(results.serializers, "_custom", {})
    with pytest.raises(MissingResult, match=r"encoding 'celsius'.*register_serializer"):
        reference(data).load()
    with pytest.raises(ValueError, match="none of json"):
        register_serializer("json", Celsius, str.encode, bytes.decode)


LATER = 1e11  # seconds since 1970, in the year 5138


@pytest.mark.parametrize("url", ["memory://results", "file://{folder}/results"])
def test_a_storage_may_be_a_url(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, url: str) -> None:
    place = url.format(folder=tmp_path)
    store = store_with(monkeypatch, result_storage=place, result_inline_bytes="0")
    data = store.store("x" * 100)
    assert data.location.endswith(data.sha256)
    assert reference(data).load() == "x" * 100
    assert not store._storage.delete(data.location, written_before=0.0)
    assert reference(data).load() == "x" * 100
    assert store._storage.delete(data.location, written_before=LATER)
    assert store._storage.delete(data.location, written_before=LATER)
    with pytest.raises(MissingResult, match="cannot be read"):
        reference(data).load()
    assert reference(store.store("x" * 100)).load() == "x" * 100  # it knows that it has to be written again


def test_a_storage_of_one_task_may_differ(tmp_path: Path) -> None:
    data = get_store(tmp_path / "elsewhere").store("x" * 100_000)
    assert Path(data.location).is_relative_to(tmp_path / "elsewhere")
    with pytest.raises(ValueError, match="a directory, a URL"):
        get_store("not a scheme://x")
    with pytest.raises(ValueError, match="a URL with an absolute path"):
        get_store("file://results")
