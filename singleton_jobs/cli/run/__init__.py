"""`singleton-jobs run`: any program on exactly one replica."""

from __future__ import annotations

import json
import logging
import shutil
import sys
from collections.abc import Sequence

import click

from ...config import Config, seconds
from ...errors import ConfigError
from ...leading.participant import part_of
from ...names import lease_name
from ...replica import Replica

__all__ = ["run_program"]

NOT_FOUND, NOT_STARTED = 127, 126  # as shells have it


class _JsonLines(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        return json.dumps({"time": self.formatTime(record), "level": record.levelname, "message": record.getMessage()})


def run_program(
    command: Sequence[str],
    lease: str,
    *,
    grace: float,
    lease_duration: float | None,
    store: str | None,
    namespace: str | None,
    as_json: bool,
) -> int:
    """Run it, and return the exit status. Raises ConfigError before anything is started."""
    from .supervisor import CannotStart, Supervisor

    lease_name(lease)
    seconds("--grace", grace, zero=True)
    config = None if lease_duration is None else Config(lease_duration)
    if not shutil.which(command[0]):
        click.echo(f"Error: {command[0]!r} is not a program that can be run", err=True)
        return NOT_FOUND
    replica = Replica(store, namespace, config=config)
    if replica.mode == "never":
        raise ConfigError("SINGLETON_JOBS_MODE=never: nothing guarded runs here, and this program neither")
    leadership = replica.leadership(lease)
    _log_to_stderr(as_json=as_json)
    supervisor = Supervisor(list(command), grace)
    supervisor.start()
    part_of(leadership).prepare()  # finding a store may log, on a thread
    try:
        with replica:
            return supervisor.run(leadership, part_of(leadership).timing)
    except CannotStart as error:
        click.echo(f"Error: {command[0]!r} cannot be run: {error}", err=True)
        return NOT_STARTED


def _log_to_stderr(*, as_json: bool) -> None:
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_JsonLines() if as_json else logging.Formatter("%(asctime)s singleton-jobs: %(message)s"))
    logger = logging.getLogger("singleton_jobs")
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
