# The data plane reads the version that an integration pins, and does nothing else: no list, no metadata.

path "MOUNT/data/PREFIXorgs/*" {
  capabilities = ["read"]
}
