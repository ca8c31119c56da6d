"""Replicas that run a scheduler, as a test sees and drives them."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

from controlplane.admin import Admin
from controlplane.pod import Pod
from sqlalchemy import create_engine, text
from sqlalchemy.pool import NullPool

from ..journal import Entry, Journal, boot_time, eventually
from ..processes import PROGRAMS as SHARED_PROGRAMS
from ..processes import ReplicaProcess, Starter
from .fires import Verdict, judge

HERE = Path(__file__).resolve().parent
PROGRAMS = HERE / "programs"
NEW_CODE = HERE / "new_code"

TIMING = {"lease_duration": 3}
GRACE = 14  # seconds: what a job without a grace of its own is given under TIMING
FAILOVER = 3.5  # seconds: a lease and the slowest poll
LOAD = 6.0  # seconds that a busy machine may add to what is bounded


class Store(NamedTuple):
    """Where the schedulers keep their jobs; a URL if they share it."""

    kind: str
    url: str | None

    def rows(self) -> dict[str, float | None]:
        """The next run time of each job in the database."""
        return {row.id: row.next_run_time for row in self.execute("SELECT id, next_run_time FROM apscheduler_jobs")}

    def row(self, job: str) -> dict[str, Any]:
        """All that the database has of a job."""
        (row,) = self.execute("SELECT * FROM apscheduler_jobs WHERE id = :job", job=job)
        return dict(row._mapping)

    def put_back(self, row: dict[str, Any]) -> None:
        """Overwrite what the database has of a job by what it once had."""
        changes = "next_run_time = :next_run_time, job_state = :job_state"
        self.execute(f"UPDATE apscheduler_jobs SET {changes} WHERE id = :id RETURNING id", **row)

    def execute(self, statement: str, **values: Any) -> Any:
        assert self.url
        engine = create_engine(self.url, poolclass=NullPool)
        with engine.begin() as connection:
            return connection.execute(text(statement), values).all()


class Scheduler:
    """One process of `programs/scheduler.py`."""

    def __init__(self, process: ReplicaProcess, control: Path) -> None:
        self.process = process
        self._control = control
        self._told = 0

    def __repr__(self) -> str:
        return self.who

    @property
    def who(self) -> str:
        return self.process.who

    @property
    def identity(self) -> str:
        return self.process.wait_for("started").identity

    def ready(self) -> Scheduler:
        """Once it leads, or has seen who does."""
        self.process.wait_for("started")
        eventually(
            lambda: self.process.entries("TermStarted") or self.process.entries("HolderChanged"),
            lambda: f"{self.who} sees the lease:\n{self.process.output[-3000:]}",
        )
        return self

    def send(self, do: str, **arguments: Any) -> int:
        """Have it do something, whenever it gets to it."""
        self._told += 1
        with self._control.open("a") as file:
            file.write(json.dumps({"number": self._told, "do": do, **arguments}) + "\n")
        return self._told

    def tell(self, do: str, **arguments: Any) -> Any:
        """Have it do something, and say what came of it."""
        answer = self.process.wait_for("answer", number=self.send(do, **arguments))
        assert answer.error is None, f"{do} {arguments}: {answer.error}"
        return answer.result

    def end(self) -> int:
        """SIGTERM, and wait for it."""
        self.process.terminate()
        return self.process.wait()


class Schedulers:
    """Starts replicas with a scheduler; all in one lease."""

    def __init__(
        self, start: Starter, journal: Journal, admin: Admin, namespace: str, store: Store, folder: Path
    ) -> None:
        self.journal = journal
        self.store = store
        self.every: list[Scheduler] = []
        self._start, self._admin, self._namespace, self._folder = start, admin, namespace, folder

    def __call__(
        self, *, pod: Pod | None = None, skew: float = 0, path: Iterable[Path] = (), **options: Any
    ) -> Scheduler:
        """One more replica; `path` is added to its PYTHONPATH."""
        control = self._folder / f"control-{len(self.every)}"
        control.touch()
        paths = [str(SHARED_PROGRAMS), *map(str, path), *filter(None, [os.environ.get("PYTHONPATH")])]
        if self.store.kind == "sqlite":
            options.setdefault("connect", {"timeout": 15})
        process = self._start.python(
            str(PROGRAMS / "scheduler.py"),
            pod=pod,
            env={"PYTHONPATH": os.pathsep.join(paths), "SKEW": str(skew)},
            **{"control": str(control), "lease": "jobs", "config": TIMING, "store": self.store.url, **options},
        )
        self.every.append(Scheduler(process, control))
        return self.every[-1]

    def several(self, count: int = 3, **options: Any) -> list[Scheduler]:
        """So many replicas alike, ready."""
        started = [self(**options) for _ in range(count)]
        return [scheduler.ready() for scheduler in started]

    def leader(self) -> Scheduler:
        """Who holds the lease, once that is a running replica."""

        def found() -> Scheduler | None:
            lease = self._admin.get_lease(self._namespace, "jobs")
            holder = lease["spec"]["holderIdentity"] if lease else None
            running = [s for s in self.every if s.process.running and s.process.entries("started")]
            return next((s for s in running if holder and s.identity == holder), None)

        leader: Scheduler = eventually(found, "a replica leads")
        return leader

    def followers(self) -> list[Scheduler]:
        """The running replicas besides the leader."""
        leader = self.leader()
        return [s for s in self.every if s.process.running and s is not leader]

    def runs(self, job: str, **fields: Any) -> list[Entry]:
        """Its runs for scheduled fires, in the order of their beginnings."""
        return [entry for entry in self.journal.entries("run", job=job, **fields) if entry.nominal is not None]

    def fires(self, job: str, **fields: Any) -> list[float]:
        """The nominal times of its runs."""
        return [run.nominal for run in self.runs(job, **fields)]

    def wait_until(self, job: str, time: float, **how: Any) -> None:
        """Until a run for this nominal time or a later one has ended: nobody runs an earlier one after it."""
        eventually(
            lambda: any(run.nominal >= time for run in self.journal.entries("ended", job=job) if run.nominal),
            lambda: f"a run of {job} for {time}; the journal ends\n{self.journal.tail()}",
            **how,
        )

    def verdict(self, job: str, end: float, *, begin: float | None = None, every: float = 1.0) -> Verdict:
        """What became of the fires from the first that ran until `end`, once one of then or later has run."""
        self.wait_until(job, end)
        fires = self.fires(job)
        phase = 0.0 if begin is None else begin
        return judge(fires, every=every, begin=fires[0] if begin is None else begin, end=end, phase=phase, edge=0)

    def interrupted(self, job: str) -> list[str]:
        """The fires that were reported as claimed and not ended."""
        return [entry.time for entry in self.journal.entries("FireInterrupted") if entry.job.endswith(f":{job}")]


def wall(entry: Entry) -> float:
    """When an entry was written, as Unix time."""
    return entry.at + time.time() - boot_time()


def sleep_until(moment: float) -> None:
    """Until this Unix time."""
    time.sleep(max(0.0, moment - time.time()))


def mid_second() -> None:
    """Until half past some second, when short jobs of full seconds rest."""
    now = time.time()
    sleep_until(int(now) + (0.5 if now % 1 < 0.5 else 1.5))


def cpu_seconds(scheduler: Scheduler) -> float:
    """The processor time that a replica has used so far."""
    _, _, fields = Path(f"/proc/{scheduler.process.pid}/stat").read_text().rpartition(")")
    user, system = fields.split()[11:13]
    return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")


def iso(moment: float) -> str:
    return datetime.fromtimestamp(moment, UTC).isoformat()


def seconds_of(*moments: float) -> dict[str, str]:
    """Arguments of a cron trigger for these Unix times, all within a minute."""
    return {"second": ",".join(str(int(moment) % 60) for moment in moments)}
