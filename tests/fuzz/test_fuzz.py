"""A fuzz run over every RPC and the stream; ``python -m fuzz`` runs longer ones."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from clearway.v1.error_pb2 import ErrorReason
from fuzz.calls import SERVICE, STREAMS, UNARY
from fuzz.oracle import documented_metadata, documented_reasons
from fuzz.run import run_fuzz

MESSAGES = int(os.environ.get("FUZZ_MESSAGES", "3000"))
SEED = int(os.environ.get("FUZZ_SEED", "3"))


@pytest.mark.timeout(120 + MESSAGES // 50)
def test_whatever_is_sent_the_server_stays_as_it_should_be(tmp_path: Path) -> None:
    verdict = run_fuzz(tmp_path, MESSAGES, SEED)
    again = f"repeat it with: PYTHONPATH=tests python -m fuzz --messages {MESSAGES} --seed {SEED}"
    assert not verdict.violations, f"{verdict.summary()}\n{again}"
    assert verdict.messages >= MESSAGES * 0.99
    assert verdict.statuses["OK"] > MESSAGES / 10, "too few messages pass the validation"
    assert verdict.rounds > 0
    assert verdict.pages > 0


def test_each_error_reason_has_its_status_in_the_protocol() -> None:
    names = {name for name, number in ErrorReason.items() if number}
    assert documented_reasons().keys() == names


def test_what_the_metadata_of_each_error_reason_names_stands_in_the_protocol() -> None:
    documented = documented_metadata()
    assert documented["ERROR_REASON_INVALID_ARGUMENT"] == {"field"}
    assert documented["ERROR_REASON_LIMIT_NOT_FOUND"] == {"tag", "limit_id"}
    assert documented["ERROR_REASON_BUSY"] == set()
    assert documented.keys() == documented_reasons().keys()


def test_each_rpc_is_sent_to() -> None:
    assert {method.name for method in [*UNARY, *STREAMS]} == set(SERVICE.methods_by_name)
