#!/usr/bin/env bash
# Celery 5.7.0, Python 3.11: in the second pass of the hour that clocks repeat in autumn, crontab.remaining_estimate names
# a time of the first pass, which lies before the last run it is asked about; so is_due says "due, and again in 0 s" at every
# look until the hour has ended. An entry that ran last at 02:10 (second pass) in Europe/Berlin is due at once and sent
# at every tick of beat for 50 minutes; whoever waits for a time after the last run waits for ever.
#
# Seen:
#   celery 5.7.0: last run 2026-10-25T02:10:00+01:00, asked at 2026-10-25T02:11:00+01:00
#   */5 * * * *  next run: 2026-10-25T02:15:00+02:00, 0:55:00 before the last; is_due: (True, 0)
#   30 2 * * *   next run: 2026-10-25T02:30:00+02:00, 0:40:00 before the last; is_due: (True, 0)
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet 'celery==5.7.0' tzdata
"$folder/venv/bin/python" - <<'PYTHON'
import sys
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import celery
from celery import Celery
from celery.schedules import crontab

berlin = ZoneInfo("Europe/Berlin")
app = Celery("app")
app.conf.timezone = "Europe/Berlin"
last = datetime(2026, 10, 25, 1, 10, tzinfo=UTC).astimezone(berlin)
now = datetime(2026, 10, 25, 1, 11, tzinfo=UTC).astimezone(berlin)
print(f"celery {celery.__version__}: last run {last.isoformat()}, asked at {now.isoformat()}")
for text in ("*/5 * * * *", "30 2 * * *"):
    plan = crontab.from_string(text)
    plan.app, plan.nowfun = app, lambda: now
    named = now.astimezone(UTC) + plan.remaining_estimate(last)
    due = tuple(plan.is_due(last))
    before = last.astimezone(UTC) - named
    print(f"{text:12} next run: {named.astimezone(berlin).isoformat()}, {before} before the last; is_due: {due}")
    if before <= timedelta(0) or due != (True, 0):
        sys.exit("it has changed")
PYTHON
