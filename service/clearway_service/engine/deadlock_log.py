"""DeadlockLog: warns once about each run that waits for a slot held by its own ancestor."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from itertools import chain

from clearway_service.core.decisions import Wait
from clearway_service.core.proposals import Answer
from clearway_service.store.transaction import Entangled
from clearway_service.texts import plain

logger = logging.getLogger(__name__)

# How many pairs are remembered; an evicted pair that is seen again is logged again.
_REMEMBERED = 4_096


class DeadlockLog:
    """Warns about runs that block each other. Belongs to the pipeline's thread."""

    def __init__(self) -> None:
        self._told: dict[tuple[str, str], None] = {}

    def tell(self, found: Iterable[Entangled], results: Iterable[Iterable[object]]) -> None:
        """Log the pairs in ``found`` and in the waits among ``results``, except those already logged."""
        for entangled in found:
            self._tell(entangled)
        for result in chain.from_iterable(results):
            if isinstance(result, Answer) and isinstance(result.decision, Wait) and result.decision.ancestors:
                for ancestor in result.decision.ancestors:
                    self._tell(Entangled(result.run.id, result.run.name, ancestor))

    def _tell(self, entangled: Entangled) -> None:
        run_id, name, ancestor = entangled
        if (run_id, ancestor.run_id) in self._told:
            return
        self._told[run_id, ancestor.run_id] = None
        if len(self._told) > _REMEMBERED:
            del self._told[next(iter(self._told))]
        logger.warning(
            "task run %s (%s) waits for a slot of tag '%s' that is held by its own ancestor %s (%s), "
            "whose code waits for it",
            plain(name),
            run_id,
            plain(ancestor.held.name),
            plain(ancestor.name),
            ancestor.run_id,
        )
