"""An event loop thread beside a sync flow, for the async tasks and subflows that it calls."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Coroutine
from concurrent.futures import Future
from typing import Any, TypeVar

from clearway._waiting.sigint import unshielded

R = TypeVar("R")


class LoopThread:
    """A daemon thread with a running event loop, from creation until ``close``."""

    def __init__(self, name: str) -> None:
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()
        self._ready.wait()

    def _run(self) -> None:
        with asyncio.Runner() as runner:
            self.loop = runner.get_loop()
            self._ready.set()
            self.loop.run_forever()

    def submit(self, work: Coroutine[Any, Any, R]) -> Future[R]:
        """Run a coroutine on the loop. Cancelling the future cancels it."""
        return asyncio.run_coroutine_threadsafe(work, self.loop)

    def close(self, timeout: float) -> None:
        """Cancel what runs on the loop and end the thread; blocking code is left running."""
        self.loop.call_soon_threadsafe(self.loop.stop)
        with unshielded():
            self._thread.join(timeout)
