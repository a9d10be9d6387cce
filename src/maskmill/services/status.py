"""maskmill status, down and ui: what runs, since when and where; and stopping it."""

import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import psutil

from maskmill.services import catalogue, control, flows, ports, records
from maskmill.services.catalogue import Service
from maskmill.services.health import is_healthy
from maskmill.settings.config import Params
from maskmill.system import addresses
from maskmill.web.guard import AUTH


def stop_services(params: Params, root: Path) -> None:
    """Stop the flow runs, then all that `maskmill up` started here; fine where nothing runs.

    A process on a port of ours that is none of this workspace is named, and left alone.
    """
    state, services = root / params.paths.state, catalogue.services_of_workspace(params, root)
    with control.exclusive_lock(state):
        stopped = _end_flows(root)
        # before the servers, also where its record is gone
        if worker := records.running_keepers(root).get(records.WORKER):
            control.end_process(worker)
            stopped.append(records.WORKER)
        stopped += control.stop_all(control.read_records(state))
        # whose records somebody has deleted
        for name, keeper in records.running_keepers(root).items():
            control.end_process(keeper)
            stopped.append(name)
        for service in services:
            # and its keeper somebody has killed
            if (left := ports.process_of_service(service)) is not None:
                control.end_process(left)
                stopped.append(service.name)
    print(f"stopped: {', '.join(stopped)}" if stopped else "nothing was up")
    for service in services:
        taken = (
            ports.port_problem(params.services, service)
            if service.port and service.name not in stopped
            else None
        )
        if taken and ports.IN_USE in taken:
            print(f"left alone, since it is not of this workspace: {taken}")


def _end_flows(root: Path) -> list[str]:
    """End the flow runs that were started by hand, and report all of them.

    Those of the worker end with the worker.
    """
    by_hand, by_worker = flows.by_hand(root), flows.by_worker(root)
    for process in (*by_hand, *by_worker):
        print(
            f"ending a flow run (process {process.pid}): a training of it writes a checkpoint "
            "first",
            flush=True,
        )
    with ThreadPoolExecutor() as pool:
        list(pool.map(flows.end_flow_run, by_hand))
    return ["flow run"] * len([*by_hand, *by_worker])


def print_status(params: Params, root: Path) -> bool:
    """Print a table of the services; whether all of them are up."""
    services = catalogue.services_of_workspace(params, root)
    unrecorded = records.running_keepers(root)
    seen = {service.name: _observe_service(params, service, unrecorded) for service in services}
    rows = [
        ("service", "state", "process", "since", "address", "log"),
        *(_row(s, seen[s.name]) for s in services),
    ]
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    print(
        "\n".join(
            "  ".join(f"{cell:<{w}}" for cell, w in zip(row, widths, strict=True)).rstrip()
            for row in rows
        )
    )
    for name, one in seen.items():
        if one.note:
            print(f"{name}: {one.note}")
    if len(services) < 3:
        print(f"mlflow is a server that runs elsewhere: {catalogue.tracking_uri(params)}")
    return {one.state for one in seen.values()} == {"up"}


def describe_addresses(params: Params, root: Path) -> str:
    """Where to point the browser, and where the password is."""
    given = params.services
    prefect = addresses.url(given.host, given.prefect_port)
    lines = [f"runs, models    {catalogue.mlflow_address(params)}", f"flows, schedule {prefect}"]
    if given.auth:
        lines.append(
            f"user:password   in {root / params.paths.state / 'auth'}, or {AUTH} where that is set"
        )
    return "\n".join(lines)


@dataclass(frozen=True)
class _Seen:
    """What is seen of a service: state, process, since when (s since 1970), and what to add."""

    state: str
    process: int = 0
    since: float = 0.0
    note: str = ""


def _observe_service(params: Params, service: Service, keepers: dict[str, psutil.Process]) -> _Seen:
    record = records.read_record(service.record)
    if record is not None and record.alive:
        state = (
            "gave up" if record.gave_up else "up" if is_healthy(service, record) else "no answer"
        )
        return _Seen(state, record.pid, record.since)
    try:
        found = ports.process_of_service(service) or _service_of_keeper(keepers.get(service.name))
        if found is not None:
            state, gone = "no keeper", "keeper"
            if record is None:
                state, gone = "no record", f"record {service.record.relative_to(service.root)}"
            note = f"it runs, and its {gone} is gone"
            then = "`maskmill down` ends it, and `maskmill up` starts it anew"
            return _Seen(state, found.pid, found.create_time(), f"{note}; {then}")
    except psutil.Error:
        pass
    if record is not None:
        return _Seen("gave up" if record.gave_up else "killed")
    taken = ports.port_problem(params.services, service) if service.port else None
    return _Seen("foreign" if taken and ports.IN_USE in taken else "down", note=taken or "")


def _service_of_keeper(keeper: psutil.Process | None) -> psutil.Process | None:
    """The service of a keeper, which is the child of its child.

    Between two starts it is the keeper itself.
    """
    if keeper is None:
        return None
    below = [service for inner in keeper.children() for service in inner.children()]
    return below[0] if below else keeper


def _row(service: Service, seen: _Seen) -> tuple[str, ...]:
    since = time.strftime("%m-%d %H:%M:%S", time.localtime(seen.since)) if seen.process else "-"
    log = service.log.relative_to(service.root)
    where = service.address if service.health else f"asks {service.address}"
    return (service.name, seen.state, str(seen.process or "-"), since, where, str(log))
