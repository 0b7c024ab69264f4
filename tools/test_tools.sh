#!/usr/bin/env bash
# Gets the real servers that tests run against and that no Python package brings. `make test-tools` calls it.
# Does nothing that was done before. Missing at the end: one line each; with CI=true that is a failure.
set -euo pipefail
cd "$(dirname "$0")/.."

TOOLS=.tools
missing=()

# -- Debian's programs: command=package. Each is used by a test or a bench of this repository.
PROGRAMS=(
  nginx=nginx              # bench; smuggling corpus behind a proxy
  haproxy=haproxy          # bench; smuggling corpus behind a proxy
  wrk=wrk                  # bench: load
  slowhttptest=slowhttptest # slow heads, bodies and readers
  ip=iproute2              # network namespaces
)

has() { command -v "$1" >/dev/null 2>&1 || [ -x "/usr/sbin/$1" ]; }

install_programs() {
  local wanted=() program
  for program in "${PROGRAMS[@]}"; do
    has "${program%%=*}" || wanted+=("${program##*=}")
  done
  [ ${#wanted[@]} -eq 0 ] && return
  if [ "$(id -u)" -eq 0 ] && has apt-get; then
    echo "installing ${wanted[*]} …"
    { apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${wanted[@]}"; } \
      >"$TOOLS/apt.log" 2>&1 || echo "apt-get failed; $TOOLS/apt.log says why"
  fi
  for program in "${PROGRAMS[@]}"; do
    has "${program%%=*}" || missing+=("${program%%=*}: apt-get install ${program##*=} (as root)")
  done
}

# -- Vault, from its Go module. BUSL: it is run by tests here, never shipped.
build_vault() {
  local binary="$TOOLS/vault/vault" stamp="$TOOLS/vault/built-from" sum
  if has vault || has bao; then return; fi
  # A tool that was built from other module files is built again.
  sum="$(cat tools/vault/go.mod tools/vault/go.sum | sha256sum | cut -d' ' -f1)"
  if [ -x "$binary" ] && [ "$(cat "$stamp" 2>/dev/null)" = "$sum" ]; then return; fi
  if ! has go; then
    missing+=("vault: put vault or bao on PATH, or install Go 1.25 or later, which builds it here")
    return
  fi
  mkdir -p "$TOOLS/vault"
  echo "building Vault from its Go module: 3 to 6 minutes, about 5 GB of Go cache, once …"
  if (cd tools/vault && GOFLAGS=-mod=readonly CGO_ENABLED=0 nice -n 19 go build -tags minimal -trimpath -buildvcs=false \
        -ldflags '-s -w' -o "../../$binary.new" github.com/hashicorp/vault) >"$TOOLS/vault/build.log" 2>&1; then
    mv "$binary.new" "$binary"
    echo "$sum" >"$stamp"
  else
    missing+=("vault: the build failed; $TOOLS/vault/build.log says why")
  fi
}

mkdir -p "$TOOLS"
install_programs
build_vault

if [ ${#missing[@]} -eq 0 ]; then
  echo "every test tool is here"
  exit 0
fi
echo "missing test tools (tests that need one are skipped; with CI=true they fail):"
printf '  %s\n' "${missing[@]}"
[ "${CI:-}" != true ]
