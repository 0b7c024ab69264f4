#!/usr/bin/env bash
# Gets the clients that only `make clients` runs: agents for a command line from Node's index (two gigabytes), and
# a program of Go's SDKs. A client that cannot be had is left out of the measurement, with a line here.
set -euo pipefail
cd "$(dirname "$0")/.."

(cd tests/clients/agents && npm ci --no-audit --no-fund) || echo "no agents: npm ci failed"
mkdir -p .tools/clients-go
(cd tests/clients/go && go build -mod=readonly -o ../../../.tools/clients-go/clients . && cp go.mod ../../../.tools/clients-go/) ||
  echo "no clients in Go: the build failed"
