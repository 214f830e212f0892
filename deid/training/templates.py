"""Templates for the `ksame` operator: means over k patients each (k-same, Newton et al. 2005)."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from deid.core.errors import UsageError
from deid.training.images import ImageStore


def mean_templates(store: ImageStore, count: int, k: int, seed: int) -> Tensor:
    """Means of k images of k different patients of one source, sources taken in turns.

    Args:
        store: Training images.
        count: Templates to make.
        k: Patients in each.
        seed: Of the choice.

    Returns:
        `[template, 1, row, column]` in 0..1.

    Raises:
        UsageError: No source has k patients.
    """
    random = np.random.default_rng(seed)
    owners: dict[str, dict[str, list[int]]] = {}
    for index, sample in enumerate(store.samples):
        owners.setdefault(sample.source, {}).setdefault(sample.patient, []).append(index)
    large = [owners[source] for source in sorted(owners) if len(owners[source]) >= k]
    if not large:
        raise UsageError(
            f"templates are means over {k} patients of one source; no source has as many training "
            "patients. Give more patients or lower --k."
        )
    means = []
    for number in range(count):
        own = large[number % len(large)]
        patients = random.choice(sorted(own), k, replace=False)
        means.append(store.tensor([int(random.choice(own[patient])) for patient in patients]).mean(0))
    return torch.stack(means)
