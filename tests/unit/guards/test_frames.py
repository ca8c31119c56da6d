"""A warm guarded call is cheap, whether it runs or is skipped: it passes few functions of ours."""

import os
import sys
from pathlib import Path

import singleton_jobs

HERE = f"{Path(singleton_jobs.__file__).parent}{os.sep}"
MOST = 6
MOST_SKIPPED = 11


def test_a_warm_guarded_call_passes_few_frames_of_ours(replica):
    job = replica.leader_only(lease="nightly")(len)
    assert job("ab") == 2
    entered = frames_of(job)
    assert 0 < len(entered) <= MOST, entered


def test_a_warm_skip_passes_few_frames_of_ours(replica, space):
    space.put("nightly", "other_1")
    job = replica.leader_only(lease="nightly")(len)
    assert job("ab").reason == "not-leader"
    entered = frames_of(job)
    assert 0 < len(entered) <= MOST_SKIPPED, entered


def frames_of(job):
    entered = []

    def profile(frame, event, _):
        if event == "call" and frame.f_code.co_filename.startswith(HERE):
            entered.append(frame.f_code.co_qualname)

    sys.setprofile(profile)
    try:
        job("ab")
    finally:
        sys.setprofile(None)
    return entered
