"""Entries of the review store, made up."""

import hashlib
from dataclasses import replace

import numpy as np

from deid.core.review_store import PICTURES, ReviewEntry
from deid.core.unrelated import Template, Templates

PLAIN = ReviewEntry(
    ref=bytes(16),
    output="PAABC/2.25.1/2.25.2/2.25.3.dcm",
    modality="CR",
    view="PA",
    model="chest-anonymizer",
    strength=1.0,
    critics={"frozen": 0.31, "fresh": 0.42},
    held_out=("fresh",),
    findings={"Effusion": (0.7, 0.65), "Edema": (0.2, 0.21)},
    psnr=31.5,
    ssim=0.93,
    held="",
)


def review_ref(number):
    return hashlib.sha256(b"%d" % number).digest()[:16]


def review_entry(number=0, **fields):
    return replace(PLAIN, **({"ref": review_ref(number)} | fields))


def review_pictures(seed=0, shape=(20, 30)):
    random = np.random.default_rng(seed)
    return {name: random.integers(0, 256, shape, dtype=np.uint8) for name in PICTURES}


def review_templates(number, patient=None, weights="w" * 64):
    """Of a patient per number: for `fresh` all people are alike, `frozen` tells them apart."""
    random = np.random.default_rng(number)
    alike = np.ones(64, np.float32) + random.normal(0, 0.1, 64).astype(np.float32)
    apart = random.normal(0, 1, 64).astype(np.float32)
    critics = {"fresh": Template(weights, alike, alike), "frozen": Template(weights, apart, apart)}
    return Templates(f"P{number}" if patient is None else patient, critics)
