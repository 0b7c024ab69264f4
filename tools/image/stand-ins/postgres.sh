#!/bin/sh
# What the entry point of the official Postgres image does with the variables that docker-compose.yml sets: makes the
# database once, then serves it to every address by password.
set -eu
data=/var/lib/postgresql/data
if [ ! -s "$data/PG_VERSION" ]; then
  initdb --pgdata "$data" --username "$POSTGRES_USER" --pwfile "$POSTGRES_PASSWORD_FILE" --auth-host scram-sha-256 \
    --auth-local trust --encoding UTF8 --locale C.UTF-8
  echo "host all all all scram-sha-256" >>"$data/pg_hba.conf"
  pg_ctl --pgdata "$data" --wait --options "-c listen_addresses='' -c unix_socket_directories=/var/run/postgresql" start
  createdb --host /var/run/postgresql --username "$POSTGRES_USER" "$POSTGRES_DB" || [ "$POSTGRES_DB" = "$POSTGRES_USER" ]
  pg_ctl --pgdata "$data" --wait --mode fast stop
fi
exec postgres -D "$data" -c listen_addresses='*' -c unix_socket_directories=/var/run/postgresql
