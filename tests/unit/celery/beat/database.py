"""Django with django-celery-beat on a database in memory, or for a while on another, with other clocks."""

from contextlib import contextmanager
from datetime import datetime
from unittest import mock
from zoneinfo import ZoneInfo

import django
from django.conf import settings

MEMORY = {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}


def set_up():
    """Once in a process."""
    if settings.configured:
        return
    settings.configure(
        INSTALLED_APPS=["django_celery_beat"],
        DATABASES={"default": MEMORY},
        USE_TZ=True,
        TIME_ZONE="UTC",
        DEFAULT_AUTO_FIELD="django.db.models.AutoField",
    )
    django.setup()
    from django.db import connection

    _create_tables(connection)


@contextmanager
def set_to(database, use_tz, zone):
    """For a while Django has these settings, and empty tables in ``database``.

    Django's clock shows ``zone`` where it knows none, as it has set that of the process; freezegun's shows UTC.
    """
    from django.db import connections
    from django.db.backends.base.base import BaseDatabaseWrapper
    from django.db.utils import load_backend
    from django.test.utils import override_settings
    from django.utils import timezone

    def local():
        return datetime.now(ZoneInfo(zone)).replace(tzinfo=None)

    clock = mock.patch.object(timezone, "now", local if not use_tz else timezone.now)
    with override_settings(USE_TZ=use_tz, TIME_ZONE=zone, DJANGO_CELERY_BEAT_TZ_AWARE=use_tz), clock:
        whole = connections.configure_settings({"default": database})["default"]
        before = connections["default"]
        connections["default"] = connection = load_backend(whole["ENGINE"]).DatabaseWrapper(whole, "default")
        try:
            _create_tables(connection)
            yield
        finally:
            connections["default"] = before
            BaseDatabaseWrapper.close(connection)  # its own leaves a database in memory open, for the garbage collector


def _create_tables(connection):
    """As the models are now: the migrations that led to them take a second, in every process."""
    from django.apps import apps

    with connection.constraint_checks_disabled(), connection.schema_editor() as editor:
        for model in apps.get_app_config("django_celery_beat").get_models():
            editor.create_model(model)
