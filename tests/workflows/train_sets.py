"""Data and a classifier on which every training can be tried within seconds."""

import csv

import numpy as np
import torch
from PIL import Image

from deid.core.model_card import AgeGroup, InputRange, Intensity, ModelKind, ModelRecord
from deid.networks.classifier import Classifier
from deid.networks.folder import save_model
from deid.pixels.network_range import IntensityRule

COLUMNS = ("path", "patient_id", "source", "modality", "study", "view", "labels", "licence")
PATIENTS = 60
SMALL_UNET = {
    "size": 32, "depth": 3, "batch": 12, "epochs": 1, "steps_per_epoch": 4, "critic_steps": 2, "templates": 4,
    "k": 3, "strengths": (0.5, 1.0), "attack_epochs": 1, "attack_steps": 4, "attack_versions": 1,
    "inverted": 8, "least": 2, "critics": ("compact", "compact"), "critic_patients": 8, "fresh_steps": 2,
    "device": "cpu",
}  # fmt: skip


def spots(folder, patients=PATIENTS):
    """A manifest of two sources: each patient has three soft spots of their own, every second a square."""
    random = np.random.default_rng(0)
    rows, (down, across) = [], np.mgrid[:32, :32] / 32
    for patient in range(patients):
        own = random.uniform(0.2, 0.8, (3, 2))
        for study in range(2):
            pixels = 60 + random.normal(0, 5, (32, 32))
            pixels += sum(120 * np.exp(-((down - r) ** 2 + (across - c) ** 2) / 0.02) for r, c in own)
            pixels[24:30, 24:30] += 60 * (patient % 2)
            name = f"{patient}-{study}.png"
            Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8)).save(folder / name)
            labels = "Effusion" if patient % 2 else "No Finding"
            source = "others" if 20 <= patient < 40 else "phantoms"
            rows.append((name, f"PAT-{patient}", source, "DX", str(study), "PA", labels, "CC0-1.0"))
    with (folder / "manifest.csv").open("w", newline="") as stream:
        csv.writer(stream).writerows([COLUMNS, *rows])
    return folder


def reader(folder):
    """A model folder with a classifier that has learned nothing."""
    torch.manual_seed(0)
    arguments = {"backbone": "lcnet_035", "findings": ["Effusion"], "size": 32}
    record = ModelRecord(
        name="reader", kind=ModelKind.CLASSIFIER, architecture="classifier", arguments=arguments,
        findings=("Effusion",), training=(), commands=(), metrics=(), licence="CC0-1.0", created_by="a test",
        input=InputRange(
            ("DX",), ("MONOCHROME2",), (), (), AgeGroup.ANY, (32, 32), "stretch",
            Intensity("network-range", IntensityRule().to_json()),
        ),
    )  # fmt: skip
    save_model(folder, Classifier(**arguments), record, "A reader.\n")
    return folder
