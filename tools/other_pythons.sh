#!/usr/bin/env bash
# Runs the short form of the tests on every newer Python of this machine, on the PATH or installed by pyenv: the relay's
# pure core, and the first use, from `aigw up` to the printed curl lines. Packages come by uv, locked by hash as always.
# `make pythons` calls it. Without a newer Python it says so in a line; CI needs none.
set -euo pipefail
cd "$(dirname "$0")/.."

TOOLS="$PWD/.tools/pythons"
TESTS=(tests/unit/data_plane/core --ignore tests/unit/data_plane/core/usage tests/e2e/test_first_use.py -k "core or curl")
UV=.venv/bin/uv

minor_of() { "$1" -c 'import sys; print(sys.version_info.minor)' 2>/dev/null; }

newer_pythons() { # one program for each minor version above that of .venv, in sequence
  local mine minor program
  mine="$(minor_of .venv/bin/python)"
  for minor in $(seq $((mine + 1)) $((mine + 9))); do
    for program in "$(command -v "python3.$minor" || true)" "$HOME/.pyenv/versions/3.$minor."*"/bin/python3.$minor"; do
      # A shim of pyenv is a program that may lead nowhere.
      [ "$(minor_of "$program")" = "$minor" ] && echo "$program" && break
    done
  done
}

prepare() { # program, folder
  local sum locked=(--require-hashes -r requirements/runtime.txt -r requirements/build.txt -r requirements/dev.txt)
  sum="$("$1" -VV; cat requirements/*.txt pyproject.toml | sha256sum)"
  [ "$(cat "$2/made-from" 2>/dev/null)" = "$sum" ] && return
  rm -rf "$2"
  "$1" -m venv "$2"
  # uv takes seconds; pip knows this machine's index where uv does not.
  "$UV" pip install -q --python "$2/bin/python" "${locked[@]}" 2>/dev/null \
    || "$2/bin/pip" install -q --disable-pip-version-check "${locked[@]}" || return 1
  "$2/bin/pip" install -q --disable-pip-version-check --no-deps --no-build-isolation -e . || return 1
  echo "$sum" >"$2/made-from"
}

mapfile -t found < <(newer_pythons)
[ ${#found[@]} -gt 0 ] || { echo "No Python newer than $(.venv/bin/python -V) is here: nothing to run."; exit 0; }
mkdir -p "$TOOLS"
for program in "${found[@]}"; do
  folder="$TOOLS/3.$(minor_of "$program")"
  prepare "$program" "$folder" || { echo "$("$program" -V): the locked packages cannot be installed, so nothing runs."; continue; }
  "$folder/bin/python" -V
  run=("$folder/bin/python" -m pytest -q -o cache_dir="$folder/cache")
  "${run[@]}" -n auto --dist loadgroup "${TESTS[@]}" || {
    [ -n "${CI:-}" ] || exit 1
    echo "Once more, by itself: what failed."
    "${run[@]}" --last-failed "${TESTS[@]}"
  }
done
