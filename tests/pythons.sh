#!/usr/bin/env bash
# Run pytest with each of some Pythons: pythons.sh VERSION ... -- ARGUMENT ...
# A version that is not on this machine is named and left out; in CI, one at least must be there.
set -euo pipefail
versions=()
while [ "$1" != -- ]; do versions+=("$1"); shift; done
shift
ran=0
for version in "${versions[@]}"; do
  python=$(command -v "python$version" || true)
  if ! "$python" --version >/dev/null 2>&1; then
    found=$(pyenv prefix "$(pyenv latest "$version" 2>/dev/null)" 2>/dev/null || true)
    python="$found/bin/python"
  fi
  if ! "$python" --version >/dev/null 2>&1; then
    echo "Python $version is not on this machine: its tests are left out"
    continue
  fi
  "$python" -m venv ".venv-$version"
  ".venv-$version/bin/python" -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
  ".venv-$version/bin/python" -m pip install --quiet --disable-pip-version-check --no-deps --editable .
  echo "$("$python" --version):"
  ".venv-$version/bin/python" -m pytest "$@"
  ran=$((ran + 1))
done
if [ "$ran" = 0 ] && [ -n "${CI:-}" ]; then
  echo "none of Python ${versions[*]} is on this machine" >&2
  exit 1
fi
