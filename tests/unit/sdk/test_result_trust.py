"""Which results are kept how, and which are read."""

from __future__ import annotations

import dataclasses
import errno
import gzip
import hmac
import tracemalloc
from hashlib import sha256
from pathlib import Path
from typing import Any

import fsspec  # type: ignore[import-untyped]
import pytest

from clearway import results, task
from clearway._base.settings import Settings, forget_settings, get_settings
from clearway._results.known_storages import forget_place, register_place
from clearway.exceptions import InvalidSetting, MissingResult, UnreadableResult, UntrustedResult
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
    assert (small.size_bytes, large.size_bytes) == (100, 101)
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
    text = f"json\n\n5\n{data.sha256}\n"  # it is inline, and has no location
    assert data.signature == hmac.new("k\u00e9y".encode(), text.encode(), "sha256").hexdigest()


def test_the_location_is_signed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    store = store_with(
        monkeypatch,
        result_signing_key="ours",
        result_inline_bytes="0",
        result_extra_storages=str(tmp_path / "other"),
    )
    result = reference(store.store([1, 2]))
    moved = Path(result.location.replace(str(get_settings().result_storage), str(tmp_path / "other")))
    moved.parent.mkdir(parents=True)
    Path(result.location).rename(moved)
    with pytest.raises(UntrustedResult, match="made with another key, or for another result"):
        dataclasses.replace(result, location=str(moved)).load()
    assert result.signed_text().endswith(f"\n{result.location}")


def test_a_signature_of_an_earlier_version_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    data = store_with(monkeypatch, result_signing_key="ours").store([1, 2])
    text = f"json\n\n5\n{data.sha256}"
    data.signature = hmac.new(b"ours", text.encode(), "sha256").hexdigest()
    with pytest.raises(UntrustedResult, match="made with another key, or for another result"):
        reference(data).load()


@pytest.mark.parametrize(
    "signature", ["\xe9" * 64, "\N{SNOWMAN}", "\ud800", "zz", " ", "\0", "a" * 64, "A" * 10**6]
)
def test_a_malformed_signature_is_an_untrusted_result(
    monkeypatch: pytest.MonkeyPatch, signature: str
) -> None:
    result = reference(store_with(monkeypatch, result_signing_key="ours").store([1, 2]))
    with pytest.raises(UntrustedResult, match="has a signature that was made with another key"):
        dataclasses.replace(result, signature=signature).load()


def test_a_signature_in_capitals_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    result = reference(store_with(monkeypatch, result_signing_key="ours").store([1, 2]))
    with pytest.raises(UntrustedResult):
        dataclasses.replace(result, signature=result.signature.upper()).load()


def test_no_signed_text_is_that_of_two_results(monkeypatch: pytest.MonkeyPatch) -> None:
    """A line feed within a field must not move what follows into the next one."""
    result = reference(store_with(monkeypatch, result_signing_key="ours").store([1, 2]))
    shifted = dataclasses.replace(result, encoding="json\n", compression="5", size=5)
    text = f"json\n\n5\n5\n{result.sha256}\n"
    assert shifted.signed_text() == text
    signature = hmac.new(b"ours", text.encode(), "sha256").hexdigest()
    with pytest.raises(UntrustedResult):
        dataclasses.replace(shifted, signature=signature).load()
    with pytest.raises(ValueError, match="printable"):
        register_serializer("two\nlines", Celsius, str.encode, bytes.decode)


def test_the_key_is_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    settings: Settings = store_with(monkeypatch, result_signing_key="very secret").settings
    assert "very secret" not in repr(settings)


def test_results_are_compressed_where_that_is_asked_for_and_worth_it(monkeypatch: pytest.MonkeyPatch) -> None:
    store = store_with(monkeypatch, result_compression="gzip")
    large, small = store.store(["x" * 10_000]), store.store("x")
    assert (large.compression, small.compression) == ("gzip", "")
    assert gzip.decompress(large.inline) == b'["' + b"x" * 10_000 + b'"]'
    assert large.size_bytes == len(large.inline) < 200
    assert store.load(large) == ["x" * 10_000]
    assert store.store(["x" * 10_000]) == large


def test_an_unknown_compression_is_a_missing_result() -> None:
    with pytest.raises(MissingResult, match="compressed by 'brotli', which is not known here"):
        StoredResult("json", inline=b"1", size=1, compression="brotli").load()


@pytest.mark.parametrize("multiple_members", [False, True])
def test_a_gzip_bomb_takes_no_more_memory_than_the_setting(
    monkeypatch: pytest.MonkeyPatch, multiple_members: bool
) -> None:
    monkeypatch.setenv("CLEARWAY_RESULT_MAX_DECOMPRESSED_BYTES", "1000000")
    forget_settings()
    part = 64 * 2**20 // (64 if multiple_members else 1)
    bomb = gzip.compress(b"0" * part) * (64 if multiple_members else 1)
    result = StoredResult("bytes", inline=bomb, size=len(bomb), compression="gzip")
    tracemalloc.start()
    try:
        with pytest.raises(MissingResult, match=r"1,000,000 bytes.*CLEARWAY_RESULT_MAX_DECOMPRESSED_BYTES"):
            result.load()
        assert tracemalloc.get_traced_memory()[1] < 8_000_000
    finally:
        tracemalloc.stop()


def test_what_could_not_be_decompressed_again_is_not_compressed(monkeypatch: pytest.MonkeyPatch) -> None:
    store = store_with(monkeypatch, result_compression="gzip", result_max_decompressed_bytes="10000")
    exact, larger = store.store(b"x" * 10_000), store.store(b"x" * 10_001)
    assert (exact.compression, larger.compression) == ("gzip", "")
    assert reference(exact).load() == b"x" * 10_000
    assert reference(larger).load() == b"x" * 10_001


@pytest.mark.parametrize(
    "damage",
    [b"", b"no gzip", gzip.compress(b"[1]")[:-4], gzip.compress(b"[1]") + b"x"],
    ids=["empty", "no gzip", "cut off", "followed by more"],
)
def test_what_is_no_gzip_is_a_missing_result(damage: bytes) -> None:
    with pytest.raises(MissingResult, match="cannot be loaded"):
        StoredResult("json", inline=damage, size=len(damage), compression="gzip").load()


@pytest.mark.parametrize("size", [-1, -(2**63)])
def test_a_negative_size_is_refused(size: int) -> None:
    with pytest.raises(MissingResult, match="is damaged: its reference gives its size as -"):
        StoredResult("json", inline=b"1", size=size).load()


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
    with pytest.raises(ValueError, match="not be one of json"):
        register_serializer("json", Celsius, str.encode, bytes.decode)


@pytest.mark.parametrize(
    "failure", [OSError(errno.EMFILE, "Too many open files"), OSError(errno.ENFILE, "x"), MemoryError()]
)
def test_what_lacks_descriptors_or_memory_while_it_is_decoded_is_not_missing(
    monkeypatch: pytest.MonkeyPatch, failure: Exception
) -> None:
    def loads(_: bytes) -> Celsius:
        raise failure

    monkeypatch.setattr(results.serializers, "_custom", {})
    register_serializer("celsius", Celsius, lambda _: b"21", loads)
    with pytest.raises(UnreadableResult, match="cannot be read at present") as caught:
        reference(store_with(monkeypatch).store(Celsius(21))).load()
    assert caught.value.__cause__ is failure


LATER = 1e11  # seconds since 1970, in the year 5138


@pytest.mark.parametrize("url", ["memory://results", "file://{folder}/results"])
def test_a_storage_may_be_a_url(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, url: str) -> None:
    place = url.format(folder=tmp_path)
    store = store_with(monkeypatch, result_storage=place, result_inline_bytes="0")
    data = store.store("x" * 100)
    assert data.location.endswith(data.sha256)
    assert reference(data).load() == "x" * 100
    assert not store._storage.delete(data.sha256, written_before=0.0)
    assert reference(data).load() == "x" * 100
    assert store._storage.delete(data.sha256, written_before=LATER)
    assert store._storage.delete(data.sha256, written_before=LATER)
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


@pytest.fixture
def elsewhere(tmp_path: Path) -> StoredResult:
    """Return a result that is in no storage of this process, though it is where its location says."""
    place = tmp_path / "elsewhere"
    result = reference(get_store(place).store("x" * 100_000))
    forget_place(str(place))
    return result


def test_a_result_outside_the_configured_storages_is_refused(elsewhere: StoredResult, home: Path) -> None:
    with pytest.raises(UntrustedResult) as caught:
        elsewhere.load()
    told = str(caught.value)
    assert told.startswith(f"the result expected at {elsewhere.location} is not read: it is in none of")
    assert f"({home / 'storage'}, service://" in told
    assert "CLEARWAY_RESULT_EXTRA_STORAGES" in told
    assert caught.value.location == elsewhere.location


def test_a_storage_is_added_by_a_setting(elsewhere: StoredResult, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(
        "CLEARWAY_RESULT_EXTRA_STORAGES", f"s3://bucket/x, {Path(elsewhere.location).parents[1]}/ ,"
    )
    forget_settings()
    assert elsewhere.load() == "x" * 100_000


def test_a_storage_is_added_by_defining_a_task_or_flow(elsewhere: StoredResult) -> None:
    @task(result_storage=Path(elsewhere.location).parents[1])
    def work() -> None: ...

    assert elsewhere.load() == "x" * 100_000


def test_results_stay_readable_where_the_storage_of_new_ones_is_another(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    result = reference(store_with(monkeypatch).store("x" * 100_000))
    store_with(monkeypatch, result_storage="memory://new")
    assert result.load() == "x" * 100_000


def test_a_wrong_list_of_storages_is_a_clear_error(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(
        InvalidSetting, match=r"CLEARWAY_RESULT_EXTRA_STORAGES is 's3://a//b'; it must be a URL"
    ):
        store_with(monkeypatch, result_extra_storages="s3://a//b")


@pytest.mark.parametrize("sha256", ["", "../../etc", "0" * 64])
def test_a_location_counts_for_nothing_without_its_digest(elsewhere: StoredResult, sha256: str) -> None:
    register_place(str(Path(elsewhere.location).parents[1]))
    with pytest.raises(UntrustedResult):
        dataclasses.replace(elsewhere, sha256=sha256).load()


def test_a_url_that_a_state_names_is_not_opened() -> None:
    """The scheme says that it would raise, if anything looked at it."""
    result = StoredResult("json", f"nosuch://x/{'0' * 2}/{'0' * 64}", size=1, sha256="0" * 64)
    with pytest.raises(UntrustedResult, match="is in none of the storages"):
        result.load()
    memory = fsspec.filesystem("memory")
    memory.pipe_file("/victims/aa", b"[1]")
    with pytest.raises(UntrustedResult):
        StoredResult("json", "memory://victims/aa", size=3, sha256=sha256(b"[1]").hexdigest()).load()


def test_a_url_s_size_is_looked_at_before_it_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    store = store_with(monkeypatch, result_storage="memory://sized", result_inline_bytes="0")
    result = reference(store.store("x" * 100))
    memory = fsspec.filesystem("memory")
    memory.pipe_file(result.location.removeprefix("memory:/"), b"x" * 5_000_000)
    tracemalloc.start()
    try:
        with pytest.raises(MissingResult, match="is damaged: it is not the 102 bytes"):
            result.load()
        assert tracemalloc.get_traced_memory()[1] < 1_000_000
    finally:
        tracemalloc.stop()
