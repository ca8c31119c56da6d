"""A Celery application without a broker."""

import pytest

from celery import Celery
from kombu.transport import memory


@pytest.fixture
def app():
    app = Celery("tasks", broker="memory://", backend="cache+memory://", set_as_current=False)
    yield app
    memory.Transport.global_state.clear()
    memory.Channel.queues.clear()
