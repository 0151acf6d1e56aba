"""Processes of this machine: which of them have died, for certain."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from clearway_service.processes import is_dead, this_process

NAMED = "from clearway_service.processes import this_process; print(this_process(), flush=True); input()"


def test_a_process_that_lives_is_not_dead() -> None:
    assert not is_dead(this_process())


def test_a_process_is_dead_once_it_has_ended_whether_or_not_its_parent_has_heard() -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", NAMED], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    with process:
        assert process.stdout is not None
        name = process.stdout.readline().strip()
        assert not is_dead(name)
        process.kill()
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)  # a zombie
        assert is_dead(name)
    assert is_dead(name)


def test_a_process_is_dead_whose_number_another_one_has_by_now() -> None:
    host, number, _began = this_process().rsplit("/", 2)
    assert is_dead(f"{host}/{number}/1")


def test_a_process_of_another_host_is_never_known_to_be_dead() -> None:
    assert not is_dead("another boot/another namespace/4194305/1")


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere the system tells it otherwise")
def test_the_name_of_a_process_does_not_depend_on_the_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    pslinux = pytest.importorskip("psutil._pslinux")
    name = this_process()
    booted = pslinux.boot_time()
    monkeypatch.setattr(pslinux, "boot_time", lambda: booted + 60)  # as after the clock was set
    assert this_process() == name
    assert not is_dead(name)
