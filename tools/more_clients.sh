#!/usr/bin/env bash
# Gets the clients that only `make clients` runs: agents for a command line from Node's index (two gigabytes), and
# programs of Go's, Rust's and Java's SDKs. A client that cannot be had is left out of the measurement, with a
# line here. async-openai needs Rust 1.85 or later (Debian 12 has 1.63), openai-java Maven and a JDK 17.
set -euo pipefail
cd "$(dirname "$0")/.."

# npm 11 refuses a lock without packages of other platforms, which a mirror may lack; the second way takes the same
# versions and hashes from the lock.
(cd tests/clients/agents && { npm ci --no-audit --no-fund || npm install --no-save --no-audit --no-fund; }) ||
  echo "no agents: npm failed"
mkdir -p .tools/clients-go
(cd tests/clients/go && go build -mod=readonly -o ../../../.tools/clients-go/clients . && cp go.mod ../../../.tools/clients-go/) ||
  echo "no clients in Go: the build failed"

mkdir -p .tools/clients-rust
(cd tests/clients/rust && cargo build --release --locked --target-dir ../../../.tools/clients-rust/target &&
  cp Cargo.lock ../../../.tools/clients-rust/target/release/async-openai-calls ../../../.tools/clients-rust/) ||
  echo "no client in Rust: the build failed"

# Maven has no lock file: the sums of all its archives are kept beside the program.
compile_java() (
  local out="$PWD/.tools/clients-java"
  mkdir -p "$out/libs"
  cd tests/clients/java
  mvn -B -q org.apache.maven.plugins:maven-dependency-plugin:2.8:copy-dependencies -DoutputDirectory="$out/libs" &&
    (cd "$out/libs" && sha256sum --check --quiet --strict) <libs.sha256 &&
    javac -d "$out" -cp "$out/libs/*" Calls.java && cp pom.xml "$out/"
)
compile_java || echo "no client in Java: the build failed"
