#!/usr/bin/env bash
# kubernetes 37.0.2 (the official Python client), Python 3.11.
#
# KUBECONFIG may name several files, which are merged. kubectl and client-go let the first file that sets a value win, so
# that with KUBECONFIG=staging:production they speak to staging (client-go 0.37.2: to the first in all three cases below).
# The official Python client merges clusters, contexts and users by the same rule, but takes current-context from the
# last file that has one: the same two files in the same environment lead it to production. An empty current-context in
# the last file (as `kubectl config unset` leaves it) hides the first file's altogether.
#
# Seen:
#   kubernetes 37.0.2
#   KUBECONFIG=staging:production -> https://production.example:6443
#   KUBECONFIG=production:staging -> https://staging.example:6443
#   KUBECONFIG=staging:empty -> ConfigException
#
# Exits with 0 while that is so, and with 1 once it has changed. No server is asked anything.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3}" -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check 'kubernetes==37.0.2'
for name in staging production; do
  cat > "$folder/$name" <<YAML
apiVersion: v1
kind: Config
current-context: $name
clusters:
- name: $name
  cluster: {server: "https://$name.example:6443"}
contexts:
- name: $name
  context: {cluster: $name, user: $name}
users:
- name: $name
  user: {token: of-$name}
YAML
done
sed 's/current-context: .*/current-context: ""/' "$folder/production" > "$folder/empty"
cat > "$folder/look.py" <<'PYTHON'
import os
import sys
from pathlib import Path

import kubernetes
from kubernetes.config import ConfigException, new_client_from_config

folder = Path(sys.argv[1])
expected = {
    ("staging", "production"): "https://production.example:6443",
    ("production", "staging"): "https://staging.example:6443",
    ("staging", "empty"): "ConfigException",
}
print("kubernetes", kubernetes.__version__)
found = {}
for names in expected:
    try:
        client = new_client_from_config(os.pathsep.join(str(folder / name) for name in names))
        found[names] = client.configuration.host
    except ConfigException:
        found[names] = "ConfigException"
    print(f"KUBECONFIG={':'.join(names)} -> {found[names]}")
sys.exit(found != expected)
PYTHON
"$folder/venv/bin/python" "$folder/look.py" "$folder"
