"""Asking for confirmation before something is done by force."""

import sys

from clearway._base.texts import plain


def can_ask() -> bool:
    """Return whether there is a person who can see a question and answer it."""
    return sys.stdin.isatty() and sys.stderr.isatty()


def confirmed(question: str) -> bool:
    """Ask a question on stderr, and return whether the answer is yes; anything else means no."""
    sys.stderr.write(f"{plain(question)} [y/N] ")
    sys.stderr.flush()
    answer = sys.stdin.readline()
    if not answer:  # Ctrl-D, which leaves the cursor after the question
        sys.stderr.write("\n")
    return answer.strip().lower() in {"y", "yes"}
