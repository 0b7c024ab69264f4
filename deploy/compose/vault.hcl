# The Vault of docker-compose.yml: real storage, sealed at every start. In production: TLS, several servers,
# and an unsealer.
storage "raft" {
  path    = "/vault/file"
  node_id = "only"
}
listener "tcp" {
  address     = "0.0.0.0:8200"
  tls_disable = true
}
api_addr      = "http://vault:8200"
cluster_addr  = "http://vault:8201"
disable_mlock = true
