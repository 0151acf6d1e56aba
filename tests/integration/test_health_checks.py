"""Health checks, as load balancers make them."""

from __future__ import annotations

from pathlib import Path

from support.full_disk import full_disk
from support.health import NOT_SERVING, ORCHESTRATOR, SERVING, HealthWatch
from support.server import Server


def test_one_that_watches_hears_of_changes_although_another_has_left(server: Server) -> None:
    with HealthWatch(server.address) as stays, HealthWatch(server.address) as leaves:
        stays.await_status(SERVING)
        leaves.await_status(SERVING)
        leaves.close()
        assert leaves.ended.wait(30)
        with full_disk(server.pid):
            stays.await_status(NOT_SERVING)
        stays.await_status(SERVING)


def test_a_service_that_is_not_known_is_watched_as_such(server: Server) -> None:
    with HealthWatch(server.address, "nobody") as watch:
        watch.await_status("SERVICE_UNKNOWN")


def test_sigterm_ends_the_calls_that_watch_and_does_not_wait_for_them(tmp_path: Path) -> None:
    with (
        Server(tmp_path / "server.db", environment={"CLEARWAY_SHUTDOWN_GRACE_SECONDS": "60"}) as server,
        HealthWatch(server.address, ORCHESTRATOR) as watch,
    ):
        watch.await_status(SERVING)
        assert server.stop() == 0
        assert watch.ended.wait(30)
        assert watch.seen == [SERVING, NOT_SERVING]
