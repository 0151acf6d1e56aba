"""What the tests that run against a service share."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from clearway._base.settings import forget_settings
from clearway._transport.current import disconnect
from support.client import Client
from support.server import Server


@pytest.fixture(autouse=True)
def fresh_sdk(home: Path) -> Iterator[None]:
    """Let the SDK in this process begin anew: settings read again, no connection from the test before."""
    del home
    disconnect()
    forget_settings()
    yield
    disconnect()
    forget_settings()


@pytest.fixture(scope="module")
def shared_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Run one server for all tests of a file, which must therefore use tags and keys of their own."""
    with Server(tmp_path_factory.mktemp("server") / "server.db") as running:
        yield running


@pytest.fixture(params=["embedded", "server"])
def service(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Point the SDK to the embedded engine, then to a server; return which of the two."""
    if request.param == "server":
        monkeypatch.setenv("CLEARWAY_ADDRESS", request.getfixturevalue("shared_server").address)
    return str(request.param)


@pytest.fixture
def caller(shared_server: Server) -> Iterator[Client]:
    """Talk to the file's server in the protocol, without the SDK."""
    with Client(shared_server.address) as client:
        yield client
