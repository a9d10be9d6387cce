"""python -m pipelines.deployments: put what this repository runs on the Prefect server.

It can be repeated at will. The server gets the deployments of prefect.yaml, the pool that the
worker serves, the slots that stages share, and the automation that ends runs whose process is gone.
The server is that of PREFECT_API_URL.
"""

import asyncio
import hashlib
import os
import subprocess
import sys
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

from filelock import Timeout
from prefect.automations import Automation
from prefect.client.orchestration import PrefectClient, get_client
from prefect.client.schemas.actions import GlobalConcurrencyLimitUpdate, WorkPoolCreate
from prefect.client.schemas.filters import FlowRunFilter, TaskRunFilter
from prefect.client.schemas.objects import StateType
from prefect.events.actions import ChangeFlowRunState
from prefect.events.schemas.automations import EventTrigger, Posture
from prefect.events.schemas.events import ResourceSpecification
from prefect.exceptions import ObjectAlreadyExists
from prefect.states import Crashed

from maskmill.services.environment import POOL
from maskmill.settings import config
from maskmill.system.errors import MaskmillError
from maskmill.system.exits import GO_ON
from maskmill.system.files import full_disk_in_words, write_text
from pipelines import workspace

SLOTS = "gpu"
_ZOMBIES = "maskmill: end flow runs without a heartbeat"
_DEPLOYED = ("prefect.yaml", "pipelines/training.py")
_GONE = "its process is gone: killed, or the machine went down"
_SILENT_S = 60  # two heartbeats of PREFECT_FLOWS_HEARTBEAT_FREQUENCY=30
_ENDED = {f"prefect.flow-run.{state}" for state in ("Completed", "Failed", "Cancelled", "Crashed")}
_BEAT = "prefect.flow-run.heartbeat"
_GOING = [StateType.RUNNING, StateType.PENDING]
_OVER = [StateType.COMPLETED, StateType.FAILED, StateType.CRASHED, StateType.CANCELLED]


def main() -> int:
    """Exit status 2 when `prefect deploy` refuses prefect.yaml."""
    try:
        with full_disk_in_words():
            params = config.load()
            state = Path(params.paths.state)
            asyncio.run(_prepare(params.services.gpu_slots, state))
            _deploy(state / "prefect" / "deployed")
    except MaskmillError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


async def _prepare(slots: int, state: Path) -> None:
    async with get_client() as client:
        with suppress(ObjectAlreadyExists):
            await client.create_work_pool(WorkPoolCreate(name=POOL, type="process"))
        await client.upsert_global_concurrency_limit_by_name(SLOTS, slots)
        await _end_zombies(client)
        await _close_runs(client, state)
        await _close_tasks(client)


async def _end_zombies(client: PrefectClient) -> None:
    """Mark a run as Crashed once it has been silent for a minute: its process was killed."""
    if await client.read_automations_by_name(_ZOMBIES):
        return  # made anew, it would have forgotten the runs that it watches
    silent = EventTrigger(
        after={_BEAT},
        expect={_BEAT, *_ENDED},
        match=ResourceSpecification({"prefect.resource.id": ["prefect.flow-run.*"]}),
        for_each={"prefect.resource.id"},
        posture=Posture.Proactive,
        threshold=1,
        within=timedelta(seconds=_SILENT_S),
    )
    crashed = ChangeFlowRunState(
        state=StateType.CRASHED, name=None, message=f"{_GONE}: no heartbeat. {GO_ON}"
    )
    await Automation(name=_ZOMBIES, trigger=silent, actions=[crashed]).acreate()


async def _close_runs(client: PrefectClient, state: Path) -> None:
    """End the runs that a stop of the machine or the server has left.

    None of them works where nobody holds the lock of runs. Where no run is left on the server, none
    holds a slot: one that a server with a full disk has lost is free again.
    """
    # a younger run may be about to take the lock
    begun = datetime.now(UTC) - timedelta(seconds=_SILENT_S)
    old = FlowRunFilter.model_validate(
        {"state": {"type": {"any_": [StateType.RUNNING]}}, "start_time": {"before_": begun}}
    )
    with suppress(Timeout), workspace.run_lock(state, timeout_s=0):
        for run in await client.read_flow_runs(flow_run_filter=old):
            await client.set_flow_run_state(
                run.id, Crashed(message=f"{_GONE}. {GO_ON}"), force=True
            )
        going = FlowRunFilter.model_validate({"state": {"type": {"any_": _GOING}}})
        if not await client.read_flow_runs(flow_run_filter=going, limit=1):
            await client.update_global_concurrency_limit(
                SLOTS, GlobalConcurrencyLimitUpdate(active_slots=0)
            )


async def _close_tasks(client: PrefectClient) -> None:
    """End the task runs that a killed process has left in a finished run: the server does not."""
    over = FlowRunFilter.model_validate({"state": {"type": {"any_": _OVER}}})
    going = TaskRunFilter.model_validate({"state": {"type": {"any_": _GOING}}})
    for run in await client.read_task_runs(flow_run_filter=over, task_run_filter=going):
        await client.set_task_run_state(run.id, Crashed(message=_GONE), force=True)


def _deploy(stamp: Path) -> None:
    """Hand prefect.yaml to `prefect deploy` where it or the flow has changed.

    Else what the page changed stays.
    """
    digest = hashlib.sha256(b"".join(Path(name).read_bytes() for name in _DEPLOYED)).hexdigest()
    if stamp.exists() and stamp.read_text() == digest:
        return
    done = subprocess.run(
        [sys.executable, "-m", "prefect", "--no-prompt", "deploy", "--all"],
        env={**os.environ, "MASKMILL_ROOT": str(Path.cwd())},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise MaskmillError(
            f"prefect.yaml: `prefect deploy --all` refused it:\n{done.stdout}{done.stderr}"
        )
    write_text(stamp, digest)


if __name__ == "__main__":
    sys.exit(main())
