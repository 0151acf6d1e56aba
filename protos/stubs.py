"""Generate the stubs for languages other than Python from `buf.gen.yaml`, with locally installed plugins.

python protos/stubs.py                   writes all stubs; those in gen/ are not committed
python protos/stubs.py --only java       writes those whose folder name contains "java"
python protos/stubs.py --check           exits 1 if a committed file differs from a generated one
python protos/stubs.py --install         installs the plugins into .tools, with their package managers

The template is JSON, which is valid YAML, so no YAML library is needed to select plugins. Generated files are
in subfolders of a plugin's folder; files directly in it, such as `go.mod`, are written by hand.
"""

from __future__ import annotations

import argparse
import filecmp
import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from google.rpc import error_details_pb2

ROOT = Path(__file__).resolve().parent.parent
TEMPLATE = ROOT / "protos" / "buf.gen.yaml"
TOOLS = ROOT / ".tools"
BUF = Path(sys.executable).parent / "buf"
# The details of failed calls (google.rpc.ErrorInfo, ...), for languages that have no package with them.
DETAILS = Path(error_details_pb2.__file__).with_name("error_details.proto")
DETAILS_FOR = "protoc-gen-es"
PATH = os.pathsep.join([str(TOOLS / "bin"), str(TOOLS / "node_modules" / ".bin"), os.environ.get("PATH", "")])

# The command that installs each plugin; the C++ ones are system packages.
GO = ["go", "install"]
NPM = ["npm", "install", "--silent", "--no-audit", "--no-fund", "--prefix", str(TOOLS)]
COPY = "org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy"
STRIP = ["-Dmdep.stripVersion", "-Dmdep.stripClassifier"]
MAVEN = ["mvn", "-q", "-B", COPY, *STRIP, f"-DoutputDirectory={TOOLS / 'maven'}"]
INSTALL = {
    "protoc-gen-go": [*GO, "google.golang.org/protobuf/cmd/protoc-gen-go@v1.36.12"],
    "protoc-gen-go-grpc": [*GO, "google.golang.org/grpc/cmd/protoc-gen-go-grpc@v1.6.2"],
    "protoc-gen-es": [*NPM, "@bufbuild/protoc-gen-es@2.17.0"],
    "protoc-java": [*MAVEN, "-Dartifact=com.google.protobuf:protoc:3.25.8:exe:linux-x86_64"],
    "protoc-gen-grpc-java": [*MAVEN, "-Dartifact=io.grpc:protoc-gen-grpc-java:1.76.0:exe:linux-x86_64"],
}
SYSTEM = {
    "protoc": "the package protobuf-compiler",
    "grpc_cpp_plugin": "the package protobuf-compiler-grpc",
}


def program(plugin: dict[str, Any]) -> str:
    """Return the name of the executable for a plugin of the template."""
    return str(plugin.get("protoc_path") or plugin["local"])


def plugins(only: str) -> list[dict[str, Any]]:
    """Return the template's plugins whose folder name contains ``only``."""
    template: dict[str, list[dict[str, Any]]] = json.loads(TEMPLATE.read_text())
    return [plugin for plugin in template["plugins"] if only in plugin["out"]]


def install(name: str) -> None:
    """Install a plugin into .tools, unless it is installed or its package manager is missing."""
    if name not in INSTALL or shutil.which(name, path=PATH) or not shutil.which(INSTALL[name][0]):
        return
    (TOOLS / "bin").mkdir(parents=True, exist_ok=True)
    environment = {**os.environ, "GOBIN": str(TOOLS / "bin")}
    subprocess.run(INSTALL[name], check=True, env=environment)  # noqa: S603 - our own arguments
    for copied in (TOOLS / "maven").glob("*.exe"):
        target = TOOLS / "bin" / ("protoc-java" if copied.stem == "protoc" else copied.stem)
        copied.chmod(0o755)
        copied.replace(target)


def missing(names: list[str]) -> list[str]:
    """Return a line for each missing program, with the way to install it."""
    source = SYSTEM | {name: f"`make stubs-tools`, which needs {way[0]}," for name, way in INSTALL.items()}
    absent = [name for name in names if not shutil.which(name, path=PATH)]
    return [f"{name} is not installed; {source[name]} installs it" for name in absent]


def generate(chosen: list[dict[str, Any]], into: Path) -> None:
    """Replace the generated files in the plugins' folders below ``into``."""
    for folder in {plugin["out"] for plugin in chosen}:
        for package in packages(into / folder):
            shutil.rmtree(package)
    buf_generate("protos", chosen, into)
    if with_details := [plugin for plugin in chosen if program(plugin) == DETAILS_FOR]:
        with tempfile.TemporaryDirectory() as source:
            copy = Path(source) / "google" / "rpc" / DETAILS.name
            copy.parent.mkdir(parents=True)
            shutil.copy(DETAILS, copy)
            buf_generate(source, with_details, into)


def packages(folder: Path) -> list[Path]:
    """Return the folders with generated files in a plugin's folder."""
    return [path for path in folder.glob("*") if path.is_dir()]


def buf_generate(source: str, chosen: list[dict[str, Any]], into: Path) -> None:
    """Run the plugins on the protos in ``source``."""
    template = json.dumps({"version": "v2", "plugins": chosen})
    command = [str(BUF), "generate", source, "--template", template, "-o", str(into)]
    subprocess.run(command, check=True, cwd=ROOT, env={**os.environ, "PATH": PATH})  # noqa: S603


def stale(chosen: list[dict[str, Any]], fresh: Path) -> list[str]:
    """Return the generated files that differ from the committed ones, or exist on one side only."""
    names = set()
    for folder in {plugin["out"] for plugin in chosen}:
        for side in (fresh, ROOT):
            paths = (path for package in packages(side / folder) for path in package.rglob("*"))
            names |= {str(path.relative_to(side)) for path in paths if path.is_file()}
    _, differing, absent = filecmp.cmpfiles(fresh, ROOT, sorted(names), shallow=False)
    return sorted(differing + absent)


def main() -> int:
    """Generate, check or install, as the module's docstring describes; return the exit code."""
    parser = argparse.ArgumentParser(description="Generate the stubs of languages other than Python.")
    parser.add_argument("--only", default="", help="a part of the folders' names, such as go")
    parser.add_argument("--check", action="store_true", help="compare the committed ones, write nothing")
    parser.add_argument("--install", action="store_true", help="install the plugins into .tools")
    options = parser.parse_args()
    chosen = plugins(options.only)
    if not chosen:
        parser.error(f"no folder has {options.only!r} in its name; see {TEMPLATE.relative_to(ROOT)}")
    if options.check:
        chosen = [plugin for plugin in chosen if not plugin["out"].startswith("gen/")]
    names = sorted({program(plugin) for plugin in chosen})
    if options.install:
        for name in names:
            install(name)
    if lines := missing(names):
        print("\n".join(lines), file=sys.stderr)
        return 1
    if options.install:
        return 0
    if not options.check:
        generate(chosen, ROOT)
        return 0
    with tempfile.TemporaryDirectory() as directory:
        generate(chosen, Path(directory))
        files = stale(chosen, Path(directory))
    if files:
        print(f"stale: {', '.join(files)}; run `make stubs`", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
