"""A concurrency limit: many task runs call a server that handles two requests at a time and refuses the rest.

The limit belongs to a tag, and applies to all runs with that tag, in all processes together. A waiting run
gets its slot as soon as one is released: there is no polling, and no slot stays idle.
"""

from __future__ import annotations

import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from clearway import flow, get_client, tags, task

AT_ONCE = 2
ROOM = threading.Semaphore(AT_ONCE)


class Narrow(BaseHTTPRequestHandler):
    """A server that handles two requests at a time and responds 429 to all others."""

    def do_GET(self) -> None:
        """Respond."""
        has_room = ROOM.acquire(blocking=False)
        if has_room:
            time.sleep(0.03)  # the server's work
            ROOM.release()
        self.send_response(200 if has_room else 429)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Log nothing."""


@contextmanager
def serving() -> Iterator[str]:
    """Serve on a free port; yield the address."""
    with ThreadingHTTPServer(("127.0.0.1", 0), Narrow) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@task
def ask(address: str, number: int) -> int:
    """Return the status of the response."""
    try:
        with urllib.request.urlopen(f"{address}/{number}", timeout=5) as response:  # noqa: S310 - our own server
            return int(response.status)
    except urllib.error.HTTPError as refusal:
        return refusal.code


@flow
def ask_all(address: str, tag: str) -> list[int]:
    """Send twenty requests, as many at once as the tag's limit allows."""
    with tags(tag):
        return [future.result() for future in ask.map([address] * 20, list(range(20)))]


def main() -> None:
    """Run the flow without a limit, and with one."""
    with get_client() as client:
        client.create_concurrency_limit(tag="narrow-server", concurrency_limit=AT_ONCE)
    with serving() as address:
        for title, tag in [("no limit", "any"), (f"limit of {AT_ONCE}", "narrow-server")]:
            statuses = ask_all(address, tag)
            print(f"{title}: {statuses.count(200)} answered, {statuses.count(429)} refused")


if __name__ == "__main__":
    main()
