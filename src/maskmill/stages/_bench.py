"""What the gate compares by: the test images, and what challenger and champion did on them."""

import io
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from maskmill.curation import manifest
from maskmill.decisions.gate import Contender, Rules, TestImages
from maskmill.evaluation import evaluate
from maskmill.metrics import Labels, Metrics, create
from maskmill.samples.shards import Shard
from maskmill.settings.config import (
    Data,
    Evaluation,
    Gate,
    Inference,
    Intervals,
    Paths,
    Slices,
)
from maskmill.statistics import units
from maskmill.statistics.slices import slice_values
from maskmill.system import code_digest
from maskmill.system.errors import MaskmillError
from maskmill.tracking import package, registry

if TYPE_CHECKING:
    from mlflow.entities.model_registry import ModelVersion

_STATISTICS, _SEEN = "statistics.parquet", "seen.json"
_CODE = ("maskmill.metrics", "create")


@dataclass(frozen=True)
class Evidence:
    """What a version keeps so that a later one can be compared with it, pair by pair."""

    statistics: pd.DataFrame  # of each test image: id, and the numbers of the headline's statistic
    seen: frozenset[str]  # sha256 of the pixels of its training and validation images
    metrics_code: str  # digest of the code that makes the statistics

    def as_files(self) -> dict[str, bytes]:
        """Name -> content."""
        table = io.BytesIO()
        self.statistics.to_parquet(table, index=False)
        content = {"metrics_code": self.metrics_code, "sha256_pixels": sorted(self.seen)}
        return {_STATISTICS: table.getvalue(), _SEEN: json.dumps(content).encode()}


@dataclass(frozen=True)
class Bench:
    """The test split, with what describes its images."""

    paths: Paths
    data: Data
    evaluation: Evaluation
    metrics: Mapping[str, Mapping[str, Any]]
    intervals: Intervals
    slices: Slices
    inference: Inference
    manifest: pd.DataFrame
    headline: Metrics

    @classmethod
    def open(
        cls, paths: Paths, data: Data, evaluation: Evaluation,
        metrics: Mapping[str, Mapping[str, Any]], intervals: Intervals, slices: Slices,
        inference: Inference,
    ) -> "Bench":  # fmt: skip
        """Read what describes the images."""
        table = manifest.read(Path(paths.prepared) / "manifest.parquet")
        headline = create({}, Labels.of(data))
        return cls(
            paths, data, evaluation, metrics, intervals, slices, inference, table, headline
        )  # fmt: skip

    def evidence(self, variant: str) -> Evidence:
        """What the trained variant did on the test images, and what it has seen."""
        path = Path(self.paths.metrics) / "test" / f"{variant}.parquet"
        table = evaluate.read_statistics(path)[["id", *self.headline.fields]]
        trained = self.manifest["split"].isin(("train", "val"))
        seen = frozenset(self.manifest.loc[trained, "sha256_pixels"].dropna())
        return Evidence(table, seen, code_digest.digest(_CODE, ()))

    def contender(self, name: str, evidence: Evidence) -> Contender:
        """A version, as the gate sees it."""
        return Contender(name, evidence.statistics, evidence.seen)

    def champion(self, version: "ModelVersion", digest: str) -> Contender:
        """The champion on the same test images, by what it keeps, or scored anew.

        Its statistics count where the test images and the code of the metrics are the same.
        Raises: MaskmillError where it has other classes or channels.
        """
        name = f"version {version.version}"
        kept = _kept_evidence(version)
        same_images = version.tags.get(registry.TEST_DIGEST) == digest
        if kept and same_images and kept.metrics_code == code_digest.digest(_CODE, ()):
            return Contender(name, kept.statistics, kept.seen)
        return Contender(name, self._scored(version), kept.seen if kept else None)

    def test_images(self, variant: str) -> TestImages:
        """The test images in the order of the variant's statistics."""
        path = Path(self.paths.metrics) / "test" / f"{variant}.parquet"
        table = evaluate.read_statistics(path)
        ids = table["id"].tolist()
        rows = self.manifest.drop_duplicates("id").set_index("id").loc[ids]
        of_image = units.units_of_images(ids, self.manifest, self.intervals)
        images = evaluate.read_images(Path(self.paths.reports) / "evaluation" / variant)
        return TestImages(
            ids,
            rows["sha256_pixels"].tolist(),
            table["clean"].to_numpy(dtype=bool),
            of_image,
            units.are_independent(of_image, ids, self.manifest),
            slice_values(table["id"], images, self.manifest, self.slices),
        )

    def rules(self, gate: Gate, looks: int) -> Rules:
        """What decides."""
        return Rules(
            gate, self.evaluation.primary, self.headline, self.intervals,
            self.evaluation.clean, looks,
        )  # fmt: skip

    def _scored(self, version: "ModelVersion") -> pd.DataFrame:
        """Evaluate a version on the test images; its statistics."""
        predictor = registry.predictor(version).with_settings(self.inference)
        data = self.data
        card = predictor.card
        if (card.classes, card.in_channels) != (data.classes, data.in_channels):
            raise MaskmillError(
                f"it has the classes {list(card.classes)} on {card.in_channels} channels, the data"
                f" have {list(data.classes)} on {data.in_channels}"
            )
        labels = Labels.of(data)
        measured = evaluate.evaluate_split(
            predictor, Shard(Path(self.paths.prepared) / "shards", "test"),
            metrics=create(self.metrics, labels), labels=labels, primary=self.evaluation.primary,
            gallery=0, title="champion on test",
        )  # fmt: skip
        return evaluate.statistics_table(measured)


def _kept_evidence(version: "ModelVersion") -> Evidence | None:
    """What the version keeps; None of one that was registered before versions kept anything."""
    try:
        folder = package.download(version, package.EVIDENCE)
        seen = json.loads((folder / _SEEN).read_text())
        table = pd.read_parquet(folder / _STATISTICS)
        return Evidence(table, frozenset(seen["sha256_pixels"]), seen["metrics_code"])
    except (MaskmillError, OSError, KeyError, ValueError):
        return None
