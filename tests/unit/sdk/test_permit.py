from __future__ import annotations

from clearway._execution.admission import Gate
from clearway._execution.task.permit import Permit, Stage


class Run:
    """A run that asks for a permit."""

    tags = frozenset({"narrow"})

    def __init__(self, gate: Gate) -> None:
        self.permit = Permit(gate)
        self.went_on = 0

    def ask(self) -> bool:
        if not self.permit.ask(self):
            return False
        self.permit.hold()
        return True

    def go_on(self) -> None:
        self.permit.hold()
        self.went_on += 1


def free(gate: Gate) -> bool:
    """Return whether a run that comes now would be let in; it gives its permit back."""
    other = Run(gate)
    if not other.ask():
        return False
    other.permit.give_back()
    return True


def test_a_permit_is_given_back_once() -> None:
    gate = Gate(1)
    run = Run(gate)
    assert run.ask()
    run.permit.give_back()
    run.permit.give_back()
    first, second = Run(gate), Run(gate)
    assert first.ask()
    assert not second.ask()


def test_the_end_of_a_run_whose_code_was_run_is_proposed_without_a_permit() -> None:
    gate = Gate(1)
    run = Run(gate)
    assert run.ask()
    run.permit.proposed()  # its start, which needs one
    assert run.permit.stage is Stage.HELD
    run.permit.spend()
    assert run.permit.is_held
    run.permit.proposed()
    assert run.permit.stage is Stage.NONE
    assert free(gate)


def test_a_run_without_a_permit_spends_none() -> None:
    gate = Gate(1)
    run = Run(gate)
    run.permit.spend()
    run.permit.proposed()
    assert run.permit.stage is Stage.NONE
    assert Run(gate).ask()
    assert not Run(gate).ask()


def test_a_run_that_waits_for_a_slot_lets_others_go_on_and_is_let_in_again_when_it_is_granted_one() -> None:
    gate = Gate(1)
    run = Run(gate)
    assert run.ask()
    waiting = Run(gate)
    waiting.tags = frozenset()
    assert not waiting.ask()
    run.permit.queued(run, for_slot=True)
    run.permit.queued(run, for_slot=True)
    assert waiting.went_on == 1
    run.permit.decided(run, accepted=True)
    assert run.permit.stage is Stage.HELD
    run.permit.give_back()
    waiting.permit.give_back()
    assert free(gate)


def test_a_run_that_is_not_granted_its_slot_has_no_permit() -> None:
    gate = Gate(1)
    run = Run(gate)
    assert run.ask()
    for for_slot in (True, False):
        run.permit.queued(run, for_slot=for_slot)
        run.permit.decided(run, accepted=False)
        assert run.permit.stage is Stage.NONE
    run.permit.decided(run, accepted=True)  # of a proposal that did not wait
    assert run.permit.stage is Stage.NONE
