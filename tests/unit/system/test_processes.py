"""Real processes: a grandchild holds the write end of a pipe, so both end at once."""

import os
import select
import signal
import subprocess
import sys
import time

import pytest

from maskmill.system import processes

CHILD = """
import os, sys, time
sys.platform = {platform!r}
from maskmill.system import processes
{call}
print(os.getpid(), flush=True)
time.sleep(60)
"""
PARENT = "import subprocess, sys; subprocess.Popen([sys.executable, '-c', sys.argv[1]]).wait()"


def orphan(call, platform):
    """Kill the parent of a child that ran `call`; gives the pipe that it holds, and its pid."""
    child = CHILD.format(call=call, platform=platform)
    parent = subprocess.Popen(
        [sys.executable, "-c", PARENT, child], stdout=subprocess.PIPE, text=True
    )
    pid = int(parent.stdout.readline())
    parent.kill()
    parent.wait()
    return parent.stdout, pid


def ends_within(pipe, seconds):
    """Whether the last writer of the pipe went away in time."""
    deadline = time.monotonic() + seconds
    while select.select([pipe], [], [], max(deadline - time.monotonic(), 0))[0]:
        if not os.read(pipe.fileno(), 100):
            return True
    return False


@pytest.mark.parametrize(
    "platform", [pytest.param("linux", id="kernel"), pytest.param("other", id="watching")]
)
def test_a_child_is_gone_soon_after_its_parent_was_killed(platform):
    if platform == "linux" and sys.platform != "linux":
        pytest.skip("prctl is Linux's")
    pipe, _ = orphan("processes.die_with_parent()", platform)
    with pipe:
        assert ends_within(pipe, 3)


GENTLE = """
import contextlib, signal
processes.GRACE_S = 0.5
processes.die_with_parent()
stack = contextlib.ExitStack()
stack.enter_context(processes.asked_to_end_with_parent())
signal.signal(signal.SIGTERM, {handler})
"""


@pytest.mark.skipif(sys.platform != "linux", reason="prctl is Linux's")
def test_in_a_training_the_loss_of_the_parent_is_a_sigterm():
    pipe, _ = orphan(
        GENTLE.format(handler="lambda *_: (print('asked', flush=True), sys.exit())"), "linux"
    )
    with pipe:
        assert pipe.readline() == "asked\n"
        assert ends_within(pipe, 3)


@pytest.mark.skipif(sys.platform != "linux", reason="prctl is Linux's")
def test_one_that_does_not_heed_it_is_killed():
    pipe, _ = orphan(GENTLE.format(handler="lambda *_: None"), "linux")
    with pipe:
        assert not ends_within(pipe, 0.3)
        assert ends_within(pipe, 5)


@pytest.mark.skipif(sys.platform != "linux", reason="prctl is Linux's")
def test_after_the_training_it_dies_with_its_parent_as_before():
    pipe, _ = orphan(
        GENTLE.format(handler="lambda *_: None") + "processes.GRACE_S = 60\nstack.close()", "linux"
    )
    with pipe:
        assert ends_within(pipe, 3)


SHELL = (
    "trap '{at_the_end}' TERM; (trap '{at_the_end}' TERM; echo ready; while :; do sleep 0.1; done)"
    " & exit"
)


def group(at_the_end):
    """The ended leader of a group; a child of it holds a pipe and does this when asked to end."""
    made = subprocess.Popen(
        ["sh", "-c", SHELL.format(at_the_end=at_the_end)],
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert made.stdout.readline() == "ready\n"
    return made


def test_a_group_is_waited_for_until_its_last_process_has_ended():
    with group("sleep 0.7; echo saved; exit") as leader:
        start = time.monotonic()
        processes.end_groups(leader.pid)
        assert 0.5 < time.monotonic() - start < 10
        assert leader.stdout.read() == "saved\n"


def test_what_is_left_of_a_group_after_its_time_is_killed(monkeypatch):
    monkeypatch.setattr(processes, "GRACE_S", 0.3)
    with group(":") as leader:
        processes.end_groups(leader.pid)
        assert ends_within(leader.stdout, 3)


def test_a_child_that_did_not_ask_for_it_lives_on():
    pipe, pid = orphan("", sys.platform)
    with pipe:
        assert not ends_within(pipe, 1.5)
        os.kill(pid, signal.SIGKILL)
        assert ends_within(pipe, 3)
