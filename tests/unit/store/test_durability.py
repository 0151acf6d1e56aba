"""What a commit waits for: nothing but the system, or the disk as well."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from clearway_service.settings import ServiceSettings, SettingError
from clearway_service.store.database import Database


@pytest.mark.parametrize(("synchronous", "level"), [("normal", 1), ("full", 2)])
def test_the_connection_that_writes_waits_for_the_disk_where_it_is_told_to(
    tmp_path: Path, synchronous: str, level: int
) -> None:
    settings = ServiceSettings.from_environment(
        {"CLEARWAY_HOME": str(tmp_path), "CLEARWAY_SYNCHRONOUS": synchronous.upper()}
    )
    with closing(Database(settings.database, settings.synchronous)) as database:
        assert database.driver.execute("PRAGMA synchronous").fetchone() == (level,)


@pytest.mark.parametrize(
    "make",
    [
        lambda: ServiceSettings.from_environment({"CLEARWAY_SYNCHRONOUS": "off"}),
        lambda: replace(ServiceSettings(), synchronous="off"),
    ],
)
def test_a_level_that_loses_decisions_is_refused(make: Callable[[], ServiceSettings]) -> None:
    with pytest.raises(SettingError, match="CLEARWAY_SYNCHRONOUS is 'off'; it must be one of normal, full"):
        make()
