"""What a client of the service can make of results that are not its own."""

from __future__ import annotations

import json
import os
from hashlib import sha256
from pathlib import Path
from typing import Any

from clearway import get_client
from clearway._transport.current import connect
from clearway.v1.state_pb2 import Data
from integration.sdk_messages import complete_task, create_flow_run, start_task


class Victim:
    """A file of a stranger, with the very name that it would have as a result.

    Args:
        folder: Where it is.
        key: What makes its bytes others than those of other tests, and the cache key that ``claim`` uses.
    """

    def __init__(self, folder: Path, key: str) -> None:
        self.key = key
        self.body = json.dumps(f"{key} " * 20_000).encode()
        self.digest = sha256(self.body).hexdigest()
        self.tail = f"{self.digest[:2]}/{self.digest}"
        self.path = folder / self.tail

    def write(self) -> None:
        """Make the file, as written long ago."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self.path.write_bytes(self.body)
        os.utime(self.path, (1_000, 1_000))

    def is_there(self) -> bool:
        """Return whether the file is as it was."""
        return self.path.is_file() and self.path.read_bytes() == self.body

    def claim(self, location: str = "", **data: Any) -> str:
        """Complete a cached task run with the file as its result, as any client can; return its id."""
        transport = connect()
        proposal = start_task(create_flow_run(transport), self.key)
        transport.propose(proposal).result(30)
        done = complete_task(proposal.create_task_run.id)
        done.state.cache_key = self.key
        fields = {"encoding": "json", "size_bytes": len(self.body), "sha256": self.digest} | data
        done.state.data.CopyFrom(Data(location=location or str(self.path), **fields))
        assert transport.propose(done).result(30).HasField("accept")
        return proposal.create_task_run.id

    def orphan(self, location: str = "") -> None:
        """Claim the file, and remove the cache entry, so that it counts as orphaned."""
        self.claim(location)
        with get_client() as client:
            assert client.invalidate_cache(key=self.key) == 1


def victim(folder: Path, key: str) -> Victim:
    """Return a file that is there."""
    made = Victim(folder, key)
    made.write()
    return made
