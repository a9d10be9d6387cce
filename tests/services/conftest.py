"""A workspace with ports of its own, and what a user or an attacker does to its servers."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from maskmill.services import catalogue, records
from maskmill.services.environment import prefect_environment
from maskmill.settings import config
from tests.pipelines.conftest import Workspace, clone


class Servers(Workspace):
    """A clone whose `maskmill` commands run on free ports."""

    def __init__(self, root: Path) -> None:
        super().__init__(clone(root).root)
        self.env = {
            name: value
            for name, value in self.env.items()
            if not name.startswith(("PREFECT_", "MASKMILL_"))
        }
        self.set(
            **{f"services__{name}_port": free_port() for name in ("prefect", "mlflow", "model")}
        )
        plan = self.root / "prefect.yaml"
        # tests run at 2 in the night, too
        plan.write_text(plan.read_text().replace("active: true", "active: false"))

    @property
    def params(self) -> config.Params:
        return config.load(self.root / "params.yaml")

    def maskmill(
        self, *arguments: str, env: dict[str, str] | None = None
    ) -> subprocess.CompletedProcess[str]:
        return self.run(*MASKMILL, *arguments, env=env)

    def prefect_env(self) -> dict[str, str]:
        return prefect_environment(self.params, self.root)

    def service(self, name: str) -> catalogue.Service:
        return next(
            s for s in catalogue.services_of_workspace(self.params, self.root) if s.name == name
        )

    def record(self, name: str) -> records.Record:
        found = records.read_record(self.root / f".maskmill/services/{name}.json")
        assert found, name
        return found

    def processes(self) -> list[psutil.Process]:
        """Keepers, services, and everything below them."""
        return [p for p in psutil.process_iter() if self._is_ours(p)]

    def _is_ours(self, process: psutil.Process) -> bool:
        try:
            return process.cwd() == str(self.root) and process.status() != psutil.STATUS_ZOMBIE
        except psutil.Error:
            return False


MASKMILL = (sys.executable, "-m", "maskmill")


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


def until(condition: Callable[[], object], seconds: float) -> bool:
    """Whether a condition comes true in time."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.1)
    return True


def kill(pid: int) -> None:
    os.kill(pid, signal.SIGKILL)


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory):
    """Nothing runs in it yet; whatever does in the end is stopped."""
    made = Servers(tmp_path_factory.mktemp("servers") / "repository")
    yield made
    made.maskmill("down")
    for process in made.processes():
        process.kill()
