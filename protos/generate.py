"""Generate the Python messages and stubs, or check that the committed ones are fresh.

python protos/generate.py          writes sdk/clearway/v1/
python protos/generate.py --check  exits 1 if a committed file differs from a generated one
"""

from __future__ import annotations

import filecmp
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PROTOS = ROOT / "protos"
TARGET = ROOT / "sdk" / "clearway" / "v1"


def generate(into: Path) -> None:
    """Write the messages, stubs and type stubs of every proto to ``into``/clearway/v1."""
    sources = sorted(str(path.relative_to(PROTOS)) for path in PROTOS.glob("clearway/v1/*.proto"))
    outputs = [f"--{kind}_out={into}" for kind in ("python", "grpc_python", "mypy", "mypy_grpc")]
    environment = {"PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin"}
    command = [sys.executable, "-m", "grpc_tools.protoc", f"-I{PROTOS}", *outputs, *sources]
    subprocess.run(command, check=True, env=environment)  # noqa: S603 - our own arguments
    # A proto without a service gets an empty gRPC module, which is removed.
    for path in (into / "clearway" / "v1").glob("*_pb2_grpc.py*"):
        if not path.name.startswith("orchestrator_"):
            path.unlink()


def stale(fresh: Path) -> list[str]:
    """Return the generated files that differ from the committed ones, or exist on one side only."""
    names = {path.name for side in (fresh, TARGET) for path in side.glob("*_pb2*")}
    _, differing, missing = filecmp.cmpfiles(fresh, TARGET, sorted(names), shallow=False)
    return sorted(differing + missing)


def main() -> int:
    """Generate or check, as the module's docstring describes; return the exit code."""
    if "--check" not in sys.argv[1:]:
        for path in TARGET.glob("*_pb2*"):
            path.unlink()
        generate(ROOT / "sdk")
        return 0
    with tempfile.TemporaryDirectory() as directory:
        generate(Path(directory))
        names = stale(Path(directory) / "clearway" / "v1")
    if names:
        print(f"stale in {TARGET.relative_to(ROOT)}: {', '.join(names)}; run `make protos`", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
