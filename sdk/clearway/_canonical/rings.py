"""Strongly connected components of a graph, in topological order."""

from __future__ import annotations

from collections.abc import Iterator, Sequence


def components(edges: Sequence[Sequence[int]]) -> list[list[int]]:
    """Return the strongly connected components of a graph, each after the components that it has edges to.

    Source: R. Tarjan, Depth-first search and linear graph algorithms, 1972; here without recursion.

    Args:
        edges: For each node, the nodes that it has edges to. All nodes are reachable from node 0.
    """
    found: list[list[int]] = []
    low = [0] * len(
        edges
    )  # 0: not visited; otherwise the number, from 1, of the earliest open node reachable from here
    is_open = [False] * len(edges)
    path: list[int] = []
    steps: list[tuple[int, int, Iterator[int]]] = []
    visited = 0

    def visit(node: int) -> None:
        nonlocal visited
        visited += 1
        low[node] = visited
        is_open[node] = True
        path.append(node)
        steps.append((node, visited, iter(edges[node])))

    visit(0)
    while steps:
        node, number, rest = steps[-1]
        for following in rest:
            if not low[following]:
                visit(following)
                break
            if is_open[following]:
                low[node] = min(low[node], low[following])
        else:
            steps.pop()
            if steps:
                before = steps[-1][0]
                low[before] = min(low[before], low[node])
            if low[node] == number:
                group: list[int] = []
                while not group or group[-1] != node:
                    group.append(path.pop())
                    is_open[group[-1]] = False
                found.append(group)
    return found
