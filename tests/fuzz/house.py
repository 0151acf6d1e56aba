"""The house: a server surrounded by files it must not touch, watched from outside."""

from __future__ import annotations

import json
from hashlib import sha256
from pathlib import Path
from types import TracebackType
from typing import Self

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

from fuzz.calls import SERVICE
from fuzz.oracle import Findings
from fuzz.values import MARK
from support.server import Server

LEASE_SECONDS = 3
_MOST_RESIDENT = 512 * 1024 * 1024
_HEALTH_SECONDS = 20.0
_ENVIRONMENT = {
    "CLEARWAY_LEASE_SECONDS": str(LEASE_SECONDS),
    "CLEARWAY_BROKEN_STREAM_GRACE_SECONDS": "0.5",
    # Short, so that no call waits long.
    "CLEARWAY_MAX_SLOT_WAIT_SECONDS": "0.2",
    # The place of a call that got a retry delay is kept for twice this time.
    "CLEARWAY_SLOT_RETRY_AFTER_SECONDS": "2",
    # Bounded, so that nothing fills the disk.
    "CLEARWAY_MAX_RESULT_STORAGE_BYTES": str(256 * 1024 * 1024),
}


class House:
    """A server in its own folder, and sentinels: files that it must neither read, write nor delete.

    Args:
        folder: An empty folder.
        findings: Collects violations.

    Attributes:
        address: The server's address.
        paths: Paths and locations to use in messages: of sentinels, of the database, and of missing files.
    """

    def __init__(self, folder: Path, findings: Findings) -> None:
        self._folder, self._findings = folder, findings
        self._own = folder / "server"
        self._sentinels = [
            folder / "outside" / "letter.txt",
            folder / "outside" / "ab" / ("ab" * 32),
            folder / "server-results" / "letter.txt",
            self._own / "letter.txt",
        ]
        for number, path in enumerate(self._sentinels):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(f"sentinel {number}\n", encoding="utf-8")
        self._before = self._fingerprint()
        self.server = Server(
            self._own / "server.db", environment=_ENVIRONMENT | {"CLEARWAY_HOME": str(folder / "home")}
        )
        self.paths = self._traps()
        self._lines_seen = 0

    @property
    def address(self) -> str:
        """The server's."""
        return self.server.address

    def _traps(self) -> list[str]:
        # The database last: nothing can be found after it is deleted.
        targets = [*map(str, self._sentinels), "../../outside/letter.txt", "../letter.txt"]
        targets.append(str(self._own / "server.db"))
        odd = [
            "service://",
            "service:///",
            "service://..",
            "service://.",
            "service://\0",
            "file:///dev/zero",
            "/dev/zero",
        ]
        odd += ["http://127.0.0.1:9/x", "s3://bucket/key", "memory://x", "service://" + "ab" * 32, "ab" * 40]
        forms = ("{}", "service://{}", "file://{}", "SERVICE://{}", "service:{}")
        return odd + [form.format(target) for target in targets for form in forms]

    def look(self, last: str = "") -> bool:
        """Check that the server is alive, healthy and not too large, and logged only allowed lines.

        Args:
            last: The messages sent last, to report with violations.

        Returns:
            True if it is alive and has its database.
        """
        alive = Path(f"/proc/{self.server.pid}").exists() and self.server.running
        if not alive:
            self._findings.add("the server died", f"its last lines: {self.server.log[-5:]}\n{last}")
            return False
        if not self.server.database.exists():
            self._findings.add("the server's database was deleted", last)
            return False
        self._look_at_log(last)
        resident = _resident(self.server.pid)
        if resident > _MOST_RESIDENT:
            self._findings.add(f"the server has more than {_MOST_RESIDENT:,} bytes", f"{resident:,}\n{last}")
        self._look_at_files(last)
        self._look_at_health(last)
        return True

    def peak(self) -> int:
        """Return the server's peak memory, in bytes."""
        return _resident(self.server.pid, "VmHWM")

    def _look_at_log(self, last: str) -> None:
        lines, odd = list(self.server.log), []
        for line in lines[self._lines_seen :]:
            try:
                said = json.loads(line)
            except ValueError:
                odd.append(line)
                continue
            if MARK in line:
                self._findings.add("a log line with a payload", f"{line[:600]}\n{last}")
            if "exception" in said or "Traceback" in line:
                self._findings.add("a traceback in the log", f"{line[:1500]}\n{last}")
            elif said.get("level") in ("error", "critical"):
                self._findings.add("an error in the log", f"{line[:600]}\n{last}")
        if odd:
            told = "\n".join([*odd[:12], "...", *odd[-12:]] if len(odd) > 24 else odd)
            self._findings.add("log lines that are no JSON", f"{told}\n{last}")
        self._lines_seen = len(lines)

    def _look_at_files(self, last: str) -> None:
        now = self._fingerprint()
        for path in sorted(self._before.keys() | now.keys()):
            if self._before.get(path) != now.get(path):
                what = "deleted" if path not in now else "created" if path not in self._before else "changed"
                self._findings.add("a file that is not the server's", f"{what}: {path}\n{last}")
        self._before = now

    def _fingerprint(self) -> dict[str, str]:
        """Return the contents of each file that is not the server's own."""
        files = [path for path in self._folder.rglob("*") if path.is_file() and self._own not in path.parents]
        files += [path for path in self._sentinels if path.exists()]
        return {str(path): sha256(path.read_bytes()).hexdigest() for path in files}

    def _look_at_health(self, last: str) -> None:
        with grpc.insecure_channel(self.address) as channel:
            stub = health_pb2_grpc.HealthStub(channel)
            for name in ("", SERVICE.full_name):
                request = health_pb2.HealthCheckRequest(service=name)
                try:
                    status = stub.Check(request, timeout=_HEALTH_SECONDS).status
                except grpc.RpcError as error:
                    self._findings.add("health cannot be asked", f"{error}\n{last}")
                    continue
                if status != health_pb2.HealthCheckResponse.SERVING:
                    self._findings.add("health is not SERVING", f"{status}\n{last}")

    def __enter__(self) -> Self:
        self.server.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.server.__exit__(kind, error, trace)


def _resident(pid: int, which: str = "VmRSS") -> int:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith(f"{which}:"):
            return int(line.split()[1]) * 1024
    return 0
