"""Replies: delivers results to clients, and updates their budgets."""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Iterable
from concurrent.futures import Future
from typing import Any

from clearway_service.engine.budget import Caller
from clearway_service.engine.submitted import Reply, Result, Submitted
from clearway_service.errors import ClearwayError, ShuttingDownError, StoreUnavailableError, reason_of

logger = logging.getLogger(__name__)


def send(reply: Reply, results: list[Result]) -> None:
    """Deliver results to a client; an error is logged, so that other clients still get theirs."""
    try:
        reply(results)
    except Exception:
        logger.exception("%d results could not be delivered to a client", len(results))


def resolve(future: Future[Any], value: Any, error: ClearwayError | None) -> None:
    """Set the result of a command's future, unless the caller has cancelled it."""
    if not future.set_running_or_notify_cancel():
        return
    if error is not None:
        future.set_exception(error)
    else:
        future.set_result(value)


def settle(entries: Iterable[Submitted]) -> None:
    """Stop counting decided proposals in their clients' budgets."""
    sizes: dict[Caller, int] = {}
    for entry in entries:
        caller = entry.caller
        if caller is not None and entry.size:
            sizes[caller] = sizes.get(caller, 0) + entry.size
    for caller, size in sizes.items():
        caller.settle(size)


def going_down() -> ShuttingDownError:
    """Return the error for work that arrived after shutdown began."""
    return ShuttingDownError("the service is shutting down; try again when it is back")


def failure_of(error: Exception) -> ClearwayError:
    """Return the error for clients of a failed transaction; faults of the service are logged."""
    if isinstance(error, ClearwayError):
        return error
    logger.error("a transaction failed and was rolled back", exc_info=error)
    reason = reason_of(error)
    if isinstance(getattr(error, "orig", None) or error, sqlite3.Error):
        return StoreUnavailableError(f"the database did not accept the transaction: {reason}")
    return StoreUnavailableError(f"the service failed ({reason}); its log says where")
