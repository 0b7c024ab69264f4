#!/usr/bin/env bash
# Builds the project's image by podman where no registry is in reach: on a base made of Debian's packages that stands in for
# the one that the Dockerfile names. And one image with Postgres, Valkey's kin and Vault, the stand-ins of production's
# backends in tests. Needs root, podman, debootstrap. Does nothing that was done before.
#
#   tools/image/build.sh [gateway | backends | stand-ins | all]
#
# Images: localhost/run9-ai-gateway:0.1.0, localhost/aigw-test-backends:1, and the names of docker-compose.yml below localhost/
set -euo pipefail
cd "$(dirname "$0")/../.."

TOOLS=.tools/image
BASE=docker.io/library/python:3.11.13-slim-bookworm # by the name that the Dockerfile asks for, made here
BASE_PACKAGES=python3,python3-venv,python3-dev,ca-certificates
BACKEND_PACKAGES=postgresql,redis-server,ca-certificates
podman=(podman --runtime runc --cgroup-manager cgroupfs)
# Limits that a root without CAP_SYS_RESOURCE can set.
limits=(--ulimit nofile=10000:10000 --ulimit nproc=10000:10000)
mkdir -p "$TOOLS"

made_from() { # files: one sum of what they hold
  cat "$@" | sha256sum | cut -d' ' -f1
}

is_current() { # image, stamp file, sum
  [ "$(cat "$2" 2>/dev/null)" = "$3" ] && "${podman[@]}" image exists "$1"
}

base() { # packages of Debian, by comma
  local sum stamp="$TOOLS/base.stamp" root
  sum="$BASE_PACKAGES"
  is_current "$BASE" "$stamp" "$sum" && return
  root="$(mktemp -d)"
  debootstrap --variant=minbase --include="$BASE_PACKAGES" bookworm "$root" ${DEBIAN_MIRROR:+"$DEBIAN_MIRROR"} \
    >"$TOOLS/debootstrap.log" 2>&1 || { tail -5 "$TOOLS/debootstrap.log"; return 1; }
  ln -s python3 "$root/usr/bin/python"
  tar -C "$root" -c . | "${podman[@]}" import -q - "$BASE" >/dev/null
  rm -rf "$root"
  echo "$sum" >"$stamp"
}

# How this machine reaches its package indexes: lent to the build, and in no layer of it.
borrowed() {
  python3 -m pip config list | sed -n "s/^[a-z:]*\.\([a-z-]*\)='\(.*\)'$/\1 = \2/p" | sort -u | { echo '[global]'; cat; } >"$TOOLS/pip.conf"
  printf '%s\n' --volume "$PWD/$TOOLS/pip.conf:/etc/pip.conf:ro" --volume /etc/apt:/etc/apt:ro \
    --volume /usr/share/keyrings:/usr/share/keyrings:ro --volume /etc/ssl/certs:/etc/ssl/certs:ro
  [ ! -d /opt/wheels ] || printf '%s\n' --volume /opt/wheels:/opt/wheels:ro
}

gateway() {
  local sum stamp="$TOOLS/gateway.stamp" options
  base
  sum="$({ git ls-files -s aigw services shared requirements deploy/docker tools/accelerate.py; git diff HEAD -- aigw services shared requirements deploy/docker tools/accelerate.py; } | sha256sum | cut -d' ' -f1)"
  is_current localhost/run9-ai-gateway:0.1.0 "$stamp" "$sum" && return
  mapfile -t options < <(borrowed)
  "${podman[@]}" build "${limits[@]}" --network host --pull=never "${options[@]}" -f deploy/docker/Dockerfile \
    -t localhost/run9-ai-gateway:0.1.0 . >"$TOOLS/gateway.log" 2>&1 || { tail -20 "$TOOLS/gateway.log"; return 1; }
  echo "$sum" >"$stamp"
}

backends() {
  local sum stamp="$TOOLS/backends.stamp" root vault
  vault="$(command -v vault || command -v bao || echo .tools/vault/vault)"
  sum="$BACKEND_PACKAGES $(made_from "$vault")"
  is_current localhost/aigw-test-backends:1 "$stamp" "$sum" && return
  root="$(mktemp -d)"
  debootstrap --variant=minbase --include="$BACKEND_PACKAGES" bookworm "$root" ${DEBIAN_MIRROR:+"$DEBIAN_MIRROR"} \
    >"$TOOLS/debootstrap-backends.log" 2>&1 || { tail -5 "$TOOLS/debootstrap-backends.log"; return 1; }
  cp "$vault" "$root/usr/local/bin/vault"
  tar -C "$root" -c . | "${podman[@]}" import -q - localhost/aigw-test-backends:1 >/dev/null
  rm -rf "$root"
  echo "$sum" >"$stamp"
}

stand_ins() {
  local sum stamp="$TOOLS/stand-ins.stamp" name last
  backends
  last="$(sed -n 's/^ *image: \(hashicorp.vault:.*\)$/\1/p' docker-compose.yml | head -1)"
  sum="$(made_from tools/image/stand-ins/* "$TOOLS/backends.stamp" docker-compose.yml)"
  is_current "localhost/$last" "$stamp" "$sum" && return
  for name in postgres valkey vault; do
    "${podman[@]}" build "${limits[@]}" --pull=never --target "$name" \
      -t "localhost/$(sed -n "s/^ *image: \(.*$name:.*\)$/\1/p" docker-compose.yml | head -1)" tools/image/stand-ins \
      >"$TOOLS/stand-ins.log" 2>&1 || { tail -20 "$TOOLS/stand-ins.log"; return 1; }
  done
  echo "$sum" >"$stamp"
}

case "${1:-all}" in
  gateway) gateway ;;
  backends) backends ;;
  stand-ins) stand_ins ;;
  all) gateway; backends ;;
  *) echo "usage: tools/image/build.sh [gateway | backends | stand-ins | all]" >&2; exit 2 ;;
esac
