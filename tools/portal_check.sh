#!/usr/bin/env bash
# Lints, formats (checks only; --write mends) and type-checks the Portal's scripts and style sheets.
# `make check` calls it. Needs the Node packages that `make test-tools` installs; without them it says so and passes,
# and tests/portal/test_modules.py, which calls it as well, is skipped, or fails with CI=true.
set -euo pipefail
cd "$(dirname "$0")/../tests/portal"
static=../../services/control_plane/portal/static
if [ ! -x node_modules/.bin/biome ] || [ ! -x node_modules/.bin/tsc ]; then
  echo "the Portal's scripts are not checked: make test-tools installs what that needs"
  exit 0
fi
if [ "${1:-}" = --write ]; then
  node_modules/.bin/biome check --write --config-path=. "$static" .
else
  node_modules/.bin/biome ci --error-on-warnings --config-path=. "$static" .
fi
node_modules/.bin/tsc -p tsconfig.json
