"""Async: follow the links of a site, fetching all pages of a level at once. The site is a local pydoc."""

from __future__ import annotations

import asyncio
import pydoc
import re
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urljoin, urlsplit

from clearway import flow, task


@contextmanager
def site() -> Iterator[str]:
    """Serve pydoc on a free port; yield its address."""
    server = pydoc._start_server(pydoc._url_handler, "127.0.0.1", 0)  # type: ignore[attr-defined]  # noqa: SLF001
    yield server.url
    server.stop()


@task(retries=1)
async def links_of(url: str) -> list[str]:
    """Return the pages of the same site that a page links to."""
    body = await asyncio.to_thread(lambda: urllib.request.urlopen(url, timeout=10).read())  # noqa: S310
    found = {urljoin(url, link) for link in re.findall(r'href="([^"#]+\.html)', body.decode())}
    return sorted(link for link in found if urlsplit(link).netloc == urlsplit(url).netloc)


@flow
async def crawl(begin: str, levels: int, most: int) -> dict[str, int]:
    """Return the number of links on each page, in the order in which the pages were read.

    Args:
        begin: The first page.
        levels: How many levels of links to follow from there.
        most: The maximum number of pages to read at each level.
    """
    links: dict[str, list[str]] = {}
    level = [begin]
    for _ in range(levels):
        links |= dict(zip(level, await asyncio.gather(*map(links_of, level)), strict=True))
        level = sorted({link for page in level for link in links[page]} - links.keys())[:most]
    return {page: len(found) for page, found in links.items()}


def main() -> None:
    """Crawl, and print the pages."""
    with site() as address:
        pages = asyncio.run(crawl(f"{address}json.html", levels=3, most=4))
    for page, count in pages.items():
        print(f"{count:3} links on {urlsplit(page).path}")


if __name__ == "__main__":
    main()
