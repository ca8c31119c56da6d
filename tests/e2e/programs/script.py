"""A script that calls one guarded function and ends. Options: lease, config."""

from program import configure, effect, log, options

from singleton_jobs import current_term, leader_only

configure()


@leader_only(lease=options.lease)
def job():
    effect(current_term())


outcome = job()
log("main ends", outcome=str(outcome))
