"""maskmill up: start what is missing, restart what is broken or has changed settings.

The rest stays.
"""

import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from maskmill.services import catalogue, control, ports, records
from maskmill.services.catalogue import Service
from maskmill.services.health import is_healthy
from maskmill.settings.config import Params
from maskmill.system.errors import MaskmillError
from maskmill.system.files import check_room
from maskmill.system.processes import exit_on_sigterm

_READY_S = 120.0  # at most, from start to healthy
_PATIENCE_S = 15.0  # with a running server that does not answer
_WORKER_PATIENCE_S = 40.0  # it speaks up every 30 s, and its flow runs end with it
_POLL_S = 0.2
_DEPLOYMENTS, _REAPER = "pipelines.deployments", "maskmill.tracking.reaper"


def start_services(params: Params, root: Path) -> None:
    """Bring all services up, and say where they are.

    Raises: MaskmillError when one cannot be started; what this call has started is stopped again.
    """
    exit_on_sigterm()
    check_room(root / params.paths.state)
    wanted = catalogue.services_of_workspace(params, root)
    *servers, worker = wanted
    started: list[Service] = []
    watch = Stopwatch()
    with control.exclusive_lock(root / params.paths.state):
        try:
            _stop_unwanted(wanted)
            missing = [service for service in servers if not _is_running(service)]
            ports.check_free(params.services, missing)
            _start_and_wait(missing, started)
            watch("servers")
            _prepare_deployments(servers[0])
            watch("deployments")
            _start_and_wait([] if _is_running(worker) else [worker], started)
            watch("worker")
        except BaseException:
            control.stop_all([service.record for service in started])
            raise
    print(f"up in {watch.total:.0f} s ({watch.parts})" if started else "already up")


def ensure_services(params: Params, root: Path) -> None:
    """Start the services, unless both servers answer and have the settings of params.yaml.

    Raises: as `start_services`.
    """
    servers = [
        service for service in catalogue.services_of_workspace(params, root) if service.health
    ]
    records_ = [records.read_record(service.record) for service in servers]
    if all(
        record and record.settings == service.settings and is_healthy(service, record)
        for service, record in zip(servers, records_, strict=True)
    ):
        return
    start_services(params, root)
    print("the servers stay up; see how they are: maskmill status; stop them: maskmill down")


class Stopwatch:
    """How long each step took."""

    def __init__(self) -> None:
        self._began = self._last = time.monotonic()
        self._steps: list[str] = []

    def __call__(self, step: str) -> None:
        now = time.monotonic()
        self._steps.append(f"{step} {now - self._last:.1f} s")
        self._last = now

    @property
    def total(self) -> float:
        return self._last - self._began

    @property
    def parts(self) -> str:
        return ", ".join(self._steps)


def _stop_unwanted(wanted: list[Service]) -> None:
    """Stop what is not to run, or not like this, and remove what dead keepers have left."""
    by_path = {service.record: service for service in wanted}
    gone = control.read_records(wanted[0].state)
    for path in list(gone):
        record = records.read_record(path)
        if record is None:
            print(f"{path.stem}: {path} is not readable; removed it")
        elif path not in by_path:
            print(f"{path.stem}: stopped, since tracking.uri is a server that runs elsewhere")
        elif record.gave_up:
            print(f"{path.stem}: it died again and again, and was given up; trying anew")
        elif not record.alive:
            print(f"{path.stem}: {path} is left over from a process that is gone; removed it")
        elif record.settings != by_path[path].settings:
            print(f"{path.stem}: its settings have changed; starting it again")
        else:
            gone.remove(path)
    control.stop_all(gone)


def _is_running(service: Service) -> bool:
    """Whether it is up already; one that does not answer for a while is stopped."""
    record = records.read_record(service.record)
    if record is None:
        return False
    patience = _PATIENCE_S if service.health else _WORKER_PATIENCE_S
    if _until(lambda: _is_well(service), [service.name], patience):
        print(f"{service.name}: already up")
        return True
    print(f"{service.name}: process {record.pid} does not answer; starting it again")
    control.stop_service(service.record)
    return False


def _start_and_wait(services: list[Service], started: list[Service]) -> None:
    """Start services at the same time, and wait until all are healthy.

    `started` grows as they are started.
    """
    for service in services:
        started.append(service)
        control.start_keeper(service)

    def ready() -> bool:
        for service in services:
            record = records.read_record(service.record)
            if record is None or record.restarts or not record.alive:
                raise control.describe_failure(service, "it ended at once")
        return all(_is_well(service) for service in services)

    if not _until(ready, [service.name for service in services], _READY_S):
        late = next(service for service in services if not _is_well(service))
        raise control.describe_failure(late, f"not healthy after {_READY_S:.0f} s")


def _is_well(service: Service) -> bool:
    record = records.read_record(service.record)
    return record is not None and is_healthy(service, record)


def _until(condition: Callable[[], bool], names: list[str], patience_s: float) -> bool:
    """Wait for a condition, and return whether it came true.

    Where it takes longer, one line says so.
    """
    began, said, live = time.monotonic(), False, sys.stdout.isatty()
    while not (met := condition()) and time.monotonic() - began < patience_s:
        if live or not said:
            line = f"waiting for {', '.join(names)}"
            print(
                f"\r{line}: {time.monotonic() - began:.0f} s" if live else line,
                end="" if live else "\n",
                flush=True,
            )
            said = True
        time.sleep(_POLL_S)
    if said and live:
        print()
    return met


def _prepare_deployments(prefect: Service) -> None:
    """Put the deployments of prefect.yaml into place, and close the MLflow runs of dead owners."""
    running = []
    for module in (_DEPLOYMENTS, _REAPER):
        log = prefect.state / "logs" / f"{module.rpartition('.')[2]}.log"
        with log.open("wb") as file:
            command = [sys.executable, "-m", module]
            process = subprocess.Popen(
                command,
                cwd=prefect.root,
                env=prefect.environment,
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=file,
            )
        running.append((module, log, process))
    for module, log, process in running:
        # a store that is away must not keep the flows from running
        if process.wait() and module == _REAPER:
            print(
                "warning: runs of dead trainings are not closed yet; "
                f"the end of {log}:{control.last_lines(log)}"
            )
        elif process.returncode:
            raise MaskmillError(f"{module} failed; the end of {log}:{control.last_lines(log)}")
