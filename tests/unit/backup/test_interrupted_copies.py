"""A copy that a signal interrupts at its very beginning: nothing uses its connection after that."""

from __future__ import annotations

import sqlite3
import threading
from contextlib import closing

import pytest

from clearway_service.store import copies


def test_work_whose_thread_has_begun_when_the_signal_comes_is_awaited(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    begun, start = threading.Event(), threading.Thread.start
    slow = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n"
    ended: list[str] = []

    def interrupted(thread: threading.Thread) -> None:
        """Begin, and raise as a signal does that comes while the caller waits for that."""
        start(thread)
        assert begun.wait(30)
        raise KeyboardInterrupt

    with closing(sqlite3.connect(":memory:", check_same_thread=False)) as connection:

        def work() -> None:
            begun.set()
            try:
                connection.execute(slow)
            except sqlite3.OperationalError as error:
                ended.append(str(error))
                raise

        monkeypatch.setattr(threading.Thread, "start", interrupted)
        with pytest.raises(KeyboardInterrupt):
            copies._run(connection, work)
        assert ended == ["interrupted"]
