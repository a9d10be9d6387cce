"""python benchmarks/serving.py [models:/NAME@ALIAS]: time the served model beside its limit.

Measured are latency and throughput. Starts `maskmill serve`, and after it MLflow's own server, of
one version on free ports, and posts random images, one a request. The predictor called in this
process with as many threads, without HTTP, base64 and PNG, is the limit. Prints the table of
docs/benchmarks.md.
"""

import argparse
import base64
import itertools
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import numpy as np

CLIENTS = (1, 4, 8)
REQUESTS = {64: 240, 256: 120, 512: 64}  # px: how many are measured
WARM_UP = 5


def main() -> None:
    import torch

    import maskmill
    from maskmill.images import decode
    from maskmill.settings import config

    params = config.load()
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", nargs="?", default=f"models:/{params.tracking.model}@champion")
    uri = parser.parse_args().model
    predictor = maskmill.load(uri)
    threads = params.services.threads
    torch.set_num_threads(threads)
    print(
        f"{uri}: {predictor.card.variant}, {predictor.card.precision}; services.threads:"
        f" {threads}\n"
    )
    print("| | px | clients | p50, ms | p99, ms | images per second |\n|---|---|---|---|---|---|")
    rng = np.random.default_rng(0)
    images = {
        px: rng.integers(0, 256, (px, px, predictor.card.in_channels), np.uint8) for px in REQUESTS
    }
    for px, image in images.items():
        measure("predictor, no server", px, 1, lambda image=image: predictor.predict(image))
    bodies = {
        px: base64.b64encode(decode.png_bytes(image)).decode() for px, image in images.items()
    }
    ours = [
        sys.executable,
        "-c",
        "from maskmill.cli.app import main; main()",
        "serve",
        "--model",
        uri,
    ]
    stock = [
        sys.executable,
        "-m",
        "mlflow",
        "models",
        "serve",
        "--env-manager",
        "local",
        "--model-uri",
        uri,
    ]
    store = os.environ.get("MLFLOW_TRACKING_URI") or params.tracking.uri
    environment = os.environ | {"MLFLOW_TRACKING_URI": store, "MASKMILL_THREADS": str(threads)}
    bin_folder = Path(sys.executable).parent  # where mlflow finds uvicorn
    environment["PATH"] = os.pathsep.join([str(bin_folder), environment["PATH"]])
    for name, command in (("`maskmill serve`", ours), ("`mlflow models serve`", stock)):
        against(name, command, environment, bodies)


def against(
    name: str, command: list[str], environment: dict[str, str], bodies: dict[int, str]
) -> None:
    """Start a server, measure it, end it."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    server = subprocess.Popen(
        [*command, "--port", str(port)],
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        with httpx.Client(
            base_url=f"http://127.0.0.1:{port}", trust_env=False, timeout=120
        ) as client:
            while True:
                assert server.poll() is None, f"{name} ended with {server.returncode}"
                try:
                    client.get("/ping")
                    break
                except httpx.ConnectError:
                    time.sleep(0.2)
            for (px, body), clients in itertools.product(bodies.items(), CLIENTS):
                request = {"dataframe_records": [{"image": body}]}
                measure(
                    name,
                    px,
                    clients,
                    lambda json=request: client.post("/invocations", json=json).raise_for_status(),
                )
    finally:
        server.terminate()
        server.wait()


def measure(name: str, px: int, clients: int, call: Callable[[], object]) -> None:
    """Print one row: so many clients, each calling again as soon as it is answered."""

    def timed(_: int) -> float:
        start = time.perf_counter()
        call()
        return 1000 * (time.perf_counter() - start)

    for i in range(WARM_UP):
        timed(i)
    with ThreadPoolExecutor(clients) as pool:
        start = time.perf_counter()
        times = list(pool.map(timed, range(REQUESTS[px])))
        rate = len(times) / (time.perf_counter() - start)
    p50, p99 = np.percentile(times, [50, 99])
    print(f"| {name} | {px} | {clients} | {p50:.1f} | {p99:.1f} | {rate:.0f} |", flush=True)


if __name__ == "__main__":
    main()
