"""Killed or stopped clients: their slots pass to others, and their late proposals are refused."""

from __future__ import annotations

import signal

from support.client import Client
from support.database import slots_of_the_dead
from support.limits import held_by, set_limit
from support.proposals import COMPLETED, create_flow, get_task, move, names, start
from support.server import Server
from support.waiting import wait_until
from support.workers import Worker


def holder(server: Server, flow: str, tag: str) -> Worker:
    return Worker("support.holding", server.address, flow, tag)


def test_the_slot_of_a_killed_client_goes_to_the_next(impatient_server: Server) -> None:
    with Client(impatient_server.address) as client:
        flow, tag = create_flow(client).spec.id, set_limit(client, 1)
        with holder(impatient_server, flow, tag) as victim:
            held = victim.hear("holds")
            waits = start(flow, tags=[tag])
            stream = client.open()
            assert stream.decide(waits).wait.queued
            victim.kill()

            def granted() -> bool:
                stream.ping(1)
                return len(stream.decisions(waits.id)) == 2

            wait_until(granted, "the grant")
        assert stream.final(waits.id).HasField("accept")
        assert names(client, held) == ["Running", "Crashed"]
        assert f"holder {victim.pid}" in get_task(client, held).state.message
        assert held_by(client, tag) == [waits.create_task_run.id]
        assert slots_of_the_dead(impatient_server.database) == []
        stream.decide(move(waits.create_task_run.id, COMPLETED))
        stream.say_goodbye()


def test_a_client_that_was_stopped_past_its_lease_is_told_so(impatient_server: Server) -> None:
    with Client(impatient_server.address) as client:
        flow, tag = create_flow(client).spec.id, set_limit(client, 1)
        with holder(impatient_server, flow, tag) as victim:
            held = victim.hear("holds")
            victim.send(signal.SIGSTOP)
            wait_until(lambda: get_task(client, held).state.name == "Crashed", "the end of the lease")
            successor = client.open()
            taken = successor.decide(start(flow, tags=[tag]))
            assert taken.HasField("accept")
            victim.send(signal.SIGCONT)
            victim.tell("COMPLETED")
            told = victim.hear("answers")
            # Its stream may have ended first, with its session; the run's state has the reason in any case.
            reason, message = told[-1]
            assert reason == "TERMINAL"
            assert f"holder {victim.pid}" in message
            assert "it was last seen at" in message
            assert told[:-1] in ([], [["ERROR_REASON_SESSION_EXPIRED", ""]])
        assert names(client, held) == ["Running", "Crashed"]
        assert held_by(client, tag) == [taken.run_id]


def test_a_client_that_was_stopped_within_its_lease_goes_on(impatient_server: Server) -> None:
    with Client(impatient_server.address) as client:
        flow, tag = create_flow(client).spec.id, set_limit(client, 1)
        with holder(impatient_server, flow, tag) as victim:
            held = victim.hear("holds")
            victim.send(signal.SIGSTOP)
            victim.send(signal.SIGCONT)
            victim.tell("COMPLETED")
            assert victim.hear("answers") == [["accept", ""]]
        assert names(client, held) == ["Running", "Completed"]
