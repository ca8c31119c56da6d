"""Triggers as programs write them for themselves."""

from datetime import timedelta

from apscheduler.triggers.cron import CronTrigger


class Later(CronTrigger):
    """Some seconds after what its fields say."""

    seconds = 0.25

    def get_next_fire_time(self, previous_fire_time, now):
        time = super().get_next_fire_time(previous_fire_time, now)
        return time and time + timedelta(seconds=self.seconds)
