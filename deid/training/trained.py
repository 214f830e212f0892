"""What a training gives; light, so that the command line can name it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from deid.core.model_card import Metric
    from deid.training.loop import FitReport


@dataclass(frozen=True)
class Trained:
    """What a training gave.

    Attributes:
        model: The model folder.
        report: How the training ended.
        metrics: Figures on the test patients.
    """

    model: Path
    report: FitReport
    metrics: tuple[Metric, ...]
