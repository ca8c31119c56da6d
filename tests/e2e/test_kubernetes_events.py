"""Kubernetes Events about hand-overs, on the real API server."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from cli.commands import call
from cli.program import Program, wait_until
from controlplane.admin import Admin
from controlplane.fixtures import MakePod
from controlplane.pod import lease_role
from controlplane.proxy import Proxy

pytestmark = pytest.mark.e2e

PROGRAM = """
import logging, time
from singleton_jobs import Config, configure, leader_only, running
from singleton_jobs.hooks.kubernetes import KubernetesEvents
logging.basicConfig(level=logging.INFO)
configure(hooks=[KubernetesEvents(namespace={namespace!r})], namespace={namespace!r}, config=Config(lease_duration=3))

@leader_only(lease="nightly")
def tick():
    print("ran", flush=True)

with running(sigterm="exit"):
    while True:
        tick()
        time.sleep(0.1)
"""


def started(make_pod: MakePod, folder: Path, name: str, namespace: str, **pod: object) -> Program:
    command = [sys.executable, "-c", PROGRAM.format(namespace=namespace)]
    return Program(command, folder / name, **make_pod(name, **pod).env)


def events(admin: Admin, namespace: str) -> list[tuple[str, str, str]]:
    found = admin.request("GET", f"/api/v1/namespaces/{namespace}/events")[1]["items"]
    lease = admin.get_lease(namespace, "nightly") or {}
    assert {event["involvedObject"]["uid"] for event in found} <= {lease["metadata"]["uid"], ""}
    return [(event["reason"], event["type"], event["message"]) for event in found]


def test_hand_over_and_loss_are_told(make_pod: MakePod, admin: Admin, namespace: str, tmp_path: Path) -> None:
    with started(make_pod, tmp_path, "pod-a", namespace) as first:
        first.wait_for("ran")
        with started(make_pod, tmp_path, "pod-b", namespace) as second:
            assert first.stop() == 143
            second.wait_for("ran")
            wait_until(lambda: len(events(admin, namespace)) >= 3, 10, lambda: str(events(admin, namespace)))
            told = events(admin, namespace)
            assert {reason for reason, _, _ in told} == {"Acquired", "HandedOver"}
            assert any(message.startswith("pod-a_") and "gave the lease back" in message for _, _, message in told)
            hostile = "thief\x1b[31m\n\u202e" + "x" * 100_000
            admin.patch_lease(namespace, "nightly", {"spec": {"holderIdentity": hostile}})
            wait_until(lambda: any(kind == "Warning" for _, kind, _ in events(admin, namespace)), 10, str)
            [(reason, _, message)] = [told for told in events(admin, namespace) if told[1] == "Warning"]
            assert (reason, message.isprintable(), len(message) <= 1024) == ("Lost", True, True)
            assert "\x1b" not in second.output.replace("\\x1b", "")


def test_without_the_right_the_log_says_so_once_and_jobs_run(make_pod: MakePod, namespace: str, tmp_path: Path) -> None:
    role = lease_role("nightly")
    del role["rules"][1]
    with started(make_pod, tmp_path, "pod-a", namespace, roles=[role]) as program:
        program.wait_for("Kubernetes Events cannot be told")
        program.wait_for("ran", times=3)
        printed = call("step-down", "nightly", "--timeout", "1", **make_pod("pod-o").env)
        assert printed.status == 1
        program.wait_for("is held by pod-a", times=2)
        assert program.count("Kubernetes Events cannot be told") == 1


def test_a_slow_server_of_events_delays_no_renewal(
    make_pod: MakePod, namespace: str, tmp_path: Path, proxy: Proxy
) -> None:
    proxy.on("POST", "/events").hang()
    with started(make_pod, tmp_path, "pod-a", namespace, server=proxy) as program:
        program.wait_for("ran", times=50)
        assert program.count("was lost") == 0
