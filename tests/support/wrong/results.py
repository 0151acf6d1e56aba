"""Wrong requests about results."""

from __future__ import annotations

from google.protobuf.duration_pb2 import Duration
from grpc import StatusCode

from clearway.v1.result_pb2 import (
    DownloadResultRequest,
    DropUnusedResultsRequest,
    ListUnusedResultsRequest,
    UploadResultRequest,
)
from clearway_service.api.pages import Page
from support.wrong.cases import UNKNOWN, WRONG_DURATIONS, WRONG_IDS, Case, wrong

DIGEST = "0" * 64
_NO_DIGESTS = [("", "is ''"), ("0" * 63, "64 lower-case"), ("A" * 64, "64 lower-case"), (DIGEST + "0", "64")]
_FIRST = Page.of(ListUnusedResultsRequest(), most=10_000, size_field="limit")
_OTHER = Page.of(ListUnusedResultsRequest(older_than=Duration(seconds=1)), most=10_000, size_field="limit")

CASES = [
    *wrong(
        "UploadResult",
        "upload_id",
        lambda _, id_: UploadResultRequest(upload_id=id_, sha256=DIGEST),
        WRONG_IDS,
    ),
    *wrong(
        "UploadResult",
        "sha256",
        lambda _, digest: UploadResultRequest(upload_id=UNKNOWN, sha256=digest),
        _NO_DIGESTS,
    ),
    *wrong(
        "UploadResult",
        "size",
        lambda _, size: UploadResultRequest(upload_id=UNKNOWN, sha256=DIGEST, size=size),
        [(-1, "-1"), (2**40, f"{2**40:,}")],
    ),
    *wrong(
        "UploadResult",
        "offset",
        lambda _, offset: UploadResultRequest(upload_id=UNKNOWN, sha256=DIGEST, size=9, offset=offset),
        [(-1, "-1"), (5, "0 bytes were received")],
    ),
    *wrong(
        "UploadResult",
        "chunk",
        lambda _, chunk: UploadResultRequest(upload_id=UNKNOWN, sha256=DIGEST, size=1, chunk=chunk),
        [(b"xx", "ends at 2"), (bytes(4 * 1024 * 1024 + 1), "4,194,304 bytes at most")],
    ),
    *wrong(
        "DownloadResult",
        "location",
        lambda _, location: DownloadResultRequest(location=location),
        [("", "is ''"), ("/etc/passwd", "/etc/passwd"), ("service://../x", "64 lower-case")],
    ),
    *wrong(
        "DownloadResult",
        "offset",
        lambda _, offset: DownloadResultRequest(location=f"service://{DIGEST}", offset=offset),
        [(-1, "-1")],
    ),
    *wrong(
        "DownloadResult",
        "max_bytes",
        lambda _, length: DownloadResultRequest(location=f"service://{DIGEST}", max_bytes=length),
        [(-1, "-1"), (2**23, str(2**23))],
    ),
    Case(
        "DownloadResult",
        lambda _: DownloadResultRequest(location=f"service://{DIGEST}"),
        "location",
        "there is no result",
        StatusCode.NOT_FOUND,
        "RESULT_NOT_FOUND",
    ),
    *wrong(
        "ListUnusedResults",
        "limit",
        lambda _, limit: ListUnusedResultsRequest(limit=limit),
        [(-1, "-1"), (10_001, "10001")],
    ),
    *wrong(
        "ListUnusedResults",
        "page_token",
        lambda _, token: ListUnusedResultsRequest(page_token=token),
        [
            ("?", "'?'"),
            ("Zm9v", "'Zm9v'"),
            (_FIRST.token("1 2 x\n"), "the next_page_token"),
            (_FIRST.token(f"1 {UNKNOWN}"), "the next_page_token"),
            (_OTHER.token(f"1 2 {UNKNOWN}"), "of a request with other fields"),
        ],
    ),
    *wrong(
        "ListUnusedResults",
        "older_than",
        lambda _, age: ListUnusedResultsRequest(older_than=age),
        WRONG_DURATIONS,
    ),
    *wrong(
        "DropUnusedResults",
        "state_ids",
        lambda _, ids: DropUnusedResultsRequest(state_ids=ids),
        [([], "not set"), (["not-an-id"], "not-an-id"), ([UNKNOWN] * 10_001, "10001")],
    ),
]
