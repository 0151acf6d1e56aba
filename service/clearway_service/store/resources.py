"""Resources as columns: a tag as it is, a cache key behind a mark that no tag has.

One column of either kind keeps the queues, which are ordered by place, in one index.
"""

from __future__ import annotations

from clearway_service.core.resources import Resource, ResourceKind

# No tag of a run has control characters.
MARK = "\x1f"


def resource_to(resource: Resource) -> str:
    """Return what a column holds for a resource."""
    return MARK + resource.name if resource.is_key else resource.name


def resource_from(column: str) -> Resource:
    """Return the resource of a column."""
    if column.startswith(MARK):
        return Resource(ResourceKind.CACHE_KEY, column[1:])
    return Resource(ResourceKind.TAG, column)
