"""What clients send stays out of a server's log: a mark to put into it, and the check that it does."""

from __future__ import annotations

import json
from collections.abc import Iterable

# For results, parameters, tags, messages, log lines and cache keys of tests.
PAYLOAD = "payload-that-no-log-has-8d1f"


def assert_no_payload(log: Iterable[str]) -> None:
    """Check that no line of a server's log has the mark in it, however it may be escaped."""
    found = [line for line in log if PAYLOAD in line or PAYLOAD.encode().hex() in line]
    assert not found, f"the log has what a client sent: {found[0][:1_000]}"


def assert_json_lines(log: Iterable[str]) -> None:
    """Check that every line of a server's log is a JSON object with what all have."""
    for line in log:
        assert line.startswith("{"), f"a line is no JSON: {line[:1_000]}"
        assert {"event", "level", "logger", "timestamp"} <= json.loads(line).keys(), line
