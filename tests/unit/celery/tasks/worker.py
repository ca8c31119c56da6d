"""A worker that runs a task at a desk, and the messages that it has sent."""

from celery.app.trace import build_tracer

ME = "5e2d8b1a-task"


def work(task, *args, id=ME, redelivered=False, retries=0, **kwargs):
    """Run ``task`` as a worker does that got its message; what its tracer says."""
    request = {
        "id": id,
        "args": args,
        "kwargs": kwargs,
        "retries": retries,
        "called_directly": False,
        "delivery_info": {"redelivered": redelivered, "exchange": "", "routing_key": "celery"},
    }
    outcome = build_tracer(task.name, task, app=task.app)(id, args, kwargs, request)
    return outcome.info or outcome


def messages(app):
    with app.connection_for_read() as connection:
        queue = connection.SimpleQueue("celery")
        return [queue.get(block=False) for _ in range(queue.qsize())]
