#!/usr/bin/env bash
# Celery 5.6.3: of the same method of two objects, connected to one signal, only the first object's is ever called.
#
# celery.utils.dispatch.signal tells receivers apart by an id, and takes that of the function for bound methods, so that
# a second object's method counts as connected already: no error, no warning, and it is not called. Two schedulers of one
# process, or two instances of one plugin, lose all but one of their receivers. 5.7.0 calls both.
#
# Seen:
#   celery 5.6.3: first
#   celery 5.7.0: first second
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT

cat > "$folder/listeners.py" <<'PYTHON'
from celery import Celery, __version__, signals


class Listener:
    def __init__(self, name):
        self.name = name

    def hear(self, **_):
        heard.append(self.name)


heard = []
listeners = Listener("first"), Listener("second")
for listener in listeners:
    signals.before_task_publish.connect(listener.hear)
Celery(broker="memory://").send_task("report")
print(f"celery {__version__}: {' '.join(heard)}")
PYTHON

for version in 5.6.3 5.7.0; do
    python3 -m venv "$folder/$version"
    "$folder/$version/bin/pip" install --quiet --disable-pip-version-check "celery==$version"
    "$folder/$version/bin/python" "$folder/listeners.py"
done | tee "$folder/seen"

diff "$folder/seen" - <<'EXPECTED'
celery 5.6.3: first
celery 5.7.0: first second
EXPECTED
