"""A WSGI application with a job that each of its workers calls from a thread. Options: lease, config."""

import threading
import time

from program import configure, effect, log, log_skip, options

from singleton_jobs import current_term, leader_only

replica = configure()


@leader_only(lease=options.lease)
def job():
    effect(current_term())


def loop():
    log("started", identity=replica.identity)
    while True:
        log_skip(job())
        time.sleep(0.05)


def app(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"ok"]


def begin():
    threading.Thread(target=loop, daemon=True).start()
