#!/usr/bin/env bash
# celery-singleton 0.3.1 under Celery 5.6.3: a task that asks to be tried again never is, and no later message of it is sent.
#
# The lock of a singleton task is taken where its message is sent, and released when it has succeeded or failed. A retry is
# neither: Task.retry() sends a message of the same task with the same arguments, which meets the lock that this very task
# holds, is taken for a duplicate, and dropped without a word. The task stays in the state RETRY, the lock stays where it
# is, and each later apply_async() with these arguments gives the result of a task that will never run. An expiry of the
# lock (lock_expiry, off by default) ends that for later messages only: the retry is lost all the same.
#
# Seen:
#   runs of a plain task that asks for one retry: 2, of a singleton task: 1
#   states: SUCCESS, RETRY
#   a later message is taken for the first: True
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT

python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check \
    celery==5.6.3 celery-singleton==0.3.1 redis==8.1.0 fakeredis==2.41.0

cat > "$folder/retries.py" <<'PYTHON'
import os
import threading
import time

from celery import Celery
from celery.contrib.testing.worker import start_worker
from celery_singleton import Singleton
from fakeredis import TcpFakeServer

redis = TcpFakeServer(("127.0.0.1", 0), server_type="redis")
threading.Thread(target=redis.serve_forever, daemon=True).start()
app = Celery("app", broker="memory://", backend="cache+memory://", set_as_current=False)
app.conf.singleton_backend_url = f"redis://127.0.0.1:{redis.server_address[1]}/0"
runs = []


@app.task(bind=True)
def plain(self):
    runs.append("plain")
    if self.request.retries == 0:
        raise self.retry(countdown=0.1)


@app.task(bind=True, base=Singleton)
def singleton(self):
    runs.append("singleton")
    if self.request.retries == 0:
        raise self.retry(countdown=0.1)


with start_worker(app, pool="threads", concurrency=2, perform_ping_check=False, loglevel="ERROR"):
    ordinary, first = plain.delay(), singleton.delay()
    while ordinary.state != "SUCCESS":
        time.sleep(0.1)
    time.sleep(5)  # as long again, and more
    later = singleton.delay()
    plains, singletons = (runs.count(name) for name in ("plain", "singleton"))
    print(f"runs of a plain task that asks for one retry: {plains}, of a singleton task: {singletons}")
    print(f"states: {ordinary.state}, {first.state}")
    print(f"a later message is taken for the first: {later.id == first.id}", flush=True)
    os._exit(0)  # the worker is a thread of this program, and would be waited for
PYTHON

timeout 60 "$folder/venv/bin/python" -W ignore "$folder/retries.py" | tee "$folder/seen"

diff "$folder/seen" - <<'EXPECTED'
runs of a plain task that asks for one retry: 2, of a singleton task: 1
states: SUCCESS, RETRY
a later message is taken for the first: True
EXPECTED
