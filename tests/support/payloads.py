"""A marker for clients' data, and the check that it never appears in a server's log."""

from __future__ import annotations

import json
from collections.abc import Iterable

# Put into results, parameters, tags, messages, log lines and cache keys of tests.
PAYLOAD = "payload-that-no-log-has-8d1f"


def assert_no_payload(log: Iterable[str]) -> None:
    """Check that no line of a server's log contains the marker, even escaped."""
    found = [line for line in log if PAYLOAD in line or PAYLOAD.encode().hex() in line]
    assert not found, f"the log contains a client's data: {found[0][:1_000]}"


def assert_json_lines(log: Iterable[str]) -> None:
    """Check that every line of a server's log is a JSON object with the common fields."""
    for line in log:
        assert line.startswith("{"), f"a line is not JSON: {line[:1_000]}"
        assert {"event", "level", "logger", "timestamp"} <= json.loads(line).keys(), line
