"""A short storm on a server and on a shared file; ``python -m faults.storm`` runs longer ones."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing

import pytest

from faults.storm.checker import check
from faults.storm.gathering import gather
from faults.storm.records import read_record
from faults.storm.run import Outcome, run_storm
from faults.storm.world import World

SECONDS = float(os.environ.get("STORM_SECONDS", "20"))
SEED = int(os.environ.get("STORM_SEED", "7"))

# The phases after the last deed have their own bounds, about 2 minutes in total on a busy machine.
pytestmark = pytest.mark.timeout(SECONDS + 240)


@pytest.fixture(scope="module")
def outcome(tmp_path_factory: pytest.TempPathFactory) -> Outcome:
    return run_storm(tmp_path_factory.mktemp("storm"), SECONDS, SEED)


def rules(world: World) -> set[str]:
    return {violation.rule for violation in check(gather(world))}


def change(world: World, statement: str) -> None:
    with closing(sqlite3.connect(world.database)) as connection, connection:
        assert connection.execute(statement).rowcount == 1


def test_a_storm_violates_nothing(outcome: Outcome) -> None:
    again = f"PYTHONPATH=tests python -m faults.storm --seconds {SECONDS:g} --seed {SEED}"
    assert not outcome.violations, f"{outcome.summary()}\nrepeat it with: {again}"
    assert outcome.deeds.total() > 0
    for figure in ("decisions told", "bodies", "flows"):
        assert outcome.figures[figure] > 0, outcome.summary()


def test_what_is_changed_in_the_databases_afterwards_is_found(outcome: Outcome) -> None:
    for world in outcome.worlds:
        told = next(
            line["told"]
            for name in world.herd.members
            for line in read_record(world.folder / f"client-{name}.jsonl")
            if line.get("answer") == "accept"
        )
        before = rules(world)
        change(world, f"UPDATE state SET name = 'Forged' WHERE id = '{told}'")
        assert rules(world) - before == {"a decision is not what was told"}
        change(world, f"DELETE FROM state WHERE id = '{told}'")
        assert "a decision that was told is lost" in rules(world) - before
