"""The data sets that an experiment can name: seeded synthetic ones, the digits, and the user's own files."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Discriminator, Tag

from steepest import datasets
from steepest.experiments.spec import values as accept
from steepest.experiments.spec.schedule import ScheduleChoice
from steepest.problem import Classification

__all__ = ["KINDS", "DataSet", "DataSets", "StoredSamples", "identity"]

Classes = Annotated[int, BeforeValidator(accept.count(at_least=2))]
Count = Annotated[int, BeforeValidator(accept.count(at_least=1))]
Positive = Annotated[float, BeforeValidator(accept.positive)]


Name = Annotated[str, BeforeValidator(accept.identifier)]
Contrast = Annotated[bool, BeforeValidator(accept.switch)]
"""Whether data is there to show a difference: claims about an experiment's data leave it out."""
STRICT = ConfigDict(extra="forbid", frozen=True)


class GaussianData(BaseModel):
    """Independent Gaussian features, the paper's setting (k = 10, 10 samples a class, d = 100, scale 0.1)."""

    model_config = STRICT

    kind: Literal["gaussian"]
    name: Name = "gaussian"
    schedule: ScheduleChoice | None = None
    classes: Classes = 10
    samples_per_class: Count = 10
    features: Count = 100
    scale: Positive = 0.1
    contrast: Contrast = False

    def load(self, seed: int) -> Classification:
        """Return the samples that a seed draws."""
        return datasets.gaussian(self.classes, self.samples_per_class, self.features, self.scale, seed)


class MixtureData(BaseModel):
    """Classes around random means: x = separation · μ_y + ε, with μ and ε both N(0, I/d)."""

    model_config = STRICT

    kind: Literal["mixture"]
    name: Name = "mixture"
    schedule: ScheduleChoice | None = None
    classes: Classes = 5
    samples_per_class: Count = 40
    features: Count = 50
    separation: Positive = 1.5
    contrast: Contrast = False

    def load(self, seed: int) -> Classification:
        """Return the samples that a seed draws."""
        return datasets.mixture(self.classes, self.samples_per_class, self.features, self.separation, seed)


class OrthogonalData(BaseModel):
    """The orthogonal scale-skewed data of Theorem 4.9: x_i = α_i e_{y_i}, where rare classes are hard.

    With ``hard_classes = "frequent"`` the counts stay and the scales are in reverse order.
    """

    model_config = STRICT

    kind: Literal["orthogonal"]
    name: Name = "orthogonal"
    schedule: ScheduleChoice | None = None
    classes: Classes = 5
    samples: Count = 100
    smallest_scale: Positive = 0.5
    largest_scale: Positive = 3.0
    hard_classes: Literal["rare", "frequent"] = "rare"
    contrast: Contrast = False

    def load(self, seed: int) -> Classification:
        """Return the samples that a seed draws."""
        return datasets.orthogonal_scale_skewed(
            self.classes,
            self.samples,
            self.smallest_scale,
            self.largest_scale,
            seed,
            hard_classes=self.hard_classes,
        )


class DigitsData(BaseModel):
    """scikit-learn's handwritten digits, scaled; the seed shuffles, the samples are always the same."""

    model_config = STRICT

    kind: Literal["digits"]
    name: Name = "digits"
    schedule: ScheduleChoice | None = None
    contrast: Contrast = False

    def load(self, seed: int) -> Classification:  # noqa: ARG002
        """Return the 1,797 samples."""
        return datasets.digits()


class FileData(BaseModel):
    """The user's own samples from a .npz, .csv or .parquet file."""

    model_config = STRICT

    kind: Literal["file"]
    name: Name = "file"
    schedule: ScheduleChoice | None = None
    path: Path
    label: str | None = None
    contrast: Contrast = False

    def load(self, seed: int) -> Classification:  # noqa: ARG002
        """Return the samples of the file."""
        return datasets.from_file(self.path, self.label)


KINDS: dict[str, type[BaseModel]] = {
    "gaussian": GaussianData,
    "mixture": MixtureData,
    "orthogonal": OrthogonalData,
    "digits": DigitsData,
    "file": FileData,
}


def _kind(given: Any) -> Any:
    return given.get("kind") if isinstance(given, dict) else getattr(given, "kind", None)


def _as_tables(given: Any) -> list[Any]:
    entries = list(given) if isinstance(given, (list, tuple)) else [given]
    if not entries:
        raise ValueError("an empty list has no runs; give at least one data set")
    return [{"kind": entry} if isinstance(entry, str) else entry for entry in entries]


DataSet = Annotated[
    Annotated[GaussianData, Tag("gaussian")]
    | Annotated[MixtureData, Tag("mixture")]
    | Annotated[OrthogonalData, Tag("orthogonal")]
    | Annotated[DigitsData, Tag("digits")]
    | Annotated[FileData, Tag("file")],
    Discriminator(_kind),
]

DataSets = Annotated[tuple[DataSet, ...], BeforeValidator(_as_tables)]
"""One data set or a list; a bare kind such as "gaussian" stands for that data with its standard sizes."""


@dataclass(frozen=True)
class StoredSamples:
    """What is known of a data set without having it: its sizes, and the hash by which results name it."""

    name: str
    seed: int
    fingerprint: str
    """Hash of features and labels."""
    samples: int
    """n."""
    features: int
    """d."""
    classes: int
    """k."""
    feature_bound: float
    """R = max ‖x‖₁, in units of the features."""


def identity(data: DataSet) -> dict[str, Any]:
    """Return what the samples depend on besides the seed: no name, no schedule, no place on a disk."""
    return data.model_dump(exclude={"name", "schedule", "path"})
