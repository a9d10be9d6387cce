"""A process is taken for itself, and no other for it."""

import dataclasses
import os
import subprocess
import sys
import time

from maskmill.tracking import owners


def test_a_process_that_runs_is_not_gone():
    assert not owners.this_process().gone
    assert owners.this_process() == owners.this_process()


def test_a_process_that_ended_is_gone_also_before_its_parent_has_taken_note():
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    owner = owners.Owner(owners.this_process().host, child.pid, owners._start_time(child.pid))
    assert not owner.gone
    child.stdin.close()
    deadline = time.monotonic() + 5
    while not owner.gone and time.monotonic() < deadline:
        time.sleep(0.05)
    assert owner.gone  # a zombie
    child.wait()
    assert owner.gone


def test_a_later_process_with_the_same_number_is_another():
    assert dataclasses.replace(owners.this_process(), born="1 ticks after boot of yesterday").gone


def test_of_a_process_on_another_host_nothing_is_certain():
    elsewhere = owners.Owner("elsewhere", os.getpid(), "yesterday")
    assert not elsewhere.here
    assert not elsewhere.gone
