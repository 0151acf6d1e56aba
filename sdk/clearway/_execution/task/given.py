"""The arguments of a task run, its tags and its cache key."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from clearway._execution.inputs.run_inputs import NO_INPUTS, RunInputs
from clearway._execution.inputs.shared import NOT_SHARED, SharedArguments

if TYPE_CHECKING:
    from clearway._definition.base import TaskDefinition
    from clearway._definition.signature import CallShape


class Given:
    """What a task run was called with; released when the run ends.

    Attributes:
        parameters: The arguments by parameter name.
        shape: Which arguments were positional and which by keyword; None if it makes no difference.
        tags: The task's tags and those in force at the call.
        inputs: The futures, states and results of other runs among the arguments.
        shared: The arguments that all runs of one map have in common.
        cache_key: The key that the result is cached under; empty if it is not cached.
        refreshes_cache: Whether the run ignores a cached result and replaces it with its own.
    """

    __slots__ = ("cache_key", "inputs", "parameters", "refreshes_cache", "shape", "shared", "tags")

    def __init__(
        self,
        task: TaskDefinition,
        parameters: dict[str, Any],
        shape: CallShape | None,
        tags: frozenset[str],
        inputs: RunInputs,
        shared: SharedArguments = NOT_SHARED,
    ) -> None:
        self.parameters = parameters
        self.shape = shape
        self.tags = tags
        self.inputs = inputs
        self.shared = shared
        self.cache_key = ""
        self.refreshes_cache = task.cache_key_fn is not None and task.refreshes_cache()

    def resolve(self) -> None:
        """Replace the futures and states among the arguments with their results.

        Raises:
            MissingResult: A result was deleted, is damaged or comes from an untrusted place.
            UnreadableResult: A result cannot be read at present.
        """
        if self.inputs.to_resolve:
            self.parameters = self.inputs.resolved(self.parameters)

    def let_go(self) -> None:
        """Drop the references to the arguments, which may be large."""
        self.parameters = {}
        self.inputs = NO_INPUTS
        self.shared = NOT_SHARED
