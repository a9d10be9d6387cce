"""Prefect's page of a run: progress of a stage, comparison, verdict, where to look further."""

import time
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from contextvars import copy_context
from uuid import UUID

import httpx
from prefect.artifacts import (
    create_link_artifact,
    create_markdown_artifact,
    create_progress_artifact,
    create_table_artifact,
    update_progress_artifact,
)

from maskmill.services import catalogue
from maskmill.settings import config
from maskmill.system.files import read_json
from maskmill.tracking.server import REPORTS
from pipelines import registry, summary

_EVERY_S = 2.0


class FlowProgress:
    """A bar for a stage that records its optimizer steps.

    Drawn from a thread of its own, where a server that is away delays no stage: while one value is
    on its way, newer ones are left out.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._context = copy_context()  # of the task, whatever thread tells of the steps
        self._bar: UUID | None = None
        self._thread = ThreadPoolExecutor(max_workers=1)
        self._drawing: Future[None] | None = None
        self._drawn = 0.0

    def step(self, step: int, last: int) -> None:
        """Draw how many of the steps are done."""
        busy = self._drawing is not None and not self._drawing.done()
        if step < last and (busy or time.monotonic() - self._drawn < _EVERY_S):
            return
        self._drawn = time.monotonic()
        self._drawing = self._thread.submit(self._context.run, self._draw, 100 * step / last)

    def close(self) -> None:
        """Wait for the last value."""
        self._thread.shutdown()

    def _draw(self, percent: float) -> None:
        with suppress(httpx.HTTPError):
            if self._bar is None:
                made = create_progress_artifact(percent, description=f"{self._name}: steps")
                assert isinstance(made, UUID)  # here, outside of an event loop
                self._bar = made
            else:
                update_progress_artifact(self._bar, progress=percent)


def publish_page(params: config.Params) -> None:
    """Put the comparison, the verdict and the links on the run's page."""
    create_table_artifact(
        summary.comparison_rows(params), key="comparison", description="Scores of all variants"
    )
    said = "\n".join(
        f"- {line}"
        for line in (*summary.explain_intervals(params), *summary.describe_verdict(params))
    )
    create_markdown_artifact(said, key="gate", description="What the gate decided")
    mlflow = catalogue.mlflow_address(params).rstrip("/")
    if not catalogue.is_server(catalogue.tracking_uri(params)):
        # the server is ours, which shows the reports as well
        create_link_artifact(
            f"{mlflow}{REPORTS}/index.html", "report", key="report", description="The report"
        )
    verdict = read_json(registry.said_in(params))
    run = verdict["runs"][verdict.get("variant") or params.variants[0]]
    link = f"{mlflow}/#/experiments/{verdict['experiment']}/runs/{run}"
    create_link_artifact(
        link, "MLflow run", key="mlflow-run", description="The training of the challenger in MLflow"
    )
