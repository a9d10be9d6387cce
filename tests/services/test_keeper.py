"""A keeper, and a service that starts children in their own sessions as Prefect's worker does."""

import json
import os
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

from maskmill.services import keeper, records
from tests.services.conftest import kill, until

SERVICE = (
    "import subprocess, time; subprocess.Popen(['sleep', '86397'], start_new_session=True);"
    " time.sleep(86397)"
)


def run_keeper(
    folder: Path, code: str, settings: str = "pass"
) -> tuple[subprocess.Popen[bytes], Path]:
    """Start a keeper of `python -c code`; `settings` change its module first."""
    record, log = folder / "x.json", folder / "x.log"
    spec = {"name": "x", "root": str(folder), "port": None, "record": str(record), "log": str(log),
            "command": [sys.executable, "-u", "-c", code]}  # fmt: skip
    main = (
        f"import json, sys; from maskmill.services import keeper; {settings};"
        " keeper.main(json.loads(sys.argv[1]))"
    )
    with log.open("ab") as file:
        return subprocess.Popen(
            [sys.executable, "-c", main, json.dumps(spec)],
            env=os.environ | {keeper.SETTINGS: ""}, stdout=file, stderr=file,
            start_new_session=True,
        ), record  # fmt: skip


@pytest.fixture
def kept(tmp_path: Path):
    """The processes of a keeper once all four are there: outer, inner, service and its child."""
    process, path = run_keeper(tmp_path, SERVICE)
    outer = psutil.Process(process.pid)
    assert until(lambda: len(outer.children(recursive=True)) == 3, 120)
    processes = [outer, *outer.children(recursive=True)]
    yield processes, path
    process.terminate()
    process.wait(timeout=120)
    for left in processes:  # of a failed test
        with suppress(psutil.NoSuchProcess):
            left.kill()


@pytest.mark.parametrize("victim", [0, 1], ids=["outer", "inner"])
def test_a_killed_keeper_leaves_no_process(victim: int, kept):
    processes, _ = kept
    kill(processes[victim].pid)
    assert until(lambda: gone(processes), 120)


def test_a_killed_service_takes_its_children_along_and_starts_again(kept):
    processes, path = kept
    kill(processes[2].pid)
    assert until(lambda: gone(processes[2:]), 120)
    assert until(
        lambda: records.read_record(path).restarts == 1 and records.read_record(path).pid, 120
    )
    assert processes[1].is_running()


def test_a_stopped_keeper_leaves_no_process_and_no_record(kept):
    processes, path = kept
    processes[0].terminate()
    assert until(lambda: gone(processes), 120)
    assert not path.exists()


def test_a_service_that_dies_again_and_again_is_given_up(tmp_path: Path):
    process, path = run_keeper(tmp_path, "print('no luck'); exit(7)", "keeper.RESTARTS = 1")
    assert process.wait(timeout=120) == 1
    assert records.read_record(path).gave_up
    log = (tmp_path / "x.log").read_text()
    assert log.count("no luck") == 2
    assert "x ended with status 7" in log
    assert "gave up: 1 restarts within 300 s were of no use" in log


def test_a_log_stays_bounded_while_the_service_runs(tmp_path: Path):
    code = "import time\nwhile True: print('x' * 1000); time.sleep(0.001)"
    process, _ = run_keeper(tmp_path, code, "keeper.MAX_LOG_BYTES = 50_000")
    assert until((tmp_path / "x.log.1").exists, 120)
    time.sleep(1)
    assert (tmp_path / "x.log").stat().st_size < 1_000_000
    process.terminate()
    assert process.wait(timeout=120) == 0


def gone(processes: list[psutil.Process]) -> bool:
    return not any(p.is_running() and p.status() != psutil.STATUS_ZOMBIE for p in processes)
