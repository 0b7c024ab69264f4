# The control plane writes keys and destroys them. It can never read one back.

# A new version, by check-and-set. No "read": a stolen control-plane token shows no key.
path "MOUNT/data/PREFIXorgs/*" {
  capabilities = ["create", "update"]
}

# For good, not recoverably: what clearing an integration promises.
path "MOUNT/destroy/PREFIXorgs/*" {
  capabilities = ["create", "update"]
}

# Which versions there are and when they were made. Metadata holds no part of a secret.
path "MOUNT/metadata/PREFIXorgs/*" {
  capabilities = ["read"]
}

# How many versions the engine keeps: after writes without a commit, the version in use must not be the next to go.
# Without this right the gateway assumes Vault's own number, 10, for an engine whose number is lower.
path "MOUNT/config" {
  capabilities = ["read"]
}
