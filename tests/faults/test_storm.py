"""A short storm over a server and over a shared file. ``python -m faults.storm`` runs longer ones by hand."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from faults.storm.run import run_storm

SECONDS = float(os.environ.get("STORM_SECONDS", "20"))
SEED = int(os.environ.get("STORM_SEED", "7"))


# What comes after the last deed has bounds of its own, some 2 minutes in all on a machine that is busy.
@pytest.mark.timeout(SECONDS + 240)
def test_a_storm_violates_nothing(tmp_path: Path) -> None:
    outcome = run_storm(tmp_path, SECONDS, SEED)
    print(outcome.summary())
    again = f"repeat it with: PYTHONPATH=tests python -m faults.storm --seconds {SECONDS:g} --seed {SEED}"
    assert not outcome.violations, f"{outcome.summary()}\n{again}"
    assert outcome.deeds.total() > 0
    assert outcome.figures["decisions told"] > 0
