#!/usr/bin/env bash
# Gets the two gateways that the bench measures beside ours: LiteLLM's from Python's index, Portkey's from Node's, both
# locked by hash, into .tools/bench-peers. `make bench-peers` calls it. Does nothing that was done before.
set -euo pipefail
cd "$(dirname "$0")/.."

PEERS=.tools/bench-peers
missing=()

sum_of() { cat "$@" | sha256sum | cut -d' ' -f1; }

install_litellm() {
  local lock=bench/peers/litellm/requirements.txt venv="$PEERS/litellm" sum
  sum="$(sum_of $lock)"
  if [ "$(cat "$venv/installed-from" 2>/dev/null)" = "$sum" ]; then return; fi
  echo "installing LiteLLM's proxy …"
  if "${PYTHON:-python3}" -m venv --clear "$venv" &&
    "$venv/bin/pip" install -q --disable-pip-version-check --require-hashes -r $lock >"$PEERS/pip.log" 2>&1; then
    echo "$sum" >"$venv/installed-from"
  else
    missing+=("LiteLLM: pip failed; $PEERS/pip.log says why")
  fi
}

install_portkey() {
  local lock=bench/peers/portkey folder="$PEERS/portkey" sum
  sum="$(sum_of $lock/package.json $lock/package-lock.json)"
  if [ "$(cat "$folder/installed-from" 2>/dev/null)" = "$sum" ]; then return; fi
  if ! command -v npm >/dev/null 2>&1; then
    missing+=("Portkey: install Node 20 or later with npm")
    return
  fi
  echo "installing Portkey's gateway …"
  mkdir -p "$folder"
  cp $lock/package.json $lock/package-lock.json "$folder"
  # Its only script applies patches that its package does not have.
  if (cd "$folder" && npm ci --ignore-scripts --no-audit --no-fund) >"$PEERS/npm.log" 2>&1; then
    echo "$sum" >"$folder/installed-from"
  else
    missing+=("Portkey: npm ci failed; $PEERS/npm.log says why")
  fi
}

mkdir -p "$PEERS"
install_portkey
install_litellm

[ ${#missing[@]} -eq 0 ] && { echo "both peers of the bench are here"; exit 0; }
printf '%s\n' "${missing[@]}"
exit 1
