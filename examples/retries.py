"""Retries: five pages of a server that returns each page only at the third request."""

from __future__ import annotations

import urllib.request
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

from clearway import flow, get_client, get_run_logger, task

REQUESTS = Counter[str]()


class Overloaded(BaseHTTPRequestHandler):
    """A server that responds 503 twice, then with the page."""

    def do_GET(self) -> None:
        """Respond."""
        REQUESTS[self.path] += 1
        self.send_response(200 if REQUESTS[self.path] % 3 == 0 else 503)
        self.end_headers()
        self.wfile.write(f"<h1>Page {self.path[1:]}</h1>".encode())

    def log_message(self, *_: object) -> None:
        """Log nothing: the runs have their own log."""


@contextmanager
def serving() -> Iterator[str]:
    """Serve on a free port; yield the address."""
    with ThreadingHTTPServer(("127.0.0.1", 0), Overloaded) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@task(retries=3, retry_delay_seconds=0.1)
def get_page(url: str) -> str:
    """Return a page. A run that waits for its retry holds neither a thread nor a slot."""
    with urllib.request.urlopen(url, timeout=5) as response:  # noqa: S310 - our own server
        body: bytes = response.read()
    get_run_logger().info("%s has %d bytes", url, len(body))
    return body.decode()


@flow
def get_pages(address: str) -> list[str]:
    """Return five pages."""
    return [future.result() for future in get_page.map([f"{address}/{page}" for page in range(5)])]


def main() -> None:
    """Get the pages, and print the states of each run."""
    with serving() as address:
        print(*get_pages(address), sep="\n")
    with get_client() as client:
        (flow_run,) = client.read_flow_runs(flow_names=["get_pages"], limit=1)
        for run in sorted(client.read_task_runs(flow_run_id=flow_run.id), key=lambda run: run.name):
            states = (state.name for state in client.read_task_run_states(run.id))
            print(f"{run.name}: {' > '.join(states)}")


if __name__ == "__main__":
    main()
