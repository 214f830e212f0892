"""Images a second of `scrub` with the identity step beside those of its bare network, in one run.

    python tests/benchmarks/identity.py --images 8 --sides 1000 2000

Builds 16-bit DX phantoms, native and JPEG 2000 Lossless, and an untrained anonymizer of the default shapes
that finds everything familiar. The bare network scrubs images of the same size, one at a time, in one process
and one thread, from memory to memory. `scrub` reads, decodes, changes, encodes, verifies and writes them
(jobs 1), first without proof and review, then with both (small critics and a classifier). Rates are by
processor time, which a busy machine disturbs little; models are loaded within the time of `scrub`.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pydicom
import torch
from pydicom.uid import JPEG2000Lossless

sys.path.insert(0, str(Path(__file__).parents[1]))

from builders.anonymizers import chests, save_models
from builders.models import CHEST, record

from deid.core.draws import normal_values
from deid.core.model_card import AgeGroup, ModelKind
from deid.networks.anonymizer import Anonymizer
from deid.networks.folder import load_network, save_model
from deid.networks.scrubber import Scrubber
from deid.training.phantoms import make_cohort, write_dicom
from deid.workflows.scrub import scrub
from deid.workflows.scrub.options import ScrubOptions

LARGEST_PHANTOM = 1000


def save_anonymizer(folder: Path) -> None:
    """An untrained anonymizer called `bench`, which finds every image familiar."""
    torch.manual_seed(1)
    network = Anonymizer().eval()
    network.familiarity.fit(chests(1, 60), chests(2, 20))
    network.familiarity.limits.fill_(1e30)
    made_for = replace(CHEST, views=(), age=AgeGroup.ANY, size=(network.size, network.size))
    made = record(
        "bench",
        kind=ModelKind.ANONYMIZER,
        architecture="anonymizer",
        arguments={},
        findings=(),
        input=made_for,
    )
    save_model(folder / "bench", network, made, "# bench\n")


def build(folder: Path, images: int, side: int, compressed: bool) -> Path:
    """Radiographs of a side, each of a patient of his own."""
    cohort = make_cohort(images, 1, 3, "chest", min(side, LARGEST_PHANTOM), ("DX",))
    write_dicom(cohort, folder)
    (folder / "manifest.csv").unlink()
    grain = np.random.default_rng(1).normal(0, 100, (side, side))
    for path in folder.rglob("*.dcm"):
        dataset = pydicom.dcmread(path)
        small = dataset.pixel_array.astype(float) * (65535 / (2**dataset.BitsStored - 1))
        rows = np.arange(side) * len(small) // side
        stored = (small[rows][:, rows] + grain).clip(0, 65535).astype("<u2")
        dataset.Rows = dataset.Columns = side
        dataset.BitsStored, dataset.HighBit = 16, 15
        dataset.PixelData = stored.tobytes()
        if compressed:
            dataset.compress(JPEG2000Lossless, stored, generate_instance_uid=False)
        dataset.save_as(path)
    return folder


def network_rate(models: Path, images: int, side: int) -> float:
    """Images a second of the network alone."""
    network, _ = load_network(models / "bench")
    scrubber = Scrubber(network, torch.device("cpu"))
    unit = np.random.default_rng(2).random((1, side, side)).astype(np.float32)
    noise = normal_values(b"bench", "one", scrubber.noise)
    scrubber.scrub(unit, 1.0, noise)
    start = time.process_time()
    for _ in range(images):
        scrubber.scrub(unit, 1.0, noise)
    return images / (time.process_time() - start)


def scrub_rate(source: Path, work: Path, images: int, *, proof: bool) -> float:
    """Images a second of the whole command."""
    options = ScrubOptions(
        source, work / "out", state=work / "state", model="bench", proof=proof, review=float(proof)
    )
    start = time.process_time()
    summary = scrub(options, lambda *_: None)
    seconds = time.process_time() - start
    assert summary.changed.total() == images, summary
    return images / seconds


def main() -> None:
    """Build, run, print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--images", type=int, default=8, help="images of a set (default: %(default)s)")
    parser.add_argument("--sides", type=int, nargs="+", default=[1000, 2000], help="sides in pixels")
    args = parser.parse_args()
    torch.set_num_threads(1)
    print(f"{'':24} {'network/s':>10} {'scrub/s':>8} {'ratio':>6} {'+ proof, review':>16} {'ratio':>6}")
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        save_models(work / "models")
        save_anonymizer(work / "models")
        os.environ["MAMI_DEID_MODELS"] = str(work / "models")
        for side in args.sides:
            for compressed in (False, True):
                name = f"{side} {'J2K' if compressed else 'native'}"
                place = work / name.replace(" ", "-")
                source = build(place / "in", args.images, side, compressed)
                bare = network_rate(work / "models", args.images, side)
                plain = scrub_rate(source, place / "plain", args.images, proof=False)
                full = scrub_rate(source, place / "full", args.images, proof=True)
                line = f"{name:24} {bare:10.2f} {plain:8.2f} {plain / bare:6.2f} {full:16.2f}"
                print(f"{line} {full / bare:6.2f}", flush=True)


if __name__ == "__main__":
    main()
