"""Whether a service can have its port, and who has it if not."""

import errno
import socket

import psutil

from maskmill.services.catalogue import Service
from maskmill.services.records import workspace_of_keeper
from maskmill.settings.config import PARAMS, Services
from maskmill.system import addresses
from maskmill.system.errors import MaskmillError

IN_USE = "is in use by"


def check_free(services: Services, wanted: list[Service]) -> None:
    """Check that all ports are free.

    Raises: MaskmillError that names, for each port that is not, who has it and what to change.
    """
    problems = [port_problem(services, service) for service in wanted if service.port]
    if any(problems):
        raise MaskmillError("\n".join(filter(None, problems)))


def process_of_service(service: Service) -> psutil.Process | None:
    """The process of this very service that listens on its port.

    It is found whether or not a record or a keeper is left of it.
    """
    try:
        listening = addresses.listeners(service.port) if service.port else []
        return next((process for process in listening if _is_own(process, service)), None)
    except psutil.Error:
        return None


def _is_own(process: psutil.Process, service: Service) -> bool:
    return bool(process.cmdline() == list(service.command) and process.cwd() == str(service.root))


def port_problem(services: Services, service: Service) -> str | None:
    """Why a server cannot have its port, and what to change; None where it can."""
    host, key, port = services.host, f"services.{service.name}_port", service.port
    assert port
    try:
        family, kind, _, _, where = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind) as attempt:
            attempt.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as the server does
            attempt.bind(where)
    except socket.gaierror:
        return (
            f"services.host: {host!r} is not known here; set an address of this machine in {PARAMS}"
        )
    except PermissionError:
        return (
            f"{key}: {port} is for the system's own servers; set one from 1024 to 65535 in {PARAMS}"
        )
    except OSError as error:
        if error.errno == errno.EADDRNOTAVAIL:
            return (
                f"services.host: {host!r} is no address of this machine; "
                f"set one that is in {PARAMS}"
            )
        return f"{key}: {port} {IN_USE} {_holder(port, service)}, or set another {key} in {PARAMS}"
    return None


def _holder(port: int, service: Service) -> str:
    """Who listens on the port, and how to free it."""
    unknown = "a process that is not yours; ask its owner to stop it"
    try:
        process = next(iter(addresses.listeners(port)), None)
        if process is None:
            return unknown
        folder = workspace_of_keeper(process)
        if folder:
            return f"the maskmill workspace in {folder}; run `maskmill down` there"
        if _is_own(process, service):
            return (
                f"process {process.pid}, a server of this workspace whose keeper is gone; "
                "run `maskmill down`"
            )
        return f"process {process.pid} ({' '.join(process.cmdline()) or process.name()}); stop it"
    except psutil.Error:
        return unknown
