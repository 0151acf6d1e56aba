"""A Python flow with the cached task that the workers of other languages have too: ``TEXT``.

It tells the name of the run's last state, and its result.
"""

from __future__ import annotations

import sys

from clearway import flow, task
from clearway.hashing import input_key


@task(cache_key_fn=lambda _context, arguments: input_key("normalise", arguments))
def normalise(text: str) -> str:
    """Return a text without blanks around it, in lower case."""
    return text.strip().lower()


@flow
def normalising(text: str) -> list[str]:
    """Normalise one text."""
    state = normalise(text, return_state=True)
    return [state.name, state.result()]


if __name__ == "__main__":
    sys.stdout.write(" ".join(normalising(sys.argv[1])) + "\n")
