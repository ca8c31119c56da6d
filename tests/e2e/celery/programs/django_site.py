"""Django's settings for beats that keep their entries in a database. Environment: DATABASE (a file)."""

import os

SECRET_KEY = "not one"
INSTALLED_APPS = ["django_celery_beat"]
DATABASES = {
    "default": {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": os.environ["DATABASE"],
        "OPTIONS": {"timeout": 20, "transaction_mode": "IMMEDIATE"},
    }
}
USE_TZ = True
TIME_ZONE = "UTC"
DEFAULT_AUTO_FIELD = "django.db.models.AutoField"
CELERY_BEAT_SCHEDULER = "django_celery_beat.schedulers:DatabaseScheduler"
CELERY_SINGLETON_JOBS = {"lease_duration": 3, "renew_deadline": 2, "retry_period": 0.5}
