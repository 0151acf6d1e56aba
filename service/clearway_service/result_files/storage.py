"""The results storage for RPCs: on its own threads, so that nothing else waits for a file."""

from __future__ import annotations

import logging
import threading
from collections.abc import Hashable
from concurrent.futures import Future

from clearway_service.errors import ClearwayError
from clearway_service.result_files.files import Received, ResultFiles, SlowStep
from clearway_service.result_files.pool import FilePool, outcome

logger = logging.getLogger(__name__)

_THREADS = 4
_MOST_CALLS = 256
# Sixteen chunks of the largest size, or 64 of the SDK's.
_MOST_BYTES = 64 * 1024 * 1024
# The interval at which abandoned uploads are removed and the folder is measured.
SWEEP_SECONDS = 300.0


class ResultStorage:
    """Stores results without blocking the calling event loop, of which there may be several.

    Args:
        files: The blocking implementation.
    """

    def __init__(self, files: ResultFiles) -> None:
        self._files = files
        self._pool = FilePool("clearway-files", _THREADS, _MOST_CALLS, _MOST_BYTES)
        # A separate thread reads whole files, so that chunks do not wait for it.
        self._slow = FilePool("clearway-hashes", 1, _MOST_CALLS, 0)
        self._steps: dict[str, Future[None]] = {}
        self._stop = threading.Event()
        threading.Thread(target=self._sweep, name="clearway-uploads", daemon=True).start()

    async def upload(
        self,
        upload_id: str,
        digest: str,
        size: int,
        offset: int,
        chunk: bytes,
        owner: Hashable | None = None,
    ) -> Received:
        """Store a chunk of a result. See ``ResultFiles.write``.

        Raises:
            ClearwayError: As ``ResultFiles.write``; StoreUnavailableError also if too much is queued.
        """
        while True:
            piece = (upload_id, digest, size, offset, chunk, owner)
            answer = await self._pool.run(self._files.write, *piece, size=len(chunk), owner=owner)
            if isinstance(answer, Received):
                return answer
            await self._do(answer, owner)

    async def download(
        self, digest: str, offset: int, length: int, owner: Hashable | None = None
    ) -> tuple[bytes, int]:
        """Return a chunk of a result, and the size of the whole. See ``ResultFiles.read``.

        Raises:
            ClearwayError: As ``ResultFiles.read``; StoreUnavailableError also if too much is queued.
        """
        return await self._pool.run(self._files.read, digest, offset, length, size=length, owner=owner)

    async def delete(self, digest: str, written_before: float, owner: Hashable | None = None) -> bool:
        """Delete a result. See ``ResultFiles.delete``.

        Raises:
            StoreUnavailableError: It cannot be deleted at the moment, or too much is queued.
        """
        return await self._pool.run(self._files.delete, digest, written_before, owner=owner)

    def close(self) -> None:
        """Stop; running work finishes."""
        self._stop.set()
        self._pool.close()
        self._slow.close()

    async def _do(self, step: SlowStep, owner: Hashable | None) -> None:
        """Wait for a slow step, which is run once for all callers that need it."""
        doing = self._steps.get(step.key)
        if doing is None:
            doing = self._steps[step.key] = self._slow.submit(step.run, owner=owner)
            doing.add_done_callback(lambda _: self._steps.pop(step.key, None))
        await outcome(doing)

    def _sweep(self) -> None:
        """Remove abandoned uploads, at once and then at intervals."""
        while True:
            try:
                self._files.sweep()
            except ClearwayError as error:
                logger.warning("abandoned uploads could not be removed: %s", error.message)
            if self._stop.wait(SWEEP_SECONDS):
                return
