#!/bin/sh
# Makes the Vault of docker-compose.yml usable: initialises it once, unseals it, runs deploy/vault/setup.sh and
# leaves a secret id for each plane. Needed again after each start of Vault: `docker compose up vault-setup`.
#
#   VAULT_ADDR     where Vault is
#   RUN_FOLDER       the folder of the demo's credentials       (default: /run/aigw)
#   SETUP_SCRIPT   the set-up of engine, policies and roles   (default: /deploy/vault/setup.sh)
#
# Whoever reads $RUN_FOLDER/vault can open everything. A production Vault gives its keys to people.
set -eu

run=${RUN_FOLDER:-/run/aigw}
cli=${VAULT_CLI:-vault}
setup=${SETUP_SCRIPT:-/deploy/vault/setup.sh}
patience_seconds=60

state() { # 0: unsealed, 2: sealed, anything else: it does not answer
  code=0
  "$cli" status >/dev/null 2>&1 || code=$?
  echo $code
}

wait_for() { # pattern of states
  waited=0
  until state | grep -qE "^($1)\$"; do
    waited=$((waited + 1))
    [ $waited -lt $patience_seconds ] || { echo "Vault at $VAULT_ADDR does not answer." >&2; exit 1; }
    sleep 1
  done
}

wait_for '0|2'
if ! "$cli" status | grep -qE '^Initialized +true'; then
  (umask 077; "$cli" operator init -key-shares=1 -key-threshold=1 >"$run/vault/init")
  (umask 077
   sed -n 's/^Unseal Key 1: //p' "$run/vault/init" | tr -d '\n' >"$run/vault/unseal-key"
   sed -n 's/^Initial Root Token: //p' "$run/vault/init" | tr -d '\n' >"$run/vault/root-token")
  rm "$run/vault/init"
fi
[ "$(state)" = 0 ] || "$cli" write sys/unseal "key=@$run/vault/unseal-key" >/dev/null
wait_for 0

VAULT_TOKEN=$(cat "$run/vault/root-token")
export VAULT_TOKEN
waited=0
until "$cli" secrets list >/dev/null 2>&1; do # unsealed, and not yet the leader
  waited=$((waited + 1))
  [ $waited -lt $patience_seconds ] || { echo "Vault has no active server." >&2; exit 1; }
  sleep 1
done
sh "$setup"
for plane in control-plane data-plane; do
  role="auth/approle/role/aigw-$plane"
  "$cli" write "$role/role-id" "role_id=aigw-$plane" >/dev/null
  file="$run/$plane/vault/secret-id"
  [ -s "$file" ] || "$cli" write -f -field=secret_id "$role/secret-id" >"$file"
done
echo "Vault is ready."
