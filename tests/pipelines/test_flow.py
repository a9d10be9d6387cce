"""The flow on the servers of `maskmill up`: results as of `dvc repro`, and nothing left behind."""

import json
import os
import signal
import sqlite3
import sys
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

from maskmill.system.files import sha256
from tests.pipelines.conftest import Workspace
from tests.pipelines.lines import running_in, wait_until_nothing_runs_in
from tests.pipelines.test_line import STAGES
from tests.services.conftest import Servers

FLOW = (sys.executable, "-m", "pipelines")
OVER = {"COMPLETED", "FAILED", "CRASHED", "CANCELLED"}
DIFFERENT = {"run.json", "cost", "registration.json", "index.html"}  # run ids and timings
SLOW = {
    "variants": ["unet"],
    "train__steps": 3000,
    "train__val_every_steps": 2,
    "train__patience": 400,
}


class Prefect:
    """The server's API, as its page uses it."""

    def __init__(self, url: str) -> None:
        self.http = httpx.Client(base_url=url, timeout=30, trust_env=False)

    def post(self, path: str, **body: Any) -> Any:
        return self.send(path, body)

    def send(self, path: str, body: Any) -> Any:
        for _ in range(5):
            answer = self.http.post(path, json=body)
            # its database is busy; Prefect asks again, too
            if answer.status_code != httpx.codes.SERVICE_UNAVAILABLE:
                break
            time.sleep(1)
        answer.raise_for_status()
        return answer.json() if answer.content else None

    def runs(self) -> list[dict[str, Any]]:
        """All flow runs but those that wait for their hour, newest first."""
        begun = {"state": {"type": {"not_any_": ["SCHEDULED"]}}}
        return list(
            self.post("/flow_runs/filter", flow_runs=begun, sort="START_TIME_DESC", limit=50)
        )

    def tasks(self, run: dict[str, Any]) -> dict[str, str]:
        """Name of the state of each task of a run."""
        found = self.post("/task_runs/filter", flow_runs={"id": {"any_": [run["id"]]}})
        return {task["name"].rpartition("-")[0]: task["state_name"] for task in found}

    def deployment(self) -> str:
        return str(self.http.get("/deployments/name/training/nightly").json()["id"])

    def slots_taken(self) -> int:
        return int(self.http.get("/v2/concurrency_limits/gpu").json()["active_slots"])

    def run(self, identity: str) -> dict[str, Any]:
        return dict(self.http.get(f"/flow_runs/{identity}").json())


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Servers]:
    """A clone with its servers up, in which the flow has run once, from nothing."""
    made = Servers(tmp_path_factory.mktemp("flow") / "repository")
    made.prefect = Prefect(made.prefect_env()["PREFECT_API_URL"])
    # a new schedule counts at once, not in a minute
    made.env["PREFECT_SERVER_SERVICES_SCHEDULER_LOOP_SECONDS"] = "5"
    try:
        made.first = made.run(*FLOW)  # starts the servers as well
        assert made.first.returncode == 0, made.first.stdout + made.first.stderr
        yield made
    finally:
        down = made.maskmill("down")
        assert down.returncode == 0, down.stderr
        assert wait_until_nothing_runs_in(made.root) == []


@pytest.fixture
def slow(served: Servers) -> Iterator[Servers]:
    """With one variant that trains for a while, until it is killed."""
    path = served.root / "params.yaml"
    before = path.read_text()
    served.set(**SLOW, train__seed=int(time.time()))
    yield served
    path.write_text(before)


def eventually(condition: Callable[[], Any], seconds: float) -> Any:
    deadline = time.monotonic() + seconds
    while not (met := condition()) and time.monotonic() < deadline:
        time.sleep(0.25)
    return met


def contents(root: Path) -> dict[str, str]:
    """Digest of every file that a stage wrote, but for those with run ids and timings."""
    folders = ("data/raw", "data/prepared", "models", "challenger", "metrics", "reports")
    files = [file for folder in folders for file in (root / folder).rglob("*") if file.is_file()]
    return {
        str(file.relative_to(root)): sha256(file)
        for file in files
        if DIFFERENT.isdisjoint(file.parts)
    }


def test_the_flow_runs_every_stage_and_ends_with_the_summary(served: Servers):
    (run,) = served.prefect.runs()
    assert run["state_type"] == "COMPLETED"
    assert served.prefect.tasks(run).items() >= dict.fromkeys(STAGES, "Completed").items()
    assert served.first.stdout.rstrip().endswith(
        "look at reports/index.html; then: make predict IMAGE=x.png"
    )


def test_its_outs_are_those_of_dvc_repro(served: Servers, finished: Workspace):
    assert len(contents(finished.root)) > 20
    assert contents(served.root) == contents(finished.root)
    verdicts = [
        json.loads((w.root / "metrics/registration.json").read_text()) for w in (served, finished)
    ]
    assert [
        [v[key] for key in ("version", "outcome", "reason", "checks", "champion")]
        for v in verdicts[:1]
    ] == [
        [v[key] for key in ("version", "outcome", "reason", "checks", "champion")]
        for v in verdicts[1:]
    ]


def test_the_page_of_a_run_shows_progress_comparison_verdict_and_links(served: Servers):
    (run,) = served.prefect.runs()
    found = served.prefect.post(
        "/artifacts/filter", artifacts={"flow_run_id": {"any_": [run["id"]]}}
    )
    by_key = {artifact["key"]: artifact for artifact in found}
    assert {"comparison", "gate", "report", "mlflow-run"} <= by_key.keys()
    assert [row["variant"] for row in json.loads(by_key["comparison"]["data"])][:2] == [
        "unet",
        "resnet18_unet",
    ]
    assert "gate: icbm152 version 1 promoted" in by_key["gate"]["data"]
    bars = [artifact for artifact in found if artifact["type"] == "progress"]
    assert {bar["data"] for bar in bars} == {100.0}
    for key in ("report", "mlflow-run"):
        link = by_key[key]["data"].partition("](")[2].rstrip(")")
        assert httpx.get(link, trust_env=False, follow_redirects=True).status_code == 200


def test_stage_output_stands_in_the_log_of_its_task(served: Servers):
    (run,) = served.prefect.runs()
    logs = served.prefect.post(
        "/logs/filter", logs={"flow_run_id": {"any_": [run["id"]]}}, limit=200
    )
    assert any("unet: step    6/6" in log["message"] and log["task_run_id"] for log in logs)


def test_what_has_not_changed_is_cached(served: Servers):
    done = served.run(*FLOW)
    assert done.returncode == 0, done.stderr
    states = served.prefect.tasks(served.prefect.runs()[0])
    assert states.keys() >= set(STAGES)
    assert set(states.values()) == {"Cached"}


@pytest.mark.slow
def test_a_lost_registry_is_filled_again(served: Servers):
    code = (
        "from maskmill.settings import config; from maskmill.tracking import stores;"
        "p = config.load(); s = stores.connect_store(p.tracking, p.paths);"
        "s.client.delete_registered_model_alias(s.model, 'champion')"
    )
    assert served.run(sys.executable, "-c", code).returncode == 0
    assert served.run(*FLOW).returncode == 0
    assert served.prefect.tasks(served.prefect.runs()[0])["register again"] == "Completed"
    assert served.maskmill("predict", "data/raw/images/icbm152_z060.png").returncode == 0


def test_a_stage_that_fails_fails_the_flow_in_its_own_words_and_leaves_the_disk_as_it_was(
    served: Servers,
):
    before, augment = contents(served.root), served.root / "src/maskmill/stages/augment.py"
    kept = augment.read_text()
    augment.write_text(
        kept.replace(
            "def augment(", "def augment(*_, **__):\n    raise OSError('no such lens')\n\n\ndef _("
        )
    )
    done = served.run(*FLOW, "--parallel", "2")
    augment.write_text(kept)
    assert done.returncode == 1
    run, *_ = served.prefect.runs()
    assert run["state_type"] == "FAILED"
    assert run["state"]["message"].startswith("augment: ")
    assert f"error: {run['state']['message']}" in done.stderr
    states = served.prefect.tasks(run)
    assert [states[name] for name in ("ingest", "augment", "train@unet", "report")] == [
        "Cached", "Failed", "NotRun", "NotRun",
    ]  # fmt: skip
    assert contents(served.root) == before


def test_a_bad_setting_fails_the_flow_before_anything_runs(served: Servers):
    path = served.root / "params.yaml"
    kept = path.read_text()
    served.set(gate__minimum={"dice_forground": 0.5})
    done = served.run(*FLOW)
    path.write_text(kept)
    assert done.returncode in {1, 2}
    assert "error: params.yaml: gate.minimum: 'dice_forground' is no metric" in done.stderr


def test_runs_from_the_page_go_through_the_worker_one_after_the_other(served: Servers):
    start = f"/deployments/{served.prefect.deployment()}/create_flow_run"
    both = [served.prefect.post(start)["id"] for _ in range(2)]

    def runs() -> list[dict[str, Any]]:
        return sorted(
            (served.prefect.run(identity) for identity in both),
            key=lambda run: run["start_time"] or "~",
        )

    assert eventually(lambda: all(run["state_type"] in OVER for run in runs()), 400)
    first, second = runs()
    assert first["state_type"] == second["state_type"] == "COMPLETED"
    assert second["start_time"] >= first["end_time"]


@pytest.mark.slow
def test_a_run_by_its_schedule_goes_through(served: Servers):
    schedules = f"/deployments/{served.prefect.deployment()}/schedules"
    known = {run["id"] for run in served.prefect.runs()}
    soon = datetime.now(UTC) + timedelta(seconds=10)
    once = {"schedule": {"interval": 86400, "anchor_date": soon.isoformat()}, "active": True}
    (made,) = served.prefect.send(schedules, [once])

    def new() -> list[dict[str, Any]]:
        return [
            run
            for run in served.prefect.runs()
            if run["id"] not in known and run["state_type"] in OVER
        ]

    try:
        done = eventually(new, 400)
    finally:
        served.prefect.http.delete(f"{schedules}/{made['id']}")
    assert {(run["state_type"], run["auto_scheduled"]) for run in done} == {("COMPLETED", True)}


class Started:
    """A flow run that trains, started by hand or by the worker."""

    def __init__(self, slow: Servers, by: str) -> None:
        self.workspace, self.prefect = slow, slow.prefect
        self.process = None
        if by == "hand":
            known = {run["id"] for run in slow.prefect.runs()}
            self.process = slow.start(*FLOW)
            (run,) = eventually(
                lambda: [run for run in slow.prefect.runs() if run["id"] not in known], 180
            )
        else:
            run = slow.prefect.post(f"/deployments/{slow.prefect.deployment()}/create_flow_run")
        self.identity = run["id"]
        assert eventually(self.trains, 240), self.prefect.run(self.identity)["state"]

    def trains(self) -> bool:
        filtered = {"flow_run_id": {"any_": [self.identity]}}
        logs = self.prefect.post("/logs/filter", logs=filtered, limit=200, sort="TIMESTAMP_DESC")
        return any("unet: step" in log["message"] for log in logs)

    def flow(self) -> psutil.Process:
        """The process in which the flow runs."""
        stage = next(p for p in self.processes() if "maskmill.stages" in " ".join(p.cmdline()))
        return next(
            p
            for p in stage.parents()
            if "prefect" in " ".join(p.cmdline()) or p.cmdline()[1:] == ["-m", "pipelines"]
        )

    def processes(self) -> list[psutil.Process]:
        return [
            psutil.Process(pid) for pid in running_in(self.workspace.root) if psutil.pid_exists(pid)
        ]

    def state(self) -> str:
        return str(self.prefect.run(self.identity)["state_type"])


def stages_in(root: Path) -> list[str]:
    """Commands of processes that run a stage, or DVC for one, or the flow around it."""
    words = (
        b"maskmill.stages",
        b"pipelines.repro",
        b"prefect.engine",
        b"prefect.flow_engine",
        b"\0pipelines\0",
    )
    found = []
    for pid in running_in(root):
        try:
            command = Path(f"/proc/{pid}/cmdline").read_bytes()
        except OSError:
            continue
        if any(word in command for word in words):
            found.append(f"{pid}: {command.decode().replace(chr(0), ' ')}")
    return found


@pytest.mark.parametrize(
    ("by", "whom", "how"),
    [
        ("hand", "flow", signal.SIGTERM),
        pytest.param("hand", "flow", signal.SIGINT, marks=pytest.mark.slow),
        pytest.param("hand", "flow", signal.SIGKILL, marks=pytest.mark.slow),
        pytest.param("worker", "flow", signal.SIGKILL, marks=pytest.mark.slow),
        pytest.param("worker", "worker", signal.SIGTERM, marks=pytest.mark.slow),
        pytest.param("worker", "worker", signal.SIGKILL, marks=pytest.mark.slow),
        ("worker", "run", None),  # cancelled on the page
    ],
    ids=lambda value: value.name if isinstance(value, signal.Signals) else str(value),
)
def test_nothing_is_left_of_a_run_that_was_ended(
    slow: Servers, by: str, whom: str, how: signal.Signals | None
):
    started = Started(slow, by)
    if whom == "run":
        state = {"type": "CANCELLING", "name": "Cancelling"}
        slow.prefect.post(f"/flow_runs/{started.identity}/set_state", state=state)
    elif whom == "worker":
        os.kill(slow.record("worker").pid, how)
    else:
        os.kill(started.process.pid if by == "hand" else started.flow().pid, how)
    assert eventually(lambda: stages_in(slow.root) == [], 60), stages_in(slow.root)
    if started.process:
        said, _ = started.process.communicate(timeout=60)
        assert how == signal.SIGKILL or "unet: ended by SIGTERM after step" in said
        assert "Traceback" not in said
    assert eventually(lambda: started.state() in OVER, 180), started.state()
    assert eventually(lambda: slow.prefect.slots_taken() == 0, 180)
    # the next run repeats no finished stage
    if how == signal.SIGKILL and whom == "flow" and by == "hand":
        slow.set(train__steps=4)
        assert slow.run(*FLOW).returncode == 0
        states = slow.prefect.tasks(slow.prefect.runs()[0])
        assert [states[name] for name in ("ingest", "validate", "split", "augment")] == [
            "Cached"
        ] * 4


@pytest.mark.slow
def test_a_run_completes_though_the_server_was_killed_in_the_middle(slow: Servers):
    slow.set(train__steps=120)
    started = Started(slow, "worker")
    os.kill(slow.record("prefect").pid, signal.SIGKILL)
    with pytest.raises(httpx.HTTPError):
        slow.prefect.runs()

    def state() -> str:
        try:
            return started.state()
        except httpx.HTTPError:
            return "away"

    assert eventually(lambda: state() in OVER, 400)
    assert state() == "COMPLETED"


def test_a_slot_that_no_run_holds_is_free_again(served: Servers):
    served.prefect.http.patch(
        "/v2/concurrency_limits/gpu", json={"active_slots": 1}
    ).raise_for_status()
    done = served.run(sys.executable, "-m", "pipelines.deployments", env=served.prefect_env())
    assert done.returncode == 0, done.stderr
    assert served.prefect.slots_taken() == 0


# a minute, until the lease of its slot has ended; test_ends.py has the same in seconds
@pytest.mark.slow
def test_asked_to_end_while_its_server_is_away_a_flow_ends_in_time(slow: Servers):
    started = Started(slow, "hand")
    server = slow.record("prefect").pid
    os.kill(server, signal.SIGSTOP)
    try:
        os.kill(started.process.pid, signal.SIGTERM)
        # 10 s on an idle machine; Prefect alone needs minutes
        said, _ = started.process.communicate(timeout=120)
    finally:
        os.kill(server, signal.SIGCONT)
    assert started.process.returncode == 143
    assert "unet: ended by SIGTERM after step" in said
    assert "Prefect's server did not answer for 5 s" in said
    assert "Traceback" not in said
    assert stages_in(slow.root) == []
    assert eventually(lambda: slow.prefect.slots_taken() == 0, 180)


def test_a_training_that_was_killed_is_told_by_its_signal_and_how_to_go_on(slow: Servers):
    started = Started(slow, "hand")
    for pid in running_in(slow.root):
        if b"maskmill.stages" in Path(f"/proc/{pid}/cmdline").read_bytes():
            os.kill(pid, signal.SIGKILL)
    said, _ = started.process.communicate(timeout=120)
    message = slow.prefect.run(started.identity)["state"]["message"]
    assert message.startswith("train@unet: was killed by SIGKILL: ")
    assert message.endswith(
        "Start it again: finished stages stay, and a training goes on at its last checkpoint"
    )
    assert f"error: {message}" in said
    assert "NoneType" not in said


def test_down_ends_a_run_that_was_started_by_hand(slow: Servers):
    started = Started(slow, "hand")
    done = slow.maskmill("down")
    assert done.stdout.splitlines()[-1].startswith("stopped: flow run, worker, ")
    said, _ = started.process.communicate(timeout=120)
    assert "unet: ended by SIGTERM after step" in said
    with sqlite3.connect(slow.root / ".maskmill/prefect/prefect.db") as database:
        state = database.execute(
            "SELECT state_type FROM flow_run WHERE id = ?", [started.identity]
        ).fetchall()
        assert state == [("CRASHED",)]
        assert database.execute(
            "SELECT active_slots FROM concurrency_limit_v2 WHERE name = 'gpu'"
        ).fetchall() == [(0,)]
