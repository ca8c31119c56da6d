"""APScheduler's schedulers in several processes, guarded by one lease."""
