#!/usr/bin/env bash
# kubernetes 37.0.2 (the official Python client), Python 3.11.
#
# A kubeconfig's user may act as another: `as` and `as-groups`, which kubectl and client-go (0.37.2) send as the headers
# Impersonate-User and Impersonate-Group, so that the rights of that other user count. Administrators use it to work
# with fewer rights than their own. The official Python client reads the same file without a word and sends neither
# header: what is tried out as "jane" is done with all the rights of the token's owner.
#
# Seen:
#   kubernetes 37.0.2
#   authorization: Bearer of-an-administrator
#   impersonate-user: not sent
#   impersonate-group: not sent
#
# Exits with 0 while that is so, and with 1 once it has changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3}" -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check 'kubernetes==37.0.2'
cat > "$folder/kubeconfig" <<'YAML'
apiVersion: v1
kind: Config
current-context: as-jane
clusters:
- name: local
  cluster: {server: "http://127.0.0.1:PORT"}
contexts:
- name: as-jane
  context: {cluster: local, user: as-jane}
users:
- name: as-jane
  user: {token: of-an-administrator, as: jane, as-groups: [guests]}
YAML
cat > "$folder/look.py" <<'PYTHON'
import json
import sys
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import kubernetes
from kubernetes.client import CoordinationV1Api
from kubernetes.config import new_client_from_config

seen = {}


class ApiServer(BaseHTTPRequestHandler):
    def do_GET(self):
        seen.update({name.lower(): value for name, value in self.headers.items()})
        body = json.dumps({"apiVersion": "coordination.k8s.io/v1", "kind": "LeaseList", "metadata": {}, "items": []})
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body.encode())

    def log_message(self, *_):
        pass


server = HTTPServer(("127.0.0.1", 0), ApiServer)
threading.Thread(target=server.serve_forever, daemon=True).start()
path = Path(sys.argv[1])
path.write_text(path.read_text().replace("PORT", str(server.server_port)))
CoordinationV1Api(new_client_from_config(str(path))).list_namespaced_lease("default")
print("kubernetes", kubernetes.__version__)
for name in ("authorization", "impersonate-user", "impersonate-group"):
    print(f"{name}: {seen.get(name, 'not sent')}")
sys.exit("authorization" not in seen or "impersonate-user" in seen or "impersonate-group" in seen)
PYTHON
"$folder/venv/bin/python" "$folder/look.py" "$folder/kubeconfig"
