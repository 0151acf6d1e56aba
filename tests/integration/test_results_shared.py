"""Results that another machine uses: processes that share a server, and no directory."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest

from support.server import Server

SCRIPT = Path(__file__).with_name("results_flow.py")
SMALL, LARGE = 1_000, 3_000_000
S3_SERVER = """
import time
from moto.server import ThreadedMotoServer

server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
server.start()
print(server.get_host_and_port()[1], flush=True)
while True:
    time.sleep(60)
"""
BUCKET = "import s3fs; s3fs.S3FileSystem().mkdir('results')"
needs_s3 = pytest.mark.skipif(
    not (find_spec("moto") and find_spec("s3fs")),
    reason="needs an S3 server: pip install --require-hashes -r tests/requirements-optional.lock",
)


@pytest.fixture(scope="module")
def s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """Run a server that speaks S3, with a bucket; yield the variables by which it is found."""
    command = [sys.executable, "-c", S3_SERVER]
    log = tmp_path_factory.mktemp("s3") / "log"
    with (
        log.open("w") as errors,
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=errors, text=True) as server,
    ):
        assert server.stdout is not None
        variables = {
            "AWS_ENDPOINT_URL": f"http://127.0.0.1:{server.stdout.readline().strip()}",
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
            "AWS_DEFAULT_REGION": "us-east-1",
        }
        subprocess.run([sys.executable, "-c", BUCKET], env=os.environ | variables, check=True)
        yield variables
        server.kill()


def run(key: str, size: int, home: Path, variables: dict[str, str]) -> tuple[list[str], str]:
    """Run the flow on a machine with its own home; return what it printed, and what it logged."""
    done = subprocess.run(
        [sys.executable, SCRIPT, key, str(size)],
        env=os.environ | {"CLEARWAY_HOME": str(home)} | variables,
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    return done.stdout.split(), done.stderr


@pytest.mark.parametrize(
    ("size", "storage"),
    [
        (SMALL, ""),
        (LARGE, "service://"),
        pytest.param(LARGE, "s3://results/clearway", marks=needs_s3),
    ],
    ids=["inline", "service", "s3"],
)
def test_two_machines_share_a_cached_result(
    shared_server: Server, size: int, storage: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    variables = {"CLEARWAY_ADDRESS": shared_server.address}
    if storage:
        variables["CLEARWAY_RESULT_STORAGE"] = storage
    if storage.startswith("s3"):
        variables |= request.getfixturevalue("s3")
    key = f"shared-{size}-{storage}"
    assert run(key, size, tmp_path / "one", variables)[0] == ["computed", "right"]
    printed, logged = run(key, size, tmp_path / "other", variables)
    assert printed == ["right"]
    assert "Traceback" not in logged


def test_a_result_in_a_directory_that_the_other_machine_lacks_is_computed_there(
    shared_server: Server, tmp_path: Path
) -> None:
    variables = {"CLEARWAY_ADDRESS": shared_server.address}
    one, other = tmp_path / "one", tmp_path / "other"
    assert run("apart", LARGE, one, variables)[0] == ["computed", "right"]
    one.rename(tmp_path / "unreachable")
    printed, logged = run("apart", LARGE, other, variables)
    assert printed == ["computed", "right"]
    assert f"the result expected at {one}" in logged


@needs_s3
def test_a_storage_that_does_not_answer_loses_no_run(
    shared_server: Server, tmp_path: Path, s3: dict[str, str]
) -> None:
    variables = {
        **s3,
        "CLEARWAY_ADDRESS": shared_server.address,
        "CLEARWAY_RESULT_STORAGE": "s3://no-such-bucket/x",
    }
    printed, logged = run("no-bucket", LARGE, tmp_path / "home", variables)
    assert printed == ["computed", "right"]
    assert "cannot write s3://no-such-bucket/x" in logged


def test_a_storage_of_an_unknown_kind_is_named(shared_server: Server, tmp_path: Path) -> None:
    variables = {"CLEARWAY_ADDRESS": shared_server.address, "CLEARWAY_RESULT_STORAGE": "nosuch://x"}
    printed, logged = run("no-kind", LARGE, tmp_path / "home", variables)
    assert printed == ["computed", "right"]
    assert "the result storage nosuch://x" in logged


def test_a_result_that_the_service_does_not_take_names_the_setting(tmp_path: Path) -> None:
    variables = {"CLEARWAY_RESULT_STORAGE": "service://", "CLEARWAY_MAX_RESULT_BYTES": "1000000"}
    printed, logged = run("bound", LARGE, tmp_path / "home", variables)
    assert printed == ["computed", "right"]
    assert "CLEARWAY_MAX_RESULT_BYTES" in logged
    assert "1,000,000 bytes at most" in logged


KILLED = """
import sys
from clearway import flow, task
import clearway._results.storages as storages, os, signal
import os, signal

os.replace = lambda *_, **__: os.kill(os.getpid(), signal.SIGKILL)  # all is written but its name

@task(cache_key_fn=lambda *_: "killed")
def make():
    return ["x" * int(sys.argv[1])]

@flow
def making():
    return make()

making()
"""


def test_a_process_that_is_killed_while_it_writes_leaves_no_half_result(
    shared_server: Server, tmp_path: Path
) -> None:
    variables = {"CLEARWAY_ADDRESS": shared_server.address, "CLEARWAY_HOME": str(tmp_path / "home")}
    done = subprocess.run(
        [sys.executable, "-c", KILLED, str(LARGE)], env=os.environ | variables, check=False, timeout=60
    )
    assert done.returncode == -9
    assert run("killed", LARGE, tmp_path / "home", variables)[0] == ["computed", "right"]
    assert run("killed", LARGE, tmp_path / "home", variables)[0] == ["right"]
