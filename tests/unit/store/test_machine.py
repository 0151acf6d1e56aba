"""The store on SQLite beside the model, under whatever may happen: both say and hold the same."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, settings

from clearway_service.store import queue_loading
from clearway_service.store.database import Database
from support.engines import ModelEngine, Store, Turn
from support.machine import CoreMachine
from support.model_loading import Depths
from support.sqlite_store import SqliteStore, contents

# All of it is computing, and takes long beside other tests that compute too.
pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


class SqliteBesideModel(CoreMachine):
    """Every turn is done on both; queues are loaded as far as the model's are."""

    depths = Depths(head=1, woken=3, elders=1)

    def __init__(self) -> None:
        super().__init__()
        self._usual = Depths(queue_loading._HEAD, queue_loading._WOKEN, queue_loading._ELDERS)
        queue_loading._HEAD, queue_loading._WOKEN, queue_loading._ELDERS = self.depths
        self._folder = tempfile.TemporaryDirectory()
        self._sqlite = SqliteStore(Database(Path(self._folder.name) / "store.db"))
        self._its_engines = [ModelEngine(engine.owner) for engine in self.engines]

    def stores(self) -> list[tuple[Store, list[ModelEngine]]]:
        return [*super().stores(), (self._sqlite, self._its_engines)]

    def same(self, done: list[Turn]) -> None:
        by_model, by_sqlite = done
        assert by_sqlite.outcomes == by_model.outcomes
        assert by_sqlite.replayed == by_model.replayed
        assert by_sqlite.woken == by_model.woken
        assert by_sqlite.woken_tags == by_model.woken_tags
        assert by_sqlite.ended_runs == by_model.ended_runs
        assert [each.wake_again for each in self._its_engines] == [each.wake_again for each in self.engines]
        held, expected = self._sqlite.contents(), contents(self.model)
        for table, rows in expected.items():
            assert held[table] == rows, table

    def teardown(self) -> None:
        try:
            super().teardown()
        finally:
            queue_loading._HEAD, queue_loading._WOKEN, queue_loading._ELDERS = self._usual
            self._sqlite.database.close()
            self._folder.cleanup()


TestSqliteBesideModel = SqliteBesideModel.TestCase
TestSqliteBesideModel.settings = settings(
    max_examples=25,
    stateful_step_count=30,
    deadline=None,
    derandomize=True,
    database=None,
    phases=(Phase.generate, Phase.shrink),
    report_multiple_bugs=False,
    suppress_health_check=list(HealthCheck),
)
