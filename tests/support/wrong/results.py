"""Invalid requests about results."""

from __future__ import annotations

from google.protobuf.duration_pb2 import Duration
from grpc import StatusCode

from clearway.v1.result_pb2 import (
    DownloadResultRequest,
    DropOrphanedResultsRequest,
    ListOrphanedResultsRequest,
    UploadResultRequest,
)
from clearway_service.api.pages import Page
from support.wrong.cases import UNKNOWN, WRONG_DURATIONS, WRONG_IDS, Case, wrong

DIGEST = "0" * 64
_NO_DIGESTS = [
    ("", "not set"),
    ("0" * 63, "64 lower-case"),
    ("A" * 64, "64 lower-case"),
    (DIGEST + "0", "64"),
]
_FIRST = Page.of(ListOrphanedResultsRequest())
_OTHER = Page.of(ListOrphanedResultsRequest(older_than=Duration(seconds=1)))

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
        "size_bytes",
        lambda _, size: UploadResultRequest(upload_id=UNKNOWN, sha256=DIGEST, size_bytes=size),
        [(-1, "-1"), (2**40, f"{2**40:,}")],
    ),
    *wrong(
        "UploadResult",
        "offset",
        lambda _, offset: UploadResultRequest(upload_id=UNKNOWN, sha256=DIGEST, size_bytes=9, offset=offset),
        [(-1, "-1"), (5, "0 bytes were received")],
    ),
    *wrong(
        "UploadResult",
        "chunk",
        lambda _, chunk: UploadResultRequest(upload_id=UNKNOWN, sha256=DIGEST, size_bytes=1, chunk=chunk),
        [
            (b"xx", "ends at 2"),
            (bytes(4 * 1024 * 1024 + 1), "has 4194305 bytes; it must have at most 4194304"),
        ],
    ),
    *wrong(
        "DownloadResult",
        "location",
        lambda _, location: DownloadResultRequest(location=location),
        [("", "not set"), ("/etc/passwd", "/etc/passwd"), ("service://../x", "64 lower-case")],
    ),
    *wrong(
        "DownloadResult",
        "offset",
        lambda _, offset: DownloadResultRequest(location=f"service://{DIGEST}", offset=offset),
        [(-1, "-1")],
    ),
    *wrong(
        "DownloadResult",
        "max_chunk_bytes",
        lambda _, length: DownloadResultRequest(location=f"service://{DIGEST}", max_chunk_bytes=length),
        [(-1, "-1"), (2**23, str(2**23))],
    ),
    Case(
        "DownloadResult",
        lambda _: DownloadResultRequest(location=f"service://{DIGEST}"),
        "location",
        "there is no result",
        StatusCode.NOT_FOUND,
        "ERROR_REASON_RESULT_NOT_FOUND",
    ),
    *wrong(
        "ListOrphanedResults",
        "page_size",
        lambda _, size: ListOrphanedResultsRequest(page_size=size),
        [(-1, "-1"), (1_001, "1001")],
    ),
    *wrong(
        "ListOrphanedResults",
        "page_token",
        lambda _, token: ListOrphanedResultsRequest(page_token=token),
        [
            ("?", "'?'"),
            ("Zm9v", "'Zm9v'"),
            (_FIRST.token("1 2 x\n"), "the next_page_token"),
            (_FIRST.token(f"1 {UNKNOWN}"), "the next_page_token"),
            (_OTHER.token(f"1 2 {UNKNOWN}"), "of a request with other fields"),
        ],
    ),
    *wrong(
        "ListOrphanedResults",
        "older_than",
        lambda _, age: ListOrphanedResultsRequest(older_than=age),
        WRONG_DURATIONS,
    ),
    *wrong(
        "DropOrphanedResults",
        "state_ids",
        lambda _, ids: DropOrphanedResultsRequest(state_ids=ids),
        [([], "not set"), ([UNKNOWN] * 10_001, "10001")],
    ),
    *wrong(
        "DropOrphanedResults",
        "state_ids[1]",
        lambda _, id_: DropOrphanedResultsRequest(state_ids=[UNKNOWN, id_]),
        [*WRONG_IDS, ("", "''")],
    ),
    *wrong(
        "DropOrphanedResults",
        "older_than",
        lambda _, age: DropOrphanedResultsRequest(state_ids=[UNKNOWN], older_than=age),
        WRONG_DURATIONS,
    ),
]
