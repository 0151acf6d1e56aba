"""Which run a call of a task or subflow has: one of its own, or that of an earlier attempt of its flow."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from clearway._base.ids import new_id
from clearway._canonical.digest import arguments_digest
from clearway._canonical.known import KnownTexts, known_texts
from clearway._execution.effects import Work
from clearway._execution.flow.replay import Call, Earlier
from clearway._execution.inputs.held import ATOMS
from clearway._execution.run_key import RunKey

if TYPE_CHECKING:
    from clearway._execution.flow.attempt import FlowAttempt
    from clearway.states import State

_LIGHT: Final = 2_000  # characters of an argument whose digest an event loop's own thread may make


class RunChoice:
    """The key and id of a call's run. In a flow without retries each call has a run of its own.

    Attributes:
        key: The run's key.
        run_id: The run's UUID.
        reused: Whether it is the run of an earlier attempt.
    """

    __slots__ = ("_attempt", "_call", "_number", "key", "reused", "run_id")

    def __init__(self, attempt: FlowAttempt, task_key: str) -> None:
        """Choose a run of its own, for the next call of a task in an attempt."""
        self._attempt = attempt
        self._number = number = attempt.ledger.number_of(task_key)
        self._call: Call | None = None
        replay = attempt.replay
        if replay is None:
            self.key = RunKey(task_key, number, attempt.facts.number)
        else:
            self.key = replay.new_key(task_key, number)
        self.run_id = new_id()
        self.reused = False

    def compared(
        self, function: Callable[..., Any], arguments: Mapping[str, Any], texts: KnownTexts | None = None
    ) -> Work:
        """Return the work of comparing the call with those of earlier attempts, for ``choose``.

        Args:
            function: What is called.
            arguments: The arguments by parameter, the results of futures in their place.
            texts: The canonical texts of arguments that several calls share.
        """
        light = all(_is_light(value) for value in arguments.values())
        return Work(partial(self._compare, function, arguments, texts), light)

    def _compare(
        self, function: Callable[..., Any], arguments: Mapping[str, Any], texts: KnownTexts | None
    ) -> tuple[Call, str]:
        replay = self._attempt.replay
        assert replay is not None
        token = known_texts.set(texts)
        try:
            digest, reason = arguments_digest(arguments)
            return Call(self.key.task_key, replay.variants.of(function), digest), reason
        finally:
            known_texts.reset(token)

    def choose(self, compared: tuple[Call, str] | None = None) -> str:
        """Choose the run of an earlier attempt, if there is one for this call.

        Args:
            compared: What the work of ``compared`` returned; None for a call that is not to start.

        Returns:
            Why a call that may have completed before has a run of its own nevertheless; empty for others.
        """
        replay = self._attempt.replay
        if replay is None:
            return ""
        attempt = self._attempt.facts.number
        call, reason = (Call(self.key.task_key, None, ""), "") if compared is None else compared
        self._call = call
        earlier = replay.claim(attempt, self._number, call)
        if earlier is not None:
            self.key, self.run_id = earlier
            self.reused = True
            return ""
        self.key = self.key.of(call.digest)
        return reason if reason and replay.repeats(call.task_key) else ""

    def choose_own(self) -> bool:
        """Choose a run of its own instead of an earlier one that had not completed.

        Returns:
            Whether it was an earlier one.
        """
        replay = self._attempt.replay
        if replay is None or not self.reused:
            return False
        replay.drop(self.run_id)
        digest = "" if self._call is None else self._call.digest
        self._take(replay.new_key(self.key.task_key, self._number).of(digest))
        return True

    def choose_repair(self) -> None:
        """Choose a run in place of one whose result was lost."""
        replay = self._attempt.replay
        if replay is not None:
            replay.drop(self.run_id)
        self._take(self.key.repaired(self.key.repair + 1))

    def _take(self, key: RunKey) -> None:
        self.key = key
        self.run_id = new_id()
        self.reused = False

    def use(self) -> None:
        """Note that the service is asked to create the run."""
        replay = self._attempt.replay
        if replay is not None and not self.reused:
            replay.use(self.key)

    def ended(self, state: State[Any]) -> None:
        """Note how the run ended, for later attempts; the service knows it."""
        replay = self._attempt.replay
        if replay is not None and self._call is not None:
            run = Earlier(self.key, self.run_id)
            replay.ended(self._attempt.facts.number, self._number, self._call, run, state)


def _is_light(value: object) -> bool:
    if isinstance(value, (str, bytes, bytearray)):
        return len(value) <= _LIGHT
    return type(value) in ATOMS
