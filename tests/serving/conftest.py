"""A real registry with a tiny version of two variants, and real servers of them on free ports."""

import base64
import contextlib
import os
import re
import socket
import subprocess
import sys
import threading
from dataclasses import dataclass
from pathlib import Path

import httpx
import numpy as np
import pytest
import torch

from maskmill import models
from maskmill.images import decode
from maskmill.inference import predict
from maskmill.samples.preprocessing import Preprocessing
from maskmill.settings import config
from maskmill.tracking import registry, stores
from tests.conftest import REPOSITORY
from tests.pipelines.conftest import change_params

TINY = {"resnet18_unet": {"width": 8}, "unet": {"feature_scale": 16}}
VARIANTS = list(TINY)
PRECISION = {"resnet18_unet": "bf16", "unet": "fp32"}
AUTH = "ann:secret"


@dataclass(frozen=True)
class Registered:
    """A folder with params.yaml and a store, the model folder of each variant, and its version."""

    root: Path
    folders: dict[str, Path]
    versions: dict[str, str]
    environment: dict[str, str]

    def serve(self, *options: str, cwd: Path | None = None, **environment: str) -> "Process":
        code = "from maskmill.cli.app import main; main()"
        command = (sys.executable, "-c", code, "serve", *options)
        return Process(
            command,
            cwd or self.root,
            self.environment | environment,
            "Application startup complete",
        )


class Process:
    """A server; what it prints is read from its beginning, so that it never waits for a reader."""

    def __init__(
        self, command: tuple[str, ...], cwd: Path, environment: dict[str, str], up: str
    ) -> None:
        self.popen = subprocess.Popen(
            command,
            cwd=cwd,
            env=environment,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        self.lines: list[str] = []
        self._up = threading.Event()
        self._reader = threading.Thread(target=self._read, args=(up,), daemon=True)
        self._reader.start()

    def _read(self, up: str) -> None:
        for line in self.popen.stdout:
            self.lines.append(line)
            if up in line:
                self._up.set()
        self._up.set()

    @property
    def output(self) -> str:
        return "".join(self.lines)

    def wait_until_up(self) -> str:
        """Its address."""
        assert self._up.wait(400), self.output
        address = re.search(r"http://127\.0\.0\.1:\d+", self.output)
        assert address and self.popen.poll() is None, self.output
        return address[0]

    def ended(self) -> int:
        code = self.popen.wait(300)
        self._reader.join()
        return code

    def end(self) -> None:
        if self.popen.poll() is None:
            self.popen.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.popen.wait(40)
        self.popen.kill()
        self.ended()


@pytest.fixture(scope="session")
def registered(tmp_path_factory, data) -> Registered:
    root = tmp_path_factory.mktemp("registry")
    (root / "params.yaml").write_bytes((REPOSITORY / "params.yaml").read_bytes())
    params = config.load(root / "params.yaml")
    clean = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("MLFLOW_", "MASKMILL_"))
    }
    clean["PYTHONPATH"] = str(REPOSITORY / "src")
    # as in an activated environment
    clean["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), clean["PATH"]])
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        store = stores.connect_store(params.tracking, params.paths, root)
    run = store.client.create_run(store.experiment_id).info.run_id
    store.client.set_terminated(run)
    folders, versions = {}, {}
    for seed, variant in enumerate(VARIANTS):
        folders[variant] = root / "models" / variant
        save(folders[variant], variant, seed, data)
        versions[variant] = registry.register(store, folders[variant], run, {}).version
    store.client.set_registered_model_alias(store.model, registry.CHAMPION, versions["unet"])
    return Registered(root, folders, versions, clean | {"MLFLOW_TRACKING_URI": store.uri})


def save(folder: Path, variant: str, seed: int, data: config.Data) -> None:
    torch.manual_seed(seed)
    model = models.create(variant, in_channels=1, num_classes=len(data.classes), **TINY[variant])
    facts = {
        "variant": variant, "options": TINY[variant], "classes": data.classes,
        "background": data.background, "ignore_index": data.ignore_index, "colours": data.colours,
        "in_channels": 1, "preprocessing": Preprocessing(mean=(0.5,), std=(0.25,)),
        "precision": PRECISION[variant], "parameters": models.count_parameters(model),
        "best_step": 1,
    }  # fmt: skip
    predict.save(folder, model.state_dict(), facts)


@pytest.fixture(scope="session")
def clients(registered, tmp_path_factory):
    """A client of a server for each variant.

    That of `unet` serves the champion behind a password, with 1 MB bodies.
    """
    closed = tmp_path_factory.mktemp("closed")
    (closed / "params.yaml").write_bytes((registered.root / "params.yaml").read_bytes())
    change_params(
        closed, {"services.auth": True, "services.max_body_mb": 1, "services.max_pixels": 200_000}
    )
    made = {}
    for variant, number in registered.versions.items():
        if variant == "unet":
            made[variant] = registered.serve("--port", "0", cwd=closed, MASKMILL_AUTH=AUTH)
        else:
            made[variant] = registered.serve("--port", "0", "--model", f"models:/icbm152/{number}")
    try:
        yield {variant: _client(process) for variant, process in made.items()}
    finally:
        for process in made.values():
            process.end()


@pytest.fixture(scope="session")
def bare(registered):
    """A client of MLflow's own server of the `unet`, with limits from the environment."""
    command = (
        sys.executable, "-m", "mlflow", "models", "serve", "--env-manager", "local", "--port",
        str(free_port()), "--model-uri", "models:/icbm152@champion",
    )  # fmt: skip
    limits = {"MASKMILL_MAX_ROWS": "8", "MASKMILL_MAX_PIXELS": "200000", "PYTHONPATH": ""}
    process = Process(
        command, registered.root, registered.environment | limits, "Uvicorn running on"
    )
    try:
        yield _client(process)
    finally:
        process.end()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def _client(process: Process) -> httpx.Client:
    address = process.wait_until_up()
    auth = tuple(AUTH.split(":")) if "--user" in process.output else None
    client = httpx.Client(base_url=address, auth=auth, trust_env=False, timeout=60)
    client.process = process
    return client


def picture(height: int, width: int, seed: int = 0) -> np.ndarray:
    """(H, W) uint8: blobs of all brightnesses."""
    rng = np.random.default_rng(seed)
    coarse = rng.integers(0, 256, (height // 8 + 1, width // 8 + 1))
    pixels = np.kron(coarse, np.ones((8, 8)))[:height, :width] + rng.normal(0, 10, (height, width))
    return pixels.clip(0, 255).astype(np.uint8)


def encode(pixels: np.ndarray) -> str:
    return base64.b64encode(decode.png_bytes(pixels)).decode()


def post(client: httpx.Client, *images: object) -> httpx.Response:
    return client.post(
        "/invocations", json={"dataframe_records": [{"image": image} for image in images]}
    )


def masks(answer: httpx.Response) -> list[np.ndarray]:
    assert answer.status_code == 200, answer.text
    return [decode.mask(base64.b64decode(row["mask"])) for row in answer.json()["predictions"]]
