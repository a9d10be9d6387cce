"""The exit status of a process in a user's words: which signal ended it, and did memory run out."""

import signal
from pathlib import Path

GO_ON = "Start it again: finished stages stay, and a training goes on at its last checkpoint"
_COUNTERS = Path("/proc/vmstat")  # of the kernel, for the whole machine and all containers on it
_LESS = "lower train.batch_size or train.workers in params.yaml, or close other programs"
_REASONS = {
    signal.SIGTERM: "it was asked to end",
    signal.SIGINT: "Ctrl-C",
    signal.SIGHUP: "its terminal was closed",
    signal.SIGBUS: "it touched memory that is not there; /dev/shm may be full (`df -h /dev/shm`)",
    signal.SIGSEGV: "it crashed in compiled code",
    signal.SIGABRT: "it crashed in compiled code",
    signal.SIGILL: "it crashed in compiled code that this processor does not know",
}


def memory_kills() -> int | None:
    """How many processes Linux has killed so far because memory ran out.

    None where the system does not say.
    """
    try:
        lines = _COUNTERS.read_text().splitlines()
    except OSError:
        return None
    return next((int(line.split()[1]) for line in lines if line.startswith("oom_kill ")), None)


def describe_exit(status: int, kills_before: int | None = None) -> str:
    """How a process ended: `was killed by SIGKILL: ..`, or `ended with status 2`.

    A negative status is a signal, as in subprocess. `kills_before` is what `memory_kills` gave when
    the process began.
    """
    if status >= 0:
        return f"ended with status {status}"
    if -status not in set(signal.Signals):  # a real-time signal has no name
        return f"was killed by signal {-status}"
    number = signal.Signals(-status)
    reason = _killed(kills_before) if number is signal.SIGKILL else _REASONS.get(number, "")
    return f"was killed by {number.name}{': ' if reason else ''}{reason}"


def _killed(before: int | None) -> str:
    """SIGKILL leaves a process no last word: what the kernel has counted is all there is."""
    now = memory_kills()
    if before is None or now is None:
        return (
            f"most often the system does so when memory runs out ({_LESS}); else somebody did"
            " (`kill -9`)"
        )
    if now > before:
        return (
            f"most likely memory ran out, since the system has killed for that meanwhile; {_LESS}"
        )
    return (
        "somebody killed it (`kill -9`, a scheduler, a guard such as systemd-oomd); the kernel had"
        " memory left"
    )
