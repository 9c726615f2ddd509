#!/usr/bin/env bash
# Random passwords and keys for compose.yaml, once. What is there stays: a new sealing key would make stored credentials unreadable.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"

mkdir -p secrets
# Nobody else on this machine gets into the folder; inside a container the files are read by another user.
chmod 700 secrets

# make <name> <command…>: its output becomes the secret, unless there is one.
make() {
  local name=$1
  shift
  if [[ -s secrets/$name ]]; then return; fi
  "$@" >"secrets/$name"
  chmod 444 "secrets/$name"
  echo "made secrets/$name"
}

make mongodb-root openssl rand -hex 24
make mongodb-keyfile openssl rand -base64 756
make mongodb-uri printf 'mongodb://footnote:%s@mongodb:27017/footnote?replicaSet=rs0&authSource=footnote' "$(openssl rand -hex 24)"
make weaviate-key openssl rand -hex 24
make sealing-key openssl rand -base64 32
make admin-token openssl rand -hex 24
make metrics-token openssl rand -hex 24
