"""Small releases with known truth, and attackers that learn within seconds."""

import numpy as np
import torch
from torch import nn
from training.recognition_sets import blobs

from deid.audit.pictures import AuditImages
from deid.audit.reid import ReidOptions

QUICK = ReidOptions(impostors=3000, compared=20, replicates=100, restarts=1)


def release(patients, scrub, seed=0, size=32, studies=2):
    """Spots of patients in several studies, and what ``scrub(originals)`` makes of them."""
    store = blobs(patients, studies, seed, size=size)
    originals = store.images.astype(np.float32) / 255
    return AuditImages(
        originals,
        scrub(originals),
        tuple(f"secret-{sample.patient}" for sample in store.samples),
        tuple(f"{sample.patient} {sample.study}" for sample in store.samples),
        ("DX",) * len(store),
    )


def copy(originals):
    return originals.copy()


def noise(originals):
    return np.random.default_rng(9).random(originals.shape, np.float32)


def mirrored(originals):
    return np.ascontiguousarray(originals[:, :, ::-1])


class Coarse(nn.Module):
    """A frozen critic that compares coarse pictures."""

    def embed(self, images):
        small = nn.functional.adaptive_avg_pool2d(images, 8).flatten(1)
        return small - small.mean(1, keepdim=True)


class Flattened(nn.Module):
    """A network that learns within seconds: two convolutions, flattened."""

    def __init__(self, size=32):
        super().__init__()
        self.layers = nn.Sequential(
            nn.AvgPool2d(2), nn.Flatten(), nn.Linear((size // 2) ** 2, 128), nn.ReLU(), nn.Linear(128, 32)
        )

    def embed(self, images):
        return self.layers(4 * (images - 0.3))


def contrast_trainer(originals, scrubbed, patients, studies, sources, seed):
    """`deid.audit.reid.TrainAttacker`: InfoNCE between the studies of a patient, one side scrubbed."""
    torch.manual_seed(seed)
    network = Flattened(originals.shape[1])
    optimizer = torch.optim.AdamW(network.parameters(), lr=2e-3, weight_decay=0.1)
    names = sorted(set(patients))
    images = [[i for i, p in enumerate(patients) if p == name] for name in names]
    sides = [torch.from_numpy(side)[:, None] for side in (originals, scrubbed)]
    random = np.random.default_rng(seed)
    for _ in range(250):
        pairs = np.array([random.choice(own, 2, replace=False) for own in images])
        one, other = (
            nn.functional.normalize(network.embed(_moved(side[pairs[:, k]], random)), dim=1)
            for k, side in enumerate(sides)
        )
        logits = one @ other.T / 0.1
        target = torch.arange(len(names))
        loss = nn.functional.cross_entropy(logits, target) + nn.functional.cross_entropy(logits.T, target)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return network.eval()


def _moved(images, random):
    rows, columns = (int(step) for step in random.integers(-2, 3, 2))
    return images.roll((rows, columns), (2, 3))
