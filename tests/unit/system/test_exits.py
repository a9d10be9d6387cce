"""What a user is told of a process that has ended."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from maskmill.system import exits


@pytest.fixture
def counters(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """What the kernel says that it has counted."""
    path = tmp_path / "vmstat"
    path.write_text("nr_free_pages 7\noom_kill 3\npgfault 1\n")
    monkeypatch.setattr(exits, "_COUNTERS", path)
    return path


def test_a_status_is_given_as_it_is():
    assert exits.describe_exit(2) == "ended with status 2"


def test_a_killed_process_is_told_with_its_signal():
    done = subprocess.run([sys.executable, "-c", "import os; os.kill(os.getpid(), 9)"], check=False)
    assert exits.describe_exit(done.returncode).startswith("was killed by SIGKILL: ")


@pytest.mark.parametrize(
    ("before", "now", "reason"),
    [
        (
            3,
            "4",
            (
                "most likely memory ran out, since the system has killed for that meanwhile; lower"
                " train.batch_size"
            ),
        ),
        (3, "3", "somebody killed it (`kill -9`, a scheduler, a guard such as systemd-oomd)"),
        (
            None,
            "3",
            (
                "most often the system does so when memory runs out (lower train.batch_size or"
                " train.workers"
            ),
        ),
    ],
    ids=["memory", "somebody", "unknown"],
)
def test_sigkill_is_told_with_what_the_kernel_has_counted(
    counters: Path, before: int | None, now: str, reason: str
):
    counters.write_text(f"oom_kill {now}\n")
    assert exits.describe_exit(-signal.SIGKILL, before).startswith(
        f"was killed by SIGKILL: {reason}"
    )


def test_where_the_kernel_counts_nothing_both_reasons_are_given(counters: Path):
    assert exits.memory_kills() == 3
    counters.unlink()
    assert exits.memory_kills() is None
    assert "most often the system does so when memory runs out" in exits.describe_exit(
        -signal.SIGKILL, 3
    )


@pytest.mark.parametrize(
    ("number", "words"),
    [
        (signal.SIGTERM, "was killed by SIGTERM: it was asked to end"),
        (signal.SIGSEGV, "was killed by SIGSEGV: it crashed in compiled code"),
        (
            signal.SIGBUS,
            "was killed by SIGBUS: it touched memory that is not there; /dev/shm may be full",
        ),
        (signal.SIGUSR1, "was killed by SIGUSR1"),
    ],
)
def test_other_signals_have_their_names_and_reasons(number: signal.Signals, words: str):
    assert exits.describe_exit(-number).startswith(words)
