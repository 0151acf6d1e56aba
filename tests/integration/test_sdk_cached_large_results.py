"""Cached results that are not in the state itself, read for runs that were submitted and wait for nothing."""

from __future__ import annotations

from pathlib import Path

import pytest

from clearway import flow, task
from clearway._base.settings import forget_settings
from clearway._transport.current import disconnect

LARGE = b"x" * 200_000
_SECONDS = 30


@pytest.fixture(params=["service://", "directory"])
def key(request: pytest.FixtureRequest, service: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Keep results outside of their states; return a cache key of the test's own."""
    place = str(tmp_path / "results") if request.param == "directory" else request.param
    monkeypatch.setenv("CLEARWAY_RESULT_STORAGE", place)
    disconnect()
    forget_settings()
    return f"{service} {request.node.name}"


def test_submitted_and_mapped_runs_read_them(key: str) -> None:
    computed: list[int] = []

    @task(cache_key_fn=lambda _context, parameters: f"{key} {parameters['number']}")
    def make(number: int) -> bytes:
        computed.append(number)
        return LARGE

    @flow
    def all_of_them() -> list[bytes]:
        futures = [make.submit(0), *make.map([1, 2, 3])]
        return [future.result(timeout=_SECONDS) for future in futures]

    assert all_of_them() == all_of_them() == [LARGE] * 4
    assert sorted(computed) == [0, 1, 2, 3]


async def test_so_do_those_of_an_async_flow(key: str) -> None:
    computed: list[int] = []

    @task(cache_key_fn=lambda _context, parameters: f"{key} {parameters['number']}")
    async def make(number: int) -> bytes:
        computed.append(number)
        return LARGE

    @flow
    async def all_of_them() -> list[bytes]:
        futures = [await make.submit(number) for number in range(3)]
        return [await future.result(timeout=_SECONDS) for future in futures]

    assert await all_of_them() == await all_of_them() == [LARGE] * 3
    assert sorted(computed) == [0, 1, 2]
