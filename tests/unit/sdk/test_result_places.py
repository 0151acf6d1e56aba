"""How storages are spelled, and which locations count as those of a configured one."""

from __future__ import annotations

import dataclasses
import hashlib
from pathlib import Path

import pytest

from clearway._base.locations import location_in
from clearway._base.settings import Settings, get_settings
from clearway._results.known_storages import (
    configured_places,
    forget_place,
    place_of,
    register_place,
    why_foreign,
)
from clearway._settings.paths import checked_place

DIGEST = hashlib.sha256(b"x").hexdigest()
TAIL = f"{DIGEST[:2]}/{DIGEST}"


@pytest.fixture
def settings() -> Settings:
    """Return those of a process with one more storage of each kind."""
    return dataclasses.replace(
        get_settings(), result_extra_storages=("/srv/results", "s3://bucket/results", "memory://extra")
    )


@pytest.mark.parametrize(
    ("given", "place"),
    [
        ("/srv/results", "/srv/results"),
        ("/srv/results/", "/srv/results"),
        ("//srv//results/./x/..", "/srv/results"),
        ("file:///srv/results/", "/srv/results"),
        ("FILE:///srv/results", "/srv/results"),
        ("local:///srv/results", "/srv/results"),
        ("file:////srv/results", "/srv/results"),
        ("s3://bucket/results///", "s3://bucket/results"),
        ("S3://Bucket/Results", "s3://Bucket/Results"),
        ("service://", "service://"),
        ("SERVICE://", "service://"),
        ("simplecache::s3://bucket/x", "simplecache::s3://bucket/x"),
    ],
)
def test_a_storage_has_one_spelling(given: str, place: str) -> None:
    assert checked_place(given) == place
    assert checked_place(place) == place


@pytest.mark.parametrize(
    "given",
    [
        "",
        "service://elsewhere",
        "file://host/x",
        "memory://",
        "s3://bucket//x",
        "s3://bucket/../x",
        "s3://bucket/a b",
        "/srv/a\nb",
        "/srv/a\0b",
        "/" + "x" * 2_000,
        "a/b://c",
        7,
    ],
)
def test_what_is_no_storage_says_what_would_be(given: object) -> None:
    with pytest.raises(ValueError, match=r"a directory, a URL|a URL with|nothing after it"):
        checked_place(given)


@pytest.mark.parametrize(
    "place", ["/srv/results", "s3://bucket/results", "memory://extra", "service://", "home"]
)
def test_a_result_is_found_in_a_configured_storage(settings: Settings, home: Path, place: str) -> None:
    place = str(home / "storage") if place == "home" else place
    assert place_of(location_in(place, DIGEST), DIGEST, settings) == place


@pytest.mark.parametrize(
    ("location", "digest"),
    [
        ("/home/me/.ssh/id_rsa", DIGEST),
        ("/home/me/.ssh/id_rsa", ""),
        (f"/home/me/{TAIL}", DIGEST),
        (f"/srv/results/../results/{TAIL}", DIGEST),
        (f"/srv//results/{TAIL}", DIGEST),
        (f"/srv/results//{TAIL}", DIGEST),
        (f"/srv/results/{TAIL}/", DIGEST),
        (f"/srv/results/{TAIL}/../../../../etc/passwd", DIGEST),
        (f"/srv/results/{DIGEST}", DIGEST),
        (f"/srv/results/ff/{DIGEST}", DIGEST),
        (f"file:///srv/results/{TAIL}", DIGEST),
        (f"local:///srv/results/{TAIL}", DIGEST),
        (f"s3://bucket/other/{TAIL}", DIGEST),
        (f"S3://bucket/results/{TAIL}", DIGEST),
        (f"gs://bucket/results/{TAIL}", DIGEST),
        (f"s3://bucket@evil/results/{TAIL}", DIGEST),
        (f"http://169.254.169.254/{TAIL}", DIGEST),
        (f"simplecache::s3://bucket/results/{TAIL}", DIGEST),
        (f"service://{TAIL}", DIGEST),
        ("service:///etc/passwd", DIGEST),
        (f"service://../{DIGEST}", DIGEST),
        (f"SERVICE://{DIGEST}", DIGEST),
        (f"/srv/results/{TAIL.upper()}", DIGEST.upper()),
        (f"/srv/results/{TAIL}", ""),
        (f"/srv/results/{TAIL}", "0" * 64),
        (f"/srv/results/{TAIL}\n", f"{DIGEST}\n"),
        ("/srv/results/../../x", ".."),
        ("", DIGEST),
    ],
)
def test_any_other_spelling_is_foreign_and_says_why(settings: Settings, location: str, digest: str) -> None:
    assert place_of(location, digest, settings) is None
    assert why_foreign(location, digest, settings)


def test_why_a_storage_is_foreign_names_those_that_are_configured_and_the_setting(
    settings: Settings, home: Path
) -> None:
    why = why_foreign(f"/home/you/{TAIL}", DIGEST, settings)
    assert f"({home}/storage, service://, /srv/results, s3://bucket/results" in why
    assert "CLEARWAY_RESULT_EXTRA_STORAGES" in why


def test_a_storage_that_the_code_names_is_configured_once(settings: Settings) -> None:
    for _ in range(2):
        register_place("/srv/registered")
    register_place("/srv/results")
    places = configured_places(settings)
    for place in ("/srv/registered", "/srv/results"):
        forget_place(place)
    assert places.count("/srv/registered") == places.count("/srv/results") == 1
