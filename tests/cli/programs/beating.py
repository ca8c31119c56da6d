"""A child that says, a hundred times a second, that it lives: beating.py FILE [stubborn] [family]"""

import os
import signal
import sys
import time
from pathlib import Path

path, *ways = sys.argv[1:]
token = os.environ["SINGLETON_JOBS_FENCING_TOKEN"]


def say(what):
    with Path(path).open("a") as file:
        file.write(f"{time.clock_gettime(time.CLOCK_BOOTTIME)} {os.getpid()} {token} {what}\n")


def on_signal(number, frame):
    say(signal.Signals(number).name)
    if number == signal.SIGTERM and "stubborn" not in ways:
        sys.exit(9)


for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1):
    signal.signal(number, on_signal)
if "family" in ways and os.fork() == 0:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
say("starts")
while True:
    say("lives")
    time.sleep(0.01)
