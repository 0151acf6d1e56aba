"""What the Java worker says of an address that is none, and of one where nobody is."""

from __future__ import annotations

import pytest

from polyglot.compiled import JAVA

# Whichever test comes first builds the worker.
pytestmark = pytest.mark.timeout(600)


@pytest.mark.parametrize("address", ["h:99999", "a b:80", "http://x:80", "[::1:80", ":80"])
def test_an_address_that_is_none_is_told_in_a_line(address: str) -> None:
    done = JAVA.run("--address", address)
    assert (done.returncode, done.stdout) == (2, "")
    first = done.stderr.splitlines()[0]
    assert first == f"--address is '{address}'; it must be HOST:PORT, with a port up to 65535"


@pytest.mark.parametrize("address", ["nowhere.invalid:80", "[::1]:1"])
def test_an_address_where_nobody_is_is_told_in_a_line(address: str) -> None:
    done = JAVA.run("--address", address)
    assert (done.returncode, done.stdout) == (1, "")
    (line,) = done.stderr.splitlines()
    assert line.startswith(f"no Clearway server answers at {address}: ")
