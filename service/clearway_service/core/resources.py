"""Resources: what a run holds while it is Running, and other runs queue for.

A resource is a tag with a concurrency limit, or a cache key. A run that enters Running with a cache key
computes its result, and holds the key until it leaves Running, like the slots of its tags. Runs that ask for
single flight wait in the key's queue meanwhile.
"""

from __future__ import annotations

from enum import IntEnum
from typing import NamedTuple


class ResourceKind(IntEnum):
    """The kinds of resource."""

    TAG = 0
    CACHE_KEY = 1


class Resource(NamedTuple):
    """A tag or a cache key, with its holders and its queue.

    Attributes:
        kind: A tag or a cache key; the two have separate namespaces.
        name: The tag or the cache key.
    """

    kind: ResourceKind
    name: str

    @classmethod
    def of_tag(cls, tag: str) -> Resource:
        """Return the resource for the slots of a tag."""
        return cls(ResourceKind.TAG, tag)

    @classmethod
    def of_key(cls, cache_key: str) -> Resource:
        """Return the resource for a cache key, held by the run that computes it."""
        return cls(ResourceKind.CACHE_KEY, cache_key)

    @property
    def is_key(self) -> bool:
        """Whether this is a cache key."""
        return self.kind is ResourceKind.CACHE_KEY


def keys_of(resources: set[Resource]) -> set[str]:
    """Return the cache keys among some resources."""
    return {resource.name for resource in resources if resource.is_key}


def tags_of(resources: set[Resource]) -> set[str]:
    """Return the tags among some resources."""
    return {resource.name for resource in resources if not resource.is_key}
