"""More orphaned results than one call to the service lists; each service of this file has these only."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from clearway._results import unused as _unused_results
from clearway.results import delete_orphaned_results
from integration.sdk_foreign import victim

pytestmark = pytest.mark.usefixtures("service")

AT_ONCE = timedelta(0)


def test_more_orphans_than_a_page_holds_are_all_examined(
    tmp_path: Path, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_unused_results, "_LIMIT", 2)
    files = [victim(home / "storage", f"pages {number}") for number in range(5)]
    for file in files:
        file.orphan()
    deleted = [result.location for result in delete_orphaned_results(AT_ONCE)]
    assert deleted == [str(file.path) for file in files]
    assert not any(file.path.exists() for file in files)
    # What remains is a stranger's, and the search for more ends.
    stranger = victim(tmp_path / "stranger", "stranger")
    stranger.orphan()
    assert [result.location for result in delete_orphaned_results(AT_ONCE)] == [str(stranger.path)]
