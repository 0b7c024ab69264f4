#!/bin/sh
# Sets a Vault (or OpenBao) up for the gateway; running it again changes nothing that is right already.
# Needs: the CLI with VAULT_ADDR and an administrator's VAULT_TOKEN, as for any other use of it.
#
#   SETUP_MOUNT       where the KV v2 engine is mounted        (default: aigw)
#   SETUP_PREFIX      a path below it, for a shared engine     (default: none)
#   SETUP_AUTH        approle | kubernetes | jwt | none        (default: approle)
#   SETUP_AUTH_MOUNT  where that auth method is mounted        (default: its name)
#   SETUP_TOKEN_TTL, SETUP_TOKEN_MAX_TTL             (default: 1h, 24h)
#   SETUP_NAMESPACE   kubernetes: the pods' namespace          (default: aigw)
#   SETUP_AUDIENCE    jwt, kubernetes: the tokens' audience    (default: aigw; kubernetes: any)
#   SETUP_ACCOUNTS    what stands before the plane's name in the service account (kubernetes) or subject (jwt), e.g.
#                     `aigw-ai-gateway-`, or `system:serviceaccount:NAMESPACE:aigw-ai-gateway-`   (default: aigw-)
#   SETUP_AUDIT_FILE  also write an audit log there            (default: no)
#
# It makes no secret ids: `vault write -f -field=secret_id auth/approle/role/aigw-data-plane/secret-id`.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
cli=${VAULT_CLI:-$(command -v vault || command -v bao || true)}
mount=${SETUP_MOUNT:-aigw}
prefix=${SETUP_PREFIX:-}
auth=${SETUP_AUTH:-approle}
auth_mount=${SETUP_AUTH_MOUNT:-$auth}
ttl=${SETUP_TOKEN_TTL:-1h}
max_ttl=${SETUP_TOKEN_MAX_TTL:-24h}
# Old versions must outlive any process that still pins them; clearing destroys all of them anyway.
max_versions=50
patience_seconds=30

[ -n "$cli" ] || { echo "Neither vault nor bao is on the PATH; name one by VAULT_CLI." >&2; exit 2; }
[ -z "$prefix" ] || prefix="${prefix%/}/"

enable_engine() {
  if "$cli" secrets list -format=json | grep -q "\"$mount/\""; then
    echo "engine: $mount is mounted"
  else
    "$cli" secrets enable -path="$mount" -version=2 kv >/dev/null
    echo "engine: mounted KV v2 at $mount"
  fi
  # A new engine upgrades itself for a moment and refuses meanwhile.
  waited=0
  until "$cli" write "$mount/config" cas_required=true max_versions=$max_versions >/dev/null 2>&1; do
    waited=$((waited + 1))
    [ $waited -lt $patience_seconds ] || { "$cli" write "$mount/config" cas_required=true; exit 1; }
    sleep 1
  done
}

write_policy() { # plane
  sed -e "s|MOUNT/|$mount/|" -e "s|PREFIX|$prefix|" "$here/$1.hcl" | "$cli" policy write "aigw-$1" - >/dev/null
  echo "policy: aigw-$1"
}

enable_auth() {
  if "$cli" auth list -format=json | grep -q "\"$auth_mount/\""; then
    echo "auth: $auth_mount is mounted"
  else
    "$cli" auth enable -path="$auth_mount" "$auth" >/dev/null
    echo "auth: mounted $auth at $auth_mount"
  fi
}

write_role() { # plane
  account=${SETUP_ACCOUNTS:-aigw-}$1
  set -- "aigw-$1" "token_policies=aigw-$1" "token_no_default_policy=false" "token_ttl=$ttl" "token_max_ttl=$max_ttl"
  case $auth in
    approle) set -- "$@" secret_id_ttl=0 ;;
    kubernetes)
      set -- "$@" "bound_service_account_names=$account" "bound_service_account_namespaces=${SETUP_NAMESPACE:-aigw}"
      [ -z "${SETUP_AUDIENCE:-}" ] || set -- "$@" "audience=$SETUP_AUDIENCE" ;;
    jwt) set -- "$@" role_type=jwt user_claim=sub "bound_audiences=${SETUP_AUDIENCE:-aigw}" "bound_subject=$account" ;;
  esac
  role=$1
  shift
  "$cli" write "auth/$auth_mount/role/$role" "$@" >/dev/null
  if [ "$auth" = approle ]; then
    echo "role: $role, role_id $("$cli" read -field=role_id "auth/$auth_mount/role/$role/role-id")"
  else
    echo "role: $role"
  fi
}

enable_audit() {
  if "$cli" audit list -format=json | grep -q '"aigw/"'; then
    echo "audit: aigw is there"
  else
    "$cli" audit enable -path=aigw file "file_path=$SETUP_AUDIT_FILE" >/dev/null
    echo "audit: $SETUP_AUDIT_FILE"
  fi
}

case $auth in
  approle | kubernetes | jwt | none) ;;
  *) echo "SETUP_AUTH is approle, kubernetes, jwt or none." >&2; exit 2 ;;
esac
[ -z "${SETUP_AUDIT_FILE:-}" ] || enable_audit
enable_engine
for plane in control-plane data-plane; do
  write_policy $plane
done
if [ "$auth" != none ]; then
  enable_auth
  for plane in control-plane data-plane; do
    write_role $plane
  done
fi
