"""Run by a Python that has the wheel and what it asked for, nothing else: smoke.py [EXTRA]"""

import inspect
import os
import subprocess
import sys
import tempfile
import time
import uuid
from pathlib import Path

import kubeconfigs
import singleton_jobs
from kubernetes.client import Configuration
from singleton_jobs import Config, LeaseLocker, Replica, configure
from singleton_jobs.locks.kubernetes.kubeconfig_plugins import OF_NO_MATTER, REFUSED, USED

extra = sys.argv[1]
lease = f"smoke-{uuid.uuid4().hex[:8]}"
for name in singleton_jobs.__all__:
    getattr(singleton_jobs, name)

folder = Path(tempfile.mkdtemp())
command = Path(sys.executable).with_name("singleton-jobs")
with Replica(f"sqlite://{folder}/leases.sqlite3", identity="smoke") as replica:
    assert replica.leader_only(lease="x", at_most_every=60, job="x")(lambda: "ran")() == "ran"
    shown = subprocess.check_output([command, "status", "--store", f"sqlite://{folder}/leases.sqlite3"], text=True)
    assert "fn:x" in shown, shown

configure(config=Config(lease_duration=5))  # the store is the real API server's, by the environment
with LeaseLocker(f"{lease}-lock").hold(timeout=10) as term:
    assert term.fencing_token > 0
assert "would lead at once" in subprocess.check_output([command, "doctor", lease], text=True)
fields = {*vars(Configuration()), *inspect.signature(Configuration).parameters}
unknown = {name for name in fields if not name.startswith("_")} - USED - REFUSED - OF_NO_MATTER
assert not unknown, unknown
for name in [name for name in os.environ if name.lower().endswith("_proxy")]:
    del os.environ[name]
for case, parts in kubeconfigs.CASES.items():
    paths = kubeconfigs.write(Path(tempfile.mkdtemp(dir=folder)), *parts)
    assert kubeconfigs.ours(paths) == kubeconfigs.official(paths), case

old = os.environ | {"KUBECONFIG": os.environ["OLD_CLUSTER"]}  # whose certificates strict verification refuses
asked = subprocess.run([command, "doctor", lease], env=old, capture_output=True, text=True)
told = asked.returncode == 1 and "set SINGLETON_JOBS_STRICT_TLS=false" in asked.stdout
assert told if sys.version_info >= (3, 13) else asked.returncode == 0, asked
lenient = old | {"SINGLETON_JOBS_STRICT_TLS": "false"}
assert "would lead at once" in subprocess.check_output([command, "doctor", lease], env=lenient, text=True)

ran = subprocess.check_output([command, "run", "--lease", f"{lease}-run", "--", "echo", "ran"], text=True)
assert ran == "ran\n", ran

if extra in ("apscheduler", "all"):
    from apscheduler.schedulers.background import BackgroundScheduler
    from singleton_jobs_apscheduler import guard

    runs = []
    scheduler = BackgroundScheduler(timezone="UTC")
    guard(scheduler, lease=f"{lease}-aps")
    scheduler.add_job(runs.append, "interval", [1], seconds=1, id="tick")
    scheduler.start()
    until = time.monotonic() + 20
    while not runs and time.monotonic() < until:
        time.sleep(0.05)
    scheduler.shutdown()
    assert runs

if extra in ("celery", "all"):
    (folder / "app.py").write_text(
        "from celery import Celery\n"
        "app = Celery('app', broker='memory://')\n"
        "app.conf.beat_schedule = {'tick': {'task': 'tick', 'schedule': 1.0}}\n"
        f"app.conf.singleton_jobs = {{'lease': '{lease}-beat'}}\n"
    )
    beat = subprocess.Popen(
        [sys.executable, "-m", "celery", "-A", "app", "beat", "--scheduler", "singleton", "--loglevel", "info"],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert any("Sending due task tick" in line for line in beat.stdout)
    beat.terminate()
    beat.communicate(timeout=20)

if extra in ("prometheus", "all"):
    from prometheus_client import CollectorRegistry, generate_latest
    from singleton_jobs.hooks.prometheus import PrometheusHook

    registry = CollectorRegistry()
    with Replica("memory:", hooks=[PrometheusHook(registry)]) as replica:
        assert replica.leadership("x").wait(5)
        until = time.monotonic() + 5
        while b'singleton_jobs_is_leader{lease="x"} 1.0' not in generate_latest(registry):
            assert time.monotonic() < until
            time.sleep(0.01)
