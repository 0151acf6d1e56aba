"""Bodies: no attempt's code ran twice or without being Running, and never too many at once."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator
from typing import NamedTuple

from faults.storm.checker.violation import Violation
from faults.storm.evidence import Body, Evidence

_RUNNING = 3
# The tolerance between the service's and the machine's clock; a body that lost its run counts shorter by it.
_CLOCK_SECONDS = 0.05
_FOREVER = float("inf")


class _Span(NamedTuple):
    began: float
    ended: float
    body: Body


def check_bodies(evidence: Evidence) -> Iterator[Violation]:
    """Yield the violations in the executions of user code."""
    for attempt, count in Counter(body.attempt for body in evidence.bodies).items():
        if count > 1:
            yield Violation("the body of one attempt ran twice", attempt)
    leaves = _leaves(evidence)
    yield from _check_leave(evidence, leaves)
    spans = [_span(body, evidence, leaves) for body in evidence.bodies]
    for tag, limit in evidence.limits.items():
        yield from _check_overlap(
            [span for span in spans if tag in span.body.tags],
            limit,
            f"the limit of {tag}",
            "a limit was exceeded",
        )
    keys: dict[str, list[_Span]] = defaultdict(list)
    for span in spans:
        if span.body.key:
            keys[span.body.key].append(span)
    for key, computing in keys.items():
        yield from _check_overlap(computing, 1, f"the key {key!r}", "a key was computed twice at a time")


def _leaves(evidence: Evidence) -> dict[str, list[tuple[float, float]]]:
    """Return, by run, the spans in which it was Running by its history, in monotonic time."""
    leaves: dict[str, list[tuple[float, float]]] = defaultdict(list)
    entered: dict[str, float] = {}
    for state in sorted(evidence.states, key=lambda state: (state.run, state.ordinal)):
        at = state.time - evidence.wall_offset
        if (began := entered.pop(state.run, None)) is not None:
            leaves[state.run].append((began, at))
        if state.type == _RUNNING:
            entered[state.run] = at
    for run, began in entered.items():
        leaves[run].append((began, _FOREVER))
    return leaves


def _check_leave(evidence: Evidence, leaves: dict[str, list[tuple[float, float]]]) -> Iterator[Violation]:
    """Check that each body started after its run entered Running, and at most once per entry."""
    bodies: dict[str, list[Body]] = defaultdict(list)
    for body in evidence.bodies:
        bodies[body.run].append(body)
    for run, ran in bodies.items():
        if len(ran) > len(leaves[run]):
            yield Violation("a body ran without leave", f"{run} was Running {len(leaves[run])} times: {ran}")
        first = min((began for began, _ in leaves[run]), default=_FOREVER)
        for body in ran:
            if body.began < first - _CLOCK_SECONDS:
                yield Violation("a body ran without leave", f"{body} began before its run was Running")


def _span(body: Body, evidence: Evidence, leaves: dict[str, list[tuple[float, float]]]) -> _Span:
    """Return the span in which a body counts: until it ended, was killed, or lost its run."""
    ended = _FOREVER if body.ended is None else body.ended
    for life in evidence.lives:
        if life.pid == body.pid and life.client == body.client and life.began <= body.began:
            ended = min(ended, life.killed or _FOREVER)
    mine = [left for began, left in leaves[body.run] if began <= body.began + _CLOCK_SECONDS]
    if mine and mine[-1] < ended:
        ended = mine[-1] - _CLOCK_SECONDS
    return _Span(body.began, max(ended, body.began), body)


def _check_overlap(spans: list[_Span], limit: int, of: str, rule: str) -> Iterator[Violation]:
    """Check that at most ``limit`` of the spans overlap at any time."""
    spans = [span for span in spans if span.ended > span.began]
    changes = [(span.began, 1, index) for index, span in enumerate(spans)]
    # At the same moment, ends come before starts.
    changes += [(span.ended, -1, index) for index, span in enumerate(spans)]
    running: set[int] = set()
    for at, change, index in sorted(changes):
        (running.add if change > 0 else running.discard)(index)
        if len(running) > limit:
            there = [spans[each].body for each in sorted(running)]
            yield Violation(rule, f"{of} is {limit}; at {at:.6f} there ran {there}")
            return
