"""Resources: what a run holds while it is Running, and what other runs wait for in line.

A resource is a tag whose slots are limited, or a cache key. A run that enters Running with a cache key
computes that key, and holds it until it leaves Running, as it holds the slots of its tags. Runs that ask for
single flight wait in the key's queue meanwhile, as others wait in those of tags.
"""

from __future__ import annotations

from enum import IntEnum
from typing import NamedTuple


class ResourceKind(IntEnum):
    """What a run holds, or waits for."""

    TAG = 0
    CACHE_KEY = 1


class Resource(NamedTuple):
    """A tag or a cache key, with its holders and its queue.

    Attributes:
        kind: Which of the two; a tag and a cache key of the same name are two resources.
        name: The tag, or the cache key.
    """

    kind: ResourceKind
    name: str

    @classmethod
    def of_tag(cls, tag: str) -> Resource:
        """Return the resource whose slots the limit of a tag counts."""
        return cls(ResourceKind.TAG, tag)

    @classmethod
    def of_key(cls, cache_key: str) -> Resource:
        """Return the resource that the run which computes a cache key holds."""
        return cls(ResourceKind.CACHE_KEY, cache_key)

    @property
    def is_key(self) -> bool:
        """Whether it is a cache key."""
        return self.kind is ResourceKind.CACHE_KEY


def keys_of(resources: set[Resource]) -> set[str]:
    """Return the cache keys among some resources."""
    return {resource.name for resource in resources if resource.is_key}


def tags_of(resources: set[Resource]) -> set[str]:
    """Return the tags among some resources."""
    return {resource.name for resource in resources if not resource.is_key}
