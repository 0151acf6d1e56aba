"""Each scenario, against the engine in this process and a server in another."""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from conformance.engine_target import EngineTarget
from conformance.grpc_target import StartedTarget
from conformance.playing import play
from conformance.reading import read_all
from conformance.steps import Scenario

TESTS = Path(__file__).parents[1]
SCENARIOS = read_all()
ON_AN_ENGINE = [each for each in SCENARIOS if each.needs <= EngineTarget.offers]


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EngineTarget]:
    with EngineTarget(tmp_path_factory.mktemp("engine") / "clearway.db") as target:
        yield target


@pytest.fixture(scope="module")
def started_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StartedTarget]:
    database = tmp_path_factory.mktemp("server") / "clearway.db"
    command = [sys.executable, "-m", "conformance.movable_server", "--database", str(database)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", os.pathsep.join([str(TESTS), os.environ.get("PYTHONPATH", "")]))
        with StartedTarget(shlex.join(command)) as target:
            yield target


@pytest.mark.parametrize("scenario", ON_AN_ENGINE, ids=lambda scenario: scenario.name)
def test_the_engine_in_this_process_conforms(engine: EngineTarget, scenario: Scenario) -> None:
    play(scenario, engine)


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.name)
def test_a_server_conforms(started_server: StartedTarget, scenario: Scenario) -> None:
    play(scenario, started_server)


def test_what_an_engine_alone_cannot_show_is_marked_in_its_file() -> None:
    left_out = [each for each in SCENARIOS if each not in ON_AN_ENGINE]
    assert all(each.needs & {"wire", "restart"} for each in left_out)
    assert len(ON_AN_ENGINE) > 3 * len(left_out)
