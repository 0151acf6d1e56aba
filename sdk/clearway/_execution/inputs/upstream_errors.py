"""The error of a run that did not start: which upstream run did not complete, and how it ended."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from clearway._base.error_kinds import RunErrorKind
from clearway._base.texts import encodable, shortened
from clearway._base.unsigned import marked
from clearway.exceptions import UpstreamTaskError
from clearway.states import State

if TYPE_CHECKING:
    from clearway.run_errors import RunError

_MAX_STATE: Final = 500  # characters
_TYPE: Final = f"{UpstreamTaskError.__module__}.{UpstreamTaskError.__qualname__}"


def upstream_error(upstream: str, state: State[Any]) -> RunError:
    """Return the error of a run that did not start.

    A run downstream of one that did not start reports the first failure of the chain too. Its error contains
    that first ``UPSTREAM`` error and none in between, so it stays small however long the chain is.

    Args:
        upstream: What did not complete, for people.
        state: The state it is in.

    Returns:
        An error of the kind ``UPSTREAM``.
    """
    from clearway.run_errors import RunError  # noqa: PLC0415 - most runs have none

    error = state.error
    if error is not None and error.kind is RunErrorKind.UPSTREAM:
        first = error.cause if error.cause is not None and error.cause.kind is error.kind else error
        why = f"NotReady, since {marked(shortened(first.message, _MAX_STATE))}"
        cause: RunError | None = first
    else:
        why = marked(shortened(str(state), _MAX_STATE))
        cause = None if error is None else _brief(error)
    message = encodable(f"{upstream} did not complete: it is {why}")
    return RunError(_TYPE, message, cause=cause, kind=RunErrorKind.UPSTREAM)


def _brief(error: RunError) -> RunError:
    """Return an error without its large parts, since thousands of runs may carry it."""
    return replace(
        error, message=shortened(error.message, _MAX_STATE), stack_trace="", cause=None, members=()
    )
