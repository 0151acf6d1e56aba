"""Writing the log lines of runs."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import NamedTuple

from clearway_service.errors import RunNotFoundError
from clearway_service.store import rendered_statements as statements
from clearway_service.store.bulk import execute_rows
from clearway_service.store.loading_parts import array
from clearway_service.store.transaction import Transaction


class LogRow(NamedTuple):
    """One line of a run's log. ``timestamp`` is in microseconds since 1970; None for the time of arrival."""

    flow_run_id: str
    task_run_id: str
    logger: str
    level: int
    message: str
    timestamp: int | None


def write_logs(
    rows: Sequence[LogRow], flow_run_ids: Collection[str] | None = None
) -> Callable[[Transaction], None]:
    """Return the command that writes ``rows``.

    Args:
        rows: The lines.
        flow_run_ids: The flow runs that must exist for the command to write anything; None for those of
            ``rows``.
    """

    def command(transaction: Transaction) -> None:
        ids = {row.flow_run_id for row in rows} if flow_run_ids is None else set(flow_run_ids)
        if ids:
            found = {id_ for (id_,) in transaction.driver.execute(statements.FLOW_RUN_IDS, (array(ids),))}
            if unknown := ids - found:
                first = min(unknown)
                raise RunNotFoundError(f"no flow run has the id {first}", "logs.flow_run_id", run_id=first)
        values = [
            row if row.timestamp is not None else row._replace(timestamp=transaction.now) for row in rows
        ]
        execute_rows(transaction.driver, statements.INSERT_LOG, values)

    return command
