"""How alike unrelated patients look to a critic, by which alone its cosines can be read.

To one critic two strangers have a cosine of 0.1, to another one of 0.9; that a scrubbed image has 0.9 to its
own original says nothing by itself. So the templates of what a run has changed are kept beside the pictures
of the review, and originals are compared with the scrubbed images of *other* patients. Templates are
biometric: they lie in the private state folder and go when the pictures go; what comes out is quantiles only.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

LEAST_PATIENTS = 5
"""With fewer, nothing is said: quantiles of a handful of pairs would be chance, and nearly single values."""

MOST_PATIENTS = 64
"""One image each is compared with those of all others, 4032 pairs."""

_DIGITS = 4


@dataclass(frozen=True, eq=False)
class Template:
    """What a critic makes of one image before and after.

    Attributes:
        weights: SHA-256 of the critic's weights; those of others do not compare.
        before: Embedding of the original, `[dimension]`.
        after: That of the scrubbed image, likewise.
    """

    weights: str
    before: NDArray[np.float32]
    after: NDArray[np.float32]


@dataclass(frozen=True)
class Templates:
    """The templates of one image, by critic, and whose they are.

    Attributes:
        patient: Pseudonym; empty where the patient is not known, which makes nobody a stranger.
        critics: Templates by name of the critic.
    """

    patient: str = ""
    critics: Mapping[str, Template] | None = None

    def __bool__(self) -> bool:
        return bool(self.patient and self.critics)

    def to_json(self) -> bytes:
        """What :meth:`from_json` reads."""
        critics = {
            name: {
                "weights": made.weights,
                "before": _encoded(made.before),
                "after": _encoded(made.after),
            }
            for name, made in (self.critics or {}).items()
        }
        return json.dumps({"patient": self.patient, "critics": critics}).encode("ascii")

    @classmethod
    def from_json(cls, data: bytes) -> Templates:
        """Templates as they were written; any error of type or value means that they are damaged."""
        fields: dict[str, Any] = json.loads(data)
        critics = {
            str(name): Template(str(made["weights"]), _decoded(made["before"]), _decoded(made["after"]))
            for name, made in fields["critics"].items()
        }
        return cls(str(fields["patient"]), critics)


@dataclass(frozen=True)
class Unrelated:
    """Cosines of originals to the scrubbed images of other patients, by one critic.

    Attributes:
        median: Of all pairs, -1..1.
        low: Their 5 % quantile.
        high: Their 95 % quantile.
        own: Median cosine of the same images to their own originals.
        patients: Patients, one image each.
    """

    median: float
    low: float
    high: float
    own: float
    patients: int

    def to_json(self) -> dict[str, float]:
        """All attributes by name."""
        return asdict(self)


def unrelated_cosines(sample: Iterable[Templates]) -> dict[str, Unrelated]:
    """Compare originals with the scrubbed images of others.

    Args:
        sample: Images of one model and strength; the first of each patient counts, and the first
            :data:`MOST_PATIENTS` patients.

    Returns:
        By critic; one that has seen fewer than :data:`LEAST_PATIENTS`, or whose weights were others for some
        of them, is left out.
    """
    by_critic: dict[str, dict[str, Template]] = {}
    for templates in sample:
        for name, made in (templates.critics or {}).items():
            people = by_critic.setdefault(name, {})
            if templates.patient and len(people) < MOST_PATIENTS:
                people.setdefault(templates.patient, made)
    found = {name: _compared(list(people.values())) for name, people in sorted(by_critic.items())}
    return {name: cosines for name, cosines in found.items() if cosines is not None}


def _compared(people: list[Template]) -> Unrelated | None:
    if len(people) < LEAST_PATIENTS or len({(one.weights, one.before.shape) for one in people}) > 1:
        return None
    before, after = (
        _directions(np.stack(side)) for side in zip(*((one.before, one.after) for one in people), strict=True)
    )
    cosines = before @ after.T
    if not np.isfinite(cosines).all():
        return None
    own = np.eye(len(people), dtype=np.bool_)
    values = (*np.quantile(cosines[~own], (0.5, 0.05, 0.95)), np.median(cosines[own]))
    median, low, high, same = (round(float(value), _DIGITS) for value in values)
    return Unrelated(median, low, high, same, len(people))


def _directions(embeddings: NDArray[np.float32]) -> NDArray[np.float64]:
    """Of length 1; no number where there is none, as for zeros."""
    wide = embeddings.astype(np.float64)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(wide / np.linalg.norm(wide, axis=1, keepdims=True))


def _encoded(embedding: NDArray[np.float32]) -> str:
    return base64.b64encode(np.asarray(embedding, "<f4").tobytes()).decode("ascii")


def _decoded(text: str) -> NDArray[np.float32]:
    return np.frombuffer(base64.b64decode(text, validate=True), "<f4")
