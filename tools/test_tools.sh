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
  cc=gcc                   # the compiled relay; bench: load
  slowhttptest=slowhttptest # slow heads, bodies and readers
  shellcheck=shellcheck    # the set-up script of a box
  ip=iproute2              # network namespaces
  chromium=chromium        # the Portal, as a browser shows it
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

# -- Python's headers, to compile the relay.
install_python_headers() {
  local there='import pathlib, sys, sysconfig; sys.exit(not pathlib.Path(sysconfig.get_path("include"), "Python.h").exists())'
  "${PYTHON:-python3}" -c "$there" && return
  if [ "$(id -u)" -eq 0 ] && has apt-get; then
    echo "installing python3-dev …"
    { apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends python3-dev libc6-dev; } \
      >"$TOOLS/apt-headers.log" 2>&1 || echo "apt-get failed; $TOOLS/apt-headers.log says why"
  fi
  "${PYTHON:-python3}" -c "$there" || missing+=("Python's headers: apt-get install python3-dev (as root)")
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

# -- Node's modules of one folder of tests. What was installed from other lock files is installed again.
# $1 folder, $2 what it brings, $3 its program that must run, if any.
install_node_modules() {
  local folder="$1" brings="$2" program="${3:-}" stamp="$1/node_modules/installed-from" sum log
  log="$TOOLS/npm-$(basename "$folder").log"
  sum="$(cat "$folder/package.json" "$folder/package-lock.json" | sha256sum | cut -d' ' -f1)"
  if [ "$(cat "$stamp" 2>/dev/null)" = "$sum" ]; then return; fi
  if ! has npm; then
    missing+=("$brings: install Node 20 or later with npm")
    return
  fi
  echo "installing $brings …"
  if (cd "$folder" && npm ci --no-audit --no-fund) >"$log" 2>&1 &&
    { [ -z "$program" ] || "$folder/node_modules/.bin/$program" --version >/dev/null 2>&1; }; then
    echo "$sum" >"$stamp"
  else
    missing+=("$brings: npm ci failed; $log says why")
  fi
}

install_python_frameworks() {
  local lock=tests/clients/python/requirements.txt venv="$TOOLS/clients-python" sum
  sum="$(sha256sum <$lock | cut -d' ' -f1)"
  if [ "$(cat "$venv/installed-from" 2>/dev/null)" = "$sum" ]; then return; fi
  echo "installing LangChain, litellm and other Python frameworks …"
  if "${PYTHON:-python3}" -m venv --clear "$venv" &&
    "$venv/bin/pip" install -q --disable-pip-version-check --require-hashes -r $lock >"$TOOLS/pip.log" 2>&1; then
    echo "$sum" >"$venv/installed-from"
  else
    missing+=("Python frameworks: pip failed; $TOOLS/pip.log says why")
  fi
}

mkdir -p "$TOOLS"
install_programs
install_python_headers
install_node_modules tests/clients "Claude Code, Codex and Node's SDKs" claude # the clients of a box
install_node_modules tests/portal "axe-core and oidc-provider"                 # beside Chromium
install_python_frameworks
build_vault

if [ ${#missing[@]} -eq 0 ]; then
  echo "every test tool is here"
  exit 0
fi
echo "missing test tools (tests that need one are skipped; with CI=true they fail):"
printf '  %s\n' "${missing[@]}"
[ "${CI:-}" != true ]
