"""``python -m fuzz``: send hostile messages to a new server, and report violations.

The exit code is 0 without violations, 1 with any, 2 for invalid arguments. A seed repeats the random choices.
Since messages also contain ids from the server, only the bytes printed with a violation reproduce it exactly:
``--send RPC HEX ADDRESS`` sends them to a running server. A stream's messages are joined by ``|``.
"""

from __future__ import annotations

import argparse
import secrets
import shutil
import sys
import tempfile
from pathlib import Path

import grpc

from fuzz.calls import SERVICE, open_channel
from fuzz.run import run_fuzz


def main() -> int:
    """Run the fuzzers; return the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m fuzz", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--messages", type=int, default=20_000, help="how many are sent (default 20,000)")
    parser.add_argument("--seed", type=int, help="the random seed (default: a new one, which is printed)")
    parser.add_argument("--folder", type=Path, help="where to create its folder (default: the system's)")
    parser.add_argument("--keep", action="store_true", help="keep the folder in any case")
    parser.add_argument("--no-errands", action="store_true", help="do not start with deletions of results")
    parser.add_argument("--send", nargs=3, metavar=("RPC", "HEX", "ADDRESS"), help="send only this message")
    given = parser.parse_args()
    if given.send:
        return _send(*given.send)
    seed = secrets.randbelow(10**6) if given.seed is None else given.seed
    folder = Path(tempfile.mkdtemp(prefix="clearway-fuzz-", dir=given.folder))
    print(f"{given.messages:,} messages with seed {seed}, in {folder}", flush=True)
    keep = given.keep
    try:
        verdict = run_fuzz(folder, given.messages, seed, errands=not given.no_errands)
        print(verdict.summary())
        keep = keep or bool(verdict.violations)
    except KeyboardInterrupt:
        print("interrupted; the server was killed")
        return 1
    finally:
        if keep:
            print(f"what it left is in {folder}")
        else:
            shutil.rmtree(folder, ignore_errors=True)
    return 1 if verdict.violations else 0


def _send(method: str, body: str, address: str) -> int:
    """Send one message, and print the response."""
    path = f"/{SERVICE.full_name}/{method}"
    with open_channel(address) as channel:
        try:
            if SERVICE.methods_by_name[method].client_streaming:
                bodies = [bytes.fromhex(part) for part in body.split("|")]
                for response in channel.stream_stream(path)(iter(bodies), timeout=30):
                    print(response)
            else:
                print(channel.unary_unary(path)(bytes.fromhex(body), timeout=30))
        except grpc.RpcError as error:
            print(error)
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
