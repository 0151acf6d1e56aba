"""The type of ``wait_for``'s items, for type checkers."""

from __future__ import annotations

from typing import Any, TypeAlias

from clearway._definition.annotations import allow_failure
from clearway.futures import Future
from clearway.states import State

Upstream: TypeAlias = Future[Any] | State[Any] | allow_failure[Any]
"""What ``wait_for`` accepts, for type checkers; at run time also plain results of tasks."""
