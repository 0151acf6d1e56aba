"""DeadlockLog: one line for each run that waits for a slot which its own ancestor holds."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from itertools import chain

from clearway_service.core.decisions import Wait
from clearway_service.core.proposals import Answer
from clearway_service.store.transaction import Entangled
from clearway_service.texts import plain

logger = logging.getLogger(__name__)

# So many pairs are remembered; one that is seen again after as many others is told once more.
_REMEMBERED = 4_096


class DeadlockLog:
    """Warns of runs that hold each other up. Belongs to the pipeline's thread."""

    def __init__(self) -> None:
        self._told: dict[tuple[str, str], None] = {}

    def tell(self, found: Iterable[Entangled], results: Iterable[Iterable[object]]) -> None:
        """Log what was found, and what results say, but for pairs that were logged before."""
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
