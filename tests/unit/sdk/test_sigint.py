from __future__ import annotations

import signal
import threading
from _thread import allocate_lock
from collections.abc import Iterator

import pytest

from clearway._waiting.sigint import shielded, unshielded, wait_for_lock, watched


@pytest.fixture(autouse=True)
def _default_handler() -> Iterator[None]:
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    signal.signal(signal.SIGINT, before)


def interrupt() -> None:
    signal.raise_signal(signal.SIGINT)


def test_the_user_s_code_is_interrupted_at_once() -> None:
    reached = []
    with pytest.raises(KeyboardInterrupt), watched():  # noqa: PT012
        interrupt()
        reached.append("after")
    assert reached == []


def test_our_code_is_interrupted_when_it_is_left() -> None:
    reached = []
    with pytest.raises(KeyboardInterrupt), watched():  # noqa: PT012
        with shielded():
            with shielded():
                interrupt()
                reached.append("inner")
            reached.append("outer")
        reached.append("after")
    assert reached == ["inner", "outer"]


def test_a_second_interrupt_does_not_wait() -> None:
    reached = []
    with pytest.raises(KeyboardInterrupt), watched(), shielded():  # noqa: PT012
        interrupt()
        reached.append("first")
        interrupt()
        reached.append("second")
    assert reached == ["first"]


def test_the_user_s_code_within_ours_is_interrupted_at_once() -> None:
    reached = []
    with pytest.raises(KeyboardInterrupt), watched(), shielded():  # noqa: PT012
        with unshielded():
            reached.append("user")
            interrupt()
            reached.append("after")
        reached.append("ours")
    assert reached == ["user"]


def test_an_interrupt_that_waits_is_raised_before_the_user_s_code_begins() -> None:
    reached = []
    with pytest.raises(KeyboardInterrupt), watched(), shielded():  # noqa: PT012
        interrupt()
        with unshielded():
            reached.append("user")
    assert reached == []


def test_ours_is_ours_again_after_the_user_s_code() -> None:
    reached = []
    with pytest.raises(KeyboardInterrupt), watched(), shielded():  # noqa: PT012
        with unshielded():
            pass
        interrupt()
        reached.append("ours")
    assert reached == ["ours"]


def test_an_interrupt_outweighs_another_exception() -> None:
    with pytest.raises(KeyboardInterrupt) as caught, watched(), shielded():  # noqa: PT012
        interrupt()
        raise ValueError("bad")
    assert isinstance(caught.value.__context__, ValueError)


def test_waiting_is_interrupted() -> None:
    lock = allocate_lock()
    lock.acquire()
    threading.Timer(0.05, interrupt_main).start()
    with pytest.raises(KeyboardInterrupt), watched(), shielded():
        wait_for_lock(lock)


def interrupt_main() -> None:
    signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)


def test_other_threads_and_other_handlers_are_left_alone() -> None:
    errors: list[BaseException] = []

    def work() -> None:
        try:
            with watched(), shielded(), unshielded():
                assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
        except BaseException as error:  # noqa: BLE001
            errors.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert errors == []

    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with watched(), shielded():
        assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    signal.signal(signal.SIGINT, signal.default_int_handler)
