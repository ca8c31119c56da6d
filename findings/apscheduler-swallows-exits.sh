#!/usr/bin/env bash
# APScheduler 3.11.3, Python 3.11.
#
# A BlockingScheduler runs in the main thread, where Python calls the handlers of signals. The usual handler of SIGTERM
# raises SystemExit (sys.exit), which unwinds to the end of the program, unless the signal arrives while the scheduler
# hands a due job to its executor: what is raised there, whatever it is, is logged as "Error submitting job", and the
# scheduler goes on. The process lives on until it is killed, and the job of that moment may not have run. KeyboardInterrupt
# (Ctrl-C) fares the same. Here the executor itself sends the signal, so that it arrives at such a moment each time.
#
# Seen:
#   APScheduler 3.11.3
#   SIGTERM elsewhere -> the program ends with 143
#   SIGTERM while a job is handed over -> logged: Error submitting job; the scheduler goes on, and runs its next job
#
# Exits with 0 while that is so, and with 1 once it has changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3}" -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check 'apscheduler==3.11.3'
cat > "$folder/program.py" <<'PYTHON'
import logging
import os
import signal
import sys
import time
from datetime import datetime, timedelta, timezone

from apscheduler.executors.pool import ThreadPoolExecutor
from apscheduler.schedulers.blocking import BlockingScheduler

logging.basicConfig(format="logged: %(message)s", level=logging.ERROR, stream=sys.stdout)
signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))


class Unlucky(ThreadPoolExecutor):
    """SIGTERM arrives while it is given its first job."""

    times = 0

    def _do_submit_job(self, job, run_times):
        self.times += 1
        if self.times == 1 and sys.argv[1] == "handed over":
            os.kill(os.getpid(), signal.SIGTERM)
        super()._do_submit_job(job, run_times)


def first():
    if sys.argv[1] == "elsewhere":
        time.sleep(1)  # by now the scheduler waits for what is due next
        os.kill(os.getpid(), signal.SIGTERM)


def second():
    print("the next job runs", flush=True)
    os._exit(0)


now = datetime.now(timezone.utc)
scheduler = BlockingScheduler(executors={"default": Unlucky()}, timezone=timezone.utc)
scheduler.add_job(first, "date", run_date=now + timedelta(seconds=0.5))
scheduler.add_job(second, "date", run_date=now + timedelta(seconds=3))
scheduler.start()
PYTHON
cat > "$folder/look.py" <<'PYTHON'
import subprocess
import sys
from importlib.metadata import version

print("APScheduler", version("apscheduler"))


def run(moment):
    done = subprocess.run([sys.executable, sys.argv[1], moment], capture_output=True, text=True, timeout=60)
    return done.returncode, done.stdout


ended, _ = run("elsewhere")
print(f"SIGTERM elsewhere -> the program ends with {ended}")
went_on, said = run("handed over")
logged = "Error submitting job" in said and "the next job runs" in said
how = "logged: Error submitting job; the scheduler goes on, and runs its next job" if logged else f"ends with {went_on}"
print(f"SIGTERM while a job is handed over -> {how}")
sys.exit(not (ended == 143 and went_on == 0 and logged))
PYTHON
"$folder/venv/bin/python" "$folder/look.py" "$folder/program.py"
