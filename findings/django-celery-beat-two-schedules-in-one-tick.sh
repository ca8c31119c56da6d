#!/usr/bin/env bash
# django-celery-beat 2.9.0: looking at `scheduler.schedule` may write to the database, and replaces every entry.
#
# DatabaseScheduler.schedule is a property that asks, at each access, whether a row has changed since the last one. If so it
# stores the entries that are dirty, and makes all of them anew. Celery's tick looks at it several times, so the entries that
# it has just compared and those that it puts on its heap may be different objects, with the state of different moments: what
# was set on an entry after the first look is gone at the second, although nobody has touched that entry's row.
#
# Seen:
#   django-celery-beat 2.9.0, celery 5.7.0
#   same entry at two looks: True
#   same entry at two looks, with another row changed in between: False
#   runs set on it in between: 5, then 0
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT

cat > "$folder/looks.py" <<'PYTHON'
import celery
import django
import django_celery_beat
from django.conf import settings

settings.configure(
    INSTALLED_APPS=["django_celery_beat"],
    DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}},
    DEFAULT_AUTO_FIELD="django.db.models.AutoField",
    USE_TZ=True,
)
django.setup()

from django.core.management import call_command
from django_celery_beat.models import IntervalSchedule, PeriodicTask
from django_celery_beat.schedulers import DatabaseScheduler

call_command("migrate", verbosity=0)
hourly = IntervalSchedule.objects.create(every=1, period="hours")
PeriodicTask.objects.create(name="report", task="report", interval=hourly)
other = PeriodicTask.objects.create(name="other", task="other", interval=hourly)

scheduler = DatabaseScheduler(celery.Celery(broker="memory://"), lazy=True)
entry = scheduler.schedule["report"]
print(f"django-celery-beat {django_celery_beat.__version__}, celery {celery.__version__}")
print("same entry at two looks:", scheduler.schedule["report"] is entry)
entry.total_run_count = 5
other.save()
again = scheduler.schedule["report"]
print("same entry at two looks, with another row changed in between:", again is entry)
print(f"runs set on it in between: {entry.total_run_count}, then {again.total_run_count}")
PYTHON

python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check celery==5.7.0 django==5.2.19 django-celery-beat==2.9.0
"$folder/venv/bin/python" "$folder/looks.py" | tee "$folder/seen"

diff "$folder/seen" - <<'EXPECTED'
django-celery-beat 2.9.0, celery 5.7.0
same entry at two looks: True
same entry at two looks, with another row changed in between: False
runs set on it in between: 5, then 0
EXPECTED
