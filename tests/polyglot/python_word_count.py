"""A Python flow with the cached task that the Go worker has too; it tells the last state and the result."""

from __future__ import annotations

import sys

from clearway import flow, task
from clearway.hashing import input_key


@task(name="word_count", cache_key_fn=lambda _context, arguments: input_key("word_count", arguments))
def word_count(text: str) -> int:
    """Return how many words a text has."""
    return len(text.split())


@flow
def counting(text: str) -> list[str]:
    """Count the words of one text."""
    state = word_count(text, return_state=True)
    return [state.name, str(state.result())]


if __name__ == "__main__":
    sys.stdout.write(" ".join(counting(sys.argv[1])) + "\n")
