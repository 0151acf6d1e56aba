"""Processes of this machine: which of them have died, for certain."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest

from clearway_service.engine.processes import is_alive, is_dead, this_process
from support.waiting import wait_until

NAMED = (
    "from clearway_service.engine.processes import this_process; print(this_process(), flush=True); input()"
)


def test_a_process_that_lives_is_alive_and_not_dead() -> None:
    assert is_alive(this_process())
    assert not is_dead(this_process())


def test_a_process_is_dead_once_it_has_ended_whether_or_not_its_parent_has_heard() -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", NAMED], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    with process:
        assert process.stdout is not None
        name = process.stdout.readline().strip()
        assert is_alive(name)
        assert not is_dead(name)
        process.kill()
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)  # a zombie
        assert is_dead(name)
        assert not is_alive(name)
    assert is_dead(name)
    assert not is_alive(name)


def test_a_process_that_is_stopped_is_neither_dead_nor_provably_alive() -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", NAMED], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    with process:
        assert process.stdout is not None
        name = process.stdout.readline().strip()
        process.send_signal(signal.SIGSTOP)
        wait_until(lambda: not is_alive(name), "the stop")
        assert not is_dead(name)
        process.send_signal(signal.SIGCONT)
        wait_until(lambda: is_alive(name), "the continuation")
        process.kill()


def test_a_program_that_took_over_its_process_knows_that_the_one_before_is_gone() -> None:
    again = """
import sys
from clearway_service.engine.processes import is_alive, is_dead
print(is_dead(sys.argv[1]), is_alive(sys.argv[1]))
"""
    program = f"""
import os, sys
from clearway_service.engine.processes import this_process
os.execv(sys.executable, [sys.executable, "-c", {again!r}, this_process()])
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["True", "False"]


def test_a_process_is_dead_whose_number_another_one_has_by_now() -> None:
    host, number, _began = this_process().rsplit("/", 2)
    assert is_dead(f"{host}/{number}/1")
    assert not is_alive(f"{host}/{number}/1")


def test_a_process_of_another_host_is_never_known_to_be_dead_or_alive() -> None:
    assert not is_dead("another boot/another namespace/4194305/1")
    assert not is_alive(f"another boot/another namespace/{os.getpid()}/1")


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere the system tells it otherwise")
def test_the_name_of_a_process_does_not_depend_on_the_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    pslinux = pytest.importorskip("psutil._pslinux")
    name = this_process()
    booted = pslinux.boot_time()
    monkeypatch.setattr(pslinux, "boot_time", lambda: booted + 60)  # as after the clock was set
    assert this_process() == name
    assert not is_dead(name)
