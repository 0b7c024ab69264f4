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
  pgbouncer=pgbouncer      # the control plane behind a pool by transaction
  qemu-system-x86_64=qemu-system-x86 # guests of the laboratory
  chromium=chromium        # the Portal, as a browser shows it
  promtool=prometheus      # the alerts of the Helm chart, in staged series
  prometheus=prometheus    # the same alerts and the dashboard, beside running planes
  containerd=containerd    # the Kubernetes node: containers
  runc=runc                # the Kubernetes node, podman
  etcd=etcd-server         # the Kubernetes node: its store
  ipset=ipset              # the Kubernetes node: network policies
  iptables=iptables        # the Kubernetes node, podman
  conntrack=conntrack      # the Kubernetes node: services
  podman=podman            # the image
  systemd-analyze=systemd  # the units of the node agent, under a systemd in namespaces
  socat=socat              # the other pipe of guestfwd
  debootstrap=debootstrap  # the image's base, from Debian's packages
)
# Debian's packages without a program of their own on the PATH: file=package.
FILES=(
  /usr/lib/cni/bridge=containernetworking-plugins # the Kubernetes node: pods' networks
  /usr/lib/podman/netavark=netavark               # podman's networks
  /usr/lib/podman/aardvark-dns=aardvark-dns       # podman's names
)

has() { command -v "$1" >/dev/null 2>&1 || [ -x "/usr/sbin/$1" ]; }

install_programs() {
  local wanted=() program file
  for program in "${PROGRAMS[@]}"; do
    has "${program%%=*}" || wanted+=("${program##*=}")
  done
  for file in "${FILES[@]}"; do
    [ -e "${file%%=*}" ] || wanted+=("${file##*=}")
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
  for file in "${FILES[@]}"; do
    [ -e "${file%%=*}" ] || missing+=("${file%%=*}: apt-get install ${file##*=} (as root)")
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

# -- A tool from its Go module: tools/NAME/go.mod and go.sum say which version.
# $1 name, $2 what to say of its build, $3 linker's flags, $4… packages.
build_go_tool() {
  local name="$1" say="$2" flags="$3" stamp="$TOOLS/$1/built-from" sum
  shift 3
  # A tool that was built from other module files, or with other flags, is built again.
  sum="$({ cat "tools/$name/go.mod" "tools/$name/go.sum"; printf %s "$flags"; } | sha256sum | cut -d' ' -f1)"
  if [ "$(cat "$stamp" 2>/dev/null)" = "$sum" ]; then return; fi
  if ! has go; then
    missing+=("$name: install Go 1.26 or later, which builds it here")
    return
  fi
  mkdir -p "$TOOLS/$name/new"
  echo "building $name from its Go module: $say, once …"
  if (cd "tools/$name" && GOFLAGS=-mod=readonly CGO_ENABLED=0 nice -n 19 go build ${GO_TAGS:+-tags "$GO_TAGS"} -trimpath \
        -buildvcs=false -ldflags "-s -w $flags" -o "../../$TOOLS/$name/new/" "$@") >"$TOOLS/$name/build.log" 2>&1; then
    mv "$TOOLS/$name/new"/* "$TOOLS/$name/"
    rmdir "$TOOLS/$name/new"
    echo "$sum" >"$stamp"
  else
    missing+=("$name: the build failed; $TOOLS/$name/build.log says why")
  fi
}

# Vault is under the BUSL: it is run by tests here, never shipped.
build_vault() {
  if has vault || has bao; then return; fi
  GO_TAGS=minimal build_go_tool vault "3 to 6 minutes, about 5 GB of Go cache" "" github.com/hashicorp/vault
}

# The plug-in of Vault's Kubernetes auth, which Vault's minimal build lacks: tests register it by its sum.
build_vault_plugin() {
  build_go_tool vault-kubernetes "a minute" "" \
    github.com/hashicorp/vault-plugin-auth-kubernetes/cmd/vault-plugin-auth-kubernetes
}

build_helm() {
  if has helm; then return; fi
  build_go_tool helm "2 minutes" "" helm.sh/helm/v4/cmd/helm
}

# -- A whole Kubernetes node, which `make chart` installs the chart on.
build_kubernetes() {
  local version build=k8s.io/component-base/version program packages=()
  version="$(sed -n 's|^.*k8s\.io/kubernetes \(v[0-9.]*\)\( // indirect\)\{0,1\}$|\1|p' tools/kubernetes/go.mod)"
  # Without its version each program ends at once.
  [ -n "$version" ] || { missing+=("kubernetes: tools/kubernetes/go.mod names no version of it"); return; }
  for program in kube-apiserver kube-controller-manager kube-scheduler kubelet kube-proxy kubectl; do
    packages+=("k8s.io/kubernetes/cmd/$program")
  done
  build_go_tool kubernetes "4 minutes" \
    "-X $build.gitVersion=$version -X $build.gitMajor=1 -X $build.gitMinor=$(echo "$version" | cut -d. -f2)" "${packages[@]}"
  build_go_tool coredns "2 minutes" "" github.com/coredns/coredns
  build_go_tool kube-router "2 minutes" "" github.com/cloudnativelabs/kube-router/v2/cmd/kube-router
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
build_vault_plugin
build_helm
build_go_tool kube-score "seconds" "" github.com/zegl/kube-score/cmd/kube-score
build_kubernetes

if [ ${#missing[@]} -eq 0 ]; then
  echo "every test tool is here"
  exit 0
fi
echo "missing test tools (tests that need one are skipped; with CI=true they fail):"
printf '  %s\n' "${missing[@]}"
[ "${CI:-}" != true ]
