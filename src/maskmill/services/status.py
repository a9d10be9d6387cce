"""maskmill status, down and ui: what runs, since when and where; and stopping it."""

import time
from pathlib import Path

from maskmill import network
from maskmill.config import Params
from maskmill.guard import AUTH
from maskmill.services import catalogue, control, records
from maskmill.services.catalogue import Service
from maskmill.services.health import healthy


def down(params: Params, root: Path) -> None:
    """Stop everything that `maskmill up` has started here, the worker first; fine where nothing runs."""
    state = root / params.paths.state
    with control.alone(state):
        stopped = control.stop_all(control.recorded(state))
        for name, keeper in records.keepers(root).items():  # whose records somebody has deleted
            control.end(keeper)
            stopped.append(name)
    print(f"stopped: {', '.join(stopped)}" if stopped else "nothing was up")


def status(params: Params, root: Path) -> bool:
    """Print a table of the services; whether all of them are up."""
    services = catalogue.services(params, root)
    states = {service.name: _state(service) for service in services}
    rows = [("service", "state", "process", "since", "address", "log"), *(_row(s, states[s.name]) for s in services)]
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    print("\n".join("  ".join(f"{cell:<{w}}" for cell, w in zip(row, widths, strict=True)).rstrip() for row in rows))
    if len(services) < 3:
        print(f"mlflow is a server that runs elsewhere: {catalogue.tracking_uri(params)}")
    return set(states.values()) == {"up"}


def addresses(params: Params, root: Path) -> str:
    """Where to point the browser, and where the password is."""
    given = params.services
    prefect = network.url(given.host, given.prefect_port)
    lines = [f"runs, models    {catalogue.mlflow_address(params)}", f"flows, schedule {prefect}"]
    if given.auth:
        lines.append(f"user:password   in {root / params.paths.state / 'auth'}, or {AUTH} where that is set")
    return "\n".join(lines)


def _state(service: Service) -> str:
    record = records.read(service.record)
    if record is None:
        return "down"
    if record.gave_up:
        return "gave up"
    if not record.alive:
        return "killed"
    return "up" if healthy(service, record) else "no answer"


def _row(service: Service, state: str) -> tuple[str, ...]:
    record = records.read(service.record)
    runs = record is not None and record.alive and record.pid
    since = time.strftime("%m-%d %H:%M:%S", time.localtime(record.since)) if record and runs else "-"
    log = service.log.relative_to(service.root)
    where = service.address if service.health else f"asks {service.address}"
    return (service.name, state, str(record.pid) if record and runs else "-", since, where, str(log))
