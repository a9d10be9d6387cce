"""Real processes: a grandchild holds the write end of a pipe, so that the end of the pipe is the end of the process."""

import os
import select
import signal
import subprocess
import sys
import time

import pytest

CHILD = """
import os, sys, time
sys.platform = {platform!r}
from maskmill import processes
{call}
print(os.getpid(), flush=True)
time.sleep(60)
"""
PARENT = "import subprocess, sys; subprocess.Popen([sys.executable, '-c', sys.argv[1]]).wait()"


def orphan(call, platform):
    """Kill the parent of a child that ran `call`; gives the pipe that the child alone then holds, and its pid."""
    child = CHILD.format(call=call, platform=platform)
    parent = subprocess.Popen([sys.executable, "-c", PARENT, child], stdout=subprocess.PIPE, text=True)
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


@pytest.mark.parametrize("platform", [pytest.param("linux", id="kernel"), pytest.param("other", id="watching")])
def test_a_child_is_gone_soon_after_its_parent_was_killed(platform):
    if platform == "linux" and sys.platform != "linux":
        pytest.skip("prctl is Linux's")
    pipe, _ = orphan("processes.die_with_parent()", platform)
    with pipe:
        assert ends_within(pipe, 3)


def test_a_child_that_did_not_ask_for_it_lives_on():
    pipe, pid = orphan("", sys.platform)
    with pipe:
        assert not ends_within(pipe, 1.5)
        os.kill(pid, signal.SIGKILL)
        assert ends_within(pipe, 3)
