"""Cache keys that are being computed: each has a queue of its own, as a tag with a limit of one has.

A run that enters Running with a cache key computes that key, and holds it until it leaves Running, as it
holds the slots of its tags. Runs that ask for single flight wait in the key's queue meanwhile. Who holds a
key and who waits for it is kept under a tag that no client can name.
"""

from __future__ import annotations

# No tag of a run has control characters.
MARK = "\x1f"


def key_tag(cache_key: str) -> str:
    """Return the tag under which a cache key is held and waited for."""
    return MARK + cache_key


def is_key_tag(tag: str) -> bool:
    """Return whether a tag stands for a cache key."""
    return tag.startswith(MARK)


def key_of(tag: str) -> str:
    """Return the cache key that a tag of ``key_tag`` stands for."""
    return tag[len(MARK) :]
