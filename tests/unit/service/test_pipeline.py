"""Many threads that submit at once, also while the engine closes."""

from __future__ import annotations

import threading
from collections import Counter
from typing import TYPE_CHECKING

from clearway_service.core.proposals import Proposal
from clearway_service.core.runs import RunKind
from clearway_service.core.states import ProposedState, StateType
from clearway_service.engine.clock import new_id
from clearway_service.engine.inbox import Result

if TYPE_CHECKING:
    from unit.service.conftest import Service

THREADS, EACH = 8, 300


def test_each_proposal_is_answered_once_whether_or_not_the_engine_closes_meanwhile(service: Service) -> None:
    pipeline = service.engine.pipeline
    answered: Counter[str] = Counter()
    kinds: Counter[str] = Counter()
    first = threading.Event()

    def reply(results: list[Result]) -> None:
        answered.update(result.proposal_id for result in results)
        kinds.update(type(result).__name__ for result in results)
        first.set()

    ids = [[new_id() for _ in range(EACH)] for _ in range(THREADS)]

    def submit(own: list[str]) -> None:
        for id_ in own:
            state = ProposedState(StateType.RUNNING)
            pipeline.submit([Proposal(id_, RunKind.TASK, new_id(), state)], reply)

    threads = [threading.Thread(target=submit, args=(own,)) for own in ids]
    for thread in threads:
        thread.start()
    assert first.wait(30)
    service.close()
    for thread in threads:
        thread.join()
    late = pipeline.run(lambda _transaction: None)
    assert late.exception() is not None
    submit(["after the end"])
    assert answered == Counter([*(id_ for own in ids for id_ in own), "after the end"])
    assert kinds["Failure"] >= 1
    assert kinds["Refusal"] >= 1
