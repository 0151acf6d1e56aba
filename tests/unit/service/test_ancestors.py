"""Runs that wait for a slot that their own ancestor holds: their wait says so, and the log says it once."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from clearway.v1.proposal_pb2 import Proposal, SetTaskRunStateRequest
from support.local import LocalClient
from support.proposals import COMPLETED, RUNNING, move, seconds, start

if TYPE_CHECKING:
    from unit.service.conftest import Service

TAG = "disk"


def begin(service: Service, client: LocalClient, name: str, *tags: str) -> str:
    """Start a run that may run at once; return its id."""
    decision = client.decide(start(service.flow_id, name=name, tags=tags))
    assert decision.HasField("accept")
    return decision.run_id


def note(client: LocalClient, *awaits: tuple[str, str]) -> None:
    """Say who waits for whom."""
    client.connection.note_awaits(list(awaits))


def child_of(service: Service, *tags: str) -> tuple[Proposal, str]:
    proposal = start(service.flow_id, name="child", tags=tags or [TAG])
    return proposal, proposal.create_task_run.id


def lines(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [each.getMessage() for each in caplog.records if "ancestor" in each.getMessage()]


class TestWhoIsAwaitedAlready:
    def test_the_wait_and_the_log_name_the_ancestor(
        self, service: Service, caplog: pytest.LogCaptureFixture
    ) -> None:
        service.limit(TAG, 1)
        client = service.client()
        parent = begin(service, client, "parent", TAG)
        child, child_id = child_of(service)
        note(client, (parent, child_id))
        wait = client.decide(child).wait
        assert wait.queued
        assert wait.message == (
            "no free slot for tag 'disk'; a slot of tag 'disk' is held by its own ancestor parent, "
            "whose code waits for this run"
        )
        (line,) = lines(caplog)
        assert line == (
            f"task run child ({child_id}) waits for a slot of tag 'disk' that is held by its own ancestor "
            f"parent ({parent}), whose code waits for it"
        )
        note(client, (parent, child_id))
        assert client.decide(move(child_id, RUNNING)).wait.message == wait.message
        assert len(lines(caplog)) == 1

    def test_two_ancestors_that_hold_both_slots_are_both_named(
        self, service: Service, caplog: pytest.LogCaptureFixture
    ) -> None:
        service.limit(TAG, 2)
        client = service.client()
        eldest, parent = (begin(service, client, name, TAG) for name in ("eldest", "parent"))
        child, child_id = child_of(service)
        note(client, (eldest, parent), (parent, child_id))
        message = client.decide(child).wait.message
        assert "held by its own ancestor parent; " in message
        assert message.endswith("held by its own ancestor eldest, whose code waits for this run")
        assert [parent in line for line in lines(caplog)] == [True, False]
        assert [eldest in line for line in lines(caplog)] == [False, True]

    def test_of_many_ancestors_the_nearest_are_named(self, service: Service) -> None:
        service.limit(TAG, 5)
        client = service.client()
        elders = [begin(service, client, f"elder {number}", TAG) for number in range(5)]
        child, child_id = child_of(service)
        note(client, *zip(elders, [*elders[1:], child_id], strict=True))
        message = client.decide(child).wait.message
        assert [f"elder {number}" in message for number in range(5)] == [False, False, True, True, True]
        assert "and 2 more" in message

    def test_an_ancestor_may_wait_through_others(
        self, service: Service, caplog: pytest.LogCaptureFixture
    ) -> None:
        service.limit(TAG, 1)
        client = service.client()
        parent = begin(service, client, "parent", TAG)
        middle = begin(service, client, "middle")
        child, child_id = child_of(service)
        note(client, (parent, middle), (middle, child_id))
        assert "held by its own ancestor parent" in client.decide(child).wait.message
        (line,) = lines(caplog)
        assert parent in line
        assert child_id in line

    @pytest.mark.parametrize("what", ["waits no longer", "has ended", "has no slot"])
    def test_one_that_holds_nothing_up_is_not_named(
        self, service: Service, caplog: pytest.LogCaptureFixture, what: str
    ) -> None:
        service.limit(TAG, 1)
        client = service.client()
        parent = begin(service, client, "parent", *([] if what == "has no slot" else [TAG]))
        child, child_id = child_of(service)
        note(client, (parent, child_id))
        if what == "waits no longer":
            note(client, (parent, ""))
        if what == "has ended":
            client.decide(move(parent, COMPLETED))
        if what != "waits no longer":
            begin(service, client, "stranger", TAG)
        wait = client.decide(child).wait
        assert wait.queued
        assert wait.message == "no free slot for tag 'disk'"
        assert lines(caplog) == []

    @pytest.mark.parametrize("patience", [0, 0.01], ids=["not at all", "for a while"])
    def test_a_unary_caller_is_told_so_too(self, service: Service, patience: float) -> None:
        service.limit(TAG, 1)
        client = service.client()
        parent = begin(service, client, "parent", TAG)
        child, child_id = child_of(service)
        note(client, (parent, child_id))
        client.decide(child)
        client.connection.withdraw([child.id])
        request = SetTaskRunStateRequest(task_run_id=child_id, state=RUNNING, wait_timeout=seconds(patience))
        wait = service.call("SetTaskRunState", request).decision.wait
        assert not wait.queued
        assert "held by its own ancestor parent" in wait.message


class TestWhoWaitsAlready:
    def test_the_log_names_the_ancestor_once(
        self, service: Service, caplog: pytest.LogCaptureFixture
    ) -> None:
        service.limit(TAG, 1)
        client = service.client()
        parent = begin(service, client, "parent", TAG)
        child, child_id = child_of(service)
        assert client.decide(child).wait.message == "no free slot for tag 'disk'"
        for _ in range(2):
            note(client, (parent, child_id))
            begin(service, client, "another")
        (line,) = lines(caplog)
        for said in (child_id, parent, "'disk'", "child", "parent"):
            assert said in line

    @pytest.mark.parametrize("last", ["the holder", "the middle"])
    def test_the_log_names_one_that_waits_through_others(
        self, service: Service, caplog: pytest.LogCaptureFixture, last: str
    ) -> None:
        service.limit(TAG, 1)
        client = service.client()
        parent = begin(service, client, "parent", TAG)
        middle = begin(service, client, "middle")
        child, child_id = child_of(service)
        client.decide(child)
        awaits = [(middle, child_id), (parent, middle)]
        for each in awaits if last == "the holder" else awaits[::-1]:
            assert lines(caplog) == []
            note(client, each)
            begin(service, client, "another")
        (line,) = lines(caplog)
        assert child_id in line
        assert parent in line

    def test_both_of_two_ancestors_are_named(
        self, service: Service, caplog: pytest.LogCaptureFixture
    ) -> None:
        service.limit(TAG, 2)
        client = service.client()
        eldest, parent = (begin(service, client, name, TAG) for name in ("eldest", "parent"))
        child, child_id = child_of(service)
        client.decide(child)
        note(client, (eldest, parent))
        note(client, (parent, child_id))
        begin(service, client, "another")
        assert len(lines(caplog)) == 2

    def test_a_slot_of_a_tag_that_has_free_ones_holds_nobody_up(
        self, service: Service, caplog: pytest.LogCaptureFixture
    ) -> None:
        service.limit("wide", 9)
        service.limit(TAG, 1)
        client = service.client()
        parent = begin(service, client, "parent", "wide")
        begin(service, client, "stranger", TAG)
        child, child_id = child_of(service, TAG, "wide")
        client.decide(child)
        note(client, (parent, child_id))
        begin(service, client, "another")
        assert lines(caplog) == []
