"""Which locations name a result by its SHA-256, and so may be stored."""

from __future__ import annotations

import posixpath
from hashlib import sha256

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from clearway_service.core.locations import is_location_of

DIGEST = sha256(b"a result").hexdigest()
OTHER = sha256(b"another").hexdigest()
TAIL = f"{DIGEST[:2]}/{DIGEST}"


@pytest.mark.parametrize(
    "location",
    [
        f"service://{DIGEST}",
        f"/srv/{TAIL}",
        f"/home/me/.clearway/storage/{TAIL}",
        f"/home/two words/Übung/{TAIL}",
        f"file:///srv/results/{TAIL}",
        f"s3://bucket/{TAIL}",
        f"s3://bucket/folder/{TAIL}",
        f"simplecache::s3://bucket/folder/{TAIL}",
        f"memory://results/{TAIL}",
        f"https://me@host:8080/folder/{TAIL}",
        f"C:/Users/me/storage/{TAIL}",
        f"C:\\Users\\me\\storage/{TAIL}",
    ],
)
def test_the_place_of_a_result_in_a_storage_is_its_location(location: str) -> None:
    assert is_location_of(location, DIGEST)
    assert not is_location_of(location, OTHER)
    assert not is_location_of(location, "")


@pytest.mark.parametrize(
    "location",
    [
        "",
        DIGEST,
        TAIL,
        f"/{TAIL}",
        f"//srv/{TAIL}",
        f"srv/{TAIL}",
        f"./srv/{TAIL}",
        f"~/srv/{TAIL}",
        f"/srv/{DIGEST}",
        f"/srv/{OTHER[:2]}/{DIGEST}",
        f"/srv/{TAIL}/",
        f"/srv/{TAIL}\n",
        f"/srv/{TAIL.upper()}",
        f"/srv/../etc/{TAIL}",
        f"/srv/./{TAIL}",
        f"/srv//{TAIL}",
        f"/srv/{TAIL}/../../clearway.db",
        f"/srv\0/{TAIL}",
        f"/srv/\x1b[2J/{TAIL}",
        f"/srv/\x85/{TAIL}",
        f"file://{TAIL}",
        f"file://host/srv/{TAIL}",
        f"file:/srv/{TAIL}",
        f"s3:///{TAIL}",
        f"s3://{TAIL}",
        f"s3://bucket/../{TAIL}",
        f"memory:/{TAIL}",
        f"://bucket/{TAIL}",
        f"1s://bucket/{TAIL}",
        f"a b://bucket/{TAIL}",
        f"C:\\Users\\..\\{TAIL}",
        f"C:storage/{TAIL}",
        f"service://{OTHER}",
        f"service://{DIGEST}/",
        f"service:///{DIGEST}",
        f"service://./{DIGEST}",
        f"service://{TAIL}",
        f"service:///srv/{TAIL}",
        f"service://../../{TAIL}",
        "service:///home/me/.clearway/clearway.db",
        "service://../../clearway.db",
        "/home/me/.ssh/id_rsa",
        "https://example.com/delete?all=1",
    ],
)
def test_anything_else_is_none(location: str) -> None:
    assert not is_location_of(location, DIGEST)


@given(st.text(max_size=40), st.sampled_from([f"/{TAIL}", DIGEST, ""]))
@example("/..", f"/{TAIL}")
def test_what_is_a_location_ends_with_its_hash_and_needs_no_normalising(root: str, tail: str) -> None:
    location = root + tail
    if is_location_of(location, DIGEST):
        assert location.endswith(DIGEST)
        if location.startswith("/"):
            assert posixpath.normpath(location) == location
        assert location.replace("\\", "/").count("/../") == 0
        assert location.isprintable() or not any(character < " " for character in location)


@pytest.mark.parametrize("digest", ["", "abc", DIGEST.upper(), DIGEST[:-1], DIGEST + "\n", "../../x"])
def test_nothing_is_the_location_of_what_is_no_hash(digest: str) -> None:
    for location in (f"service://{digest}", f"/srv/{digest[:2]}/{digest}"):
        assert not is_location_of(location, digest)
