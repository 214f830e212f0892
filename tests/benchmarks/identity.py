"""Images a second of `scrub` with the identity step beside those of its bare network, in one run.

    python tests/benchmarks/identity.py --images 16 --sides 1000 2000

Builds 16-bit DX phantoms, native, RLE, JPEG-LS and JPEG 2000 Lossless, and an untrained anonymizer of the
default shapes that finds everything familiar. The bare network scrubs images of the same size, one at a time,
in one process and one thread, from memory to memory. `scrub` reads, decodes, changes, encodes, verifies and
writes them. All rates leave out the start (imports, loading of models): what a run of two images takes is
taken off that of all. Printed are:

* by processor time, jobs 1: what the network takes of the work, which a busy machine disturbs little. No
  overlap can change it, since `--jobs` processes already use all cores;
* by wall time, jobs 2: against one bare network (what feeds one device), and against one for each job. It
  means nothing while other programs use the cores;
* by processor time with proof and review (small critics and a classifier), native images only.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pydicom
import torch
from pydicom.uid import JPEG2000Lossless, JPEGLSLossless, RLELossless

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
FEW = 2
SYNTAXES = {"native": "", "RLE": RLELossless, "JPEG-LS": JPEGLSLossless, "J2K": JPEG2000Lossless}


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


def build(folder: Path, images: int, side: int, syntax: str) -> Path:
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
        if syntax:
            dataset.compress(syntax, stored, generate_instance_uid=False)
        dataset.save_as(path)
    return folder


def bare_network(models: Path, images: int, side: int) -> tuple[float, float]:
    """Seconds of processor and wall that the network alone takes."""
    torch.set_num_threads(1)
    network, _ = load_network(models / "bench")
    scrubber = Scrubber(network, torch.device("cpu"))
    unit = np.random.default_rng(2).random((1, side, side)).astype(np.float32)
    noise = normal_values(b"bench", "one", scrubber.noise)
    scrubber.scrub(unit, 1.0, noise)
    used, start = time.process_time(), time.perf_counter()
    for _ in range(images):
        scrubber.scrub(unit, 1.0, noise)
    return time.process_time() - used, time.perf_counter() - start


def networks_rate(models: Path, images: int, side: int, count: int) -> float:
    """Images a second of wall of several bare networks at once, each in a process."""
    with multiprocessing.get_context("spawn").Pool(count) as pool:
        found = pool.starmap(bare_network, [(models, images, side)] * count, chunksize=1)
    return sum(images / wall for _, wall in found)


def scrub_seconds(source: Path, work: Path, images: int, *, jobs: int = 1, proof: bool = False) -> float:
    """Seconds of the whole command: of processor for one job, else of wall."""
    options = ScrubOptions(
        *(source, work / "out"),
        **{"state": work / "state", "model": "bench", "proof": proof, "review": float(proof), "jobs": jobs},
    )
    clock = time.process_time if jobs == 1 else time.perf_counter
    start = clock()
    summary = scrub(options, lambda *_: None)
    seconds = clock() - start
    assert summary.changed.total() == images, summary
    return seconds


def scrub_rate(source: Path, work: Path, images: int, *, jobs: int = 1, proof: bool = False) -> float:
    """Images a second without the start."""
    few = work / "few"
    for path in sorted(source.rglob("*.dcm"))[:FEW]:
        target = few / path.relative_to(source)
        target.parent.mkdir(parents=True)
        target.hardlink_to(path)
    scrub_seconds(few, work / "warm", FEW, jobs=jobs, proof=proof)  # imports
    start = scrub_seconds(few, work / "start", FEW, jobs=jobs, proof=proof)
    return (images - FEW) / (scrub_seconds(source, work / "all", images, jobs=jobs, proof=proof) - start)


def measure(models: Path, place: Path, images: int, side: int, name: str) -> str:
    """One line of the table."""
    source = build(place / "in", images, side, SYNTAXES[name])
    used, wall = bare_network(models, images, side)
    bare, one, both = images / used, images / wall, networks_rate(models, images, side, 2)
    plain = scrub_rate(source, place / "plain", images)
    jobs = scrub_rate(source, place / "jobs", images, jobs=2)
    line = f"{side:5} {name:8} {bare:9.2f} {plain:9.2f} {plain / bare:6.2f}"
    line += f" {one:10.2f} {both:6.2f} {jobs:8.2f} {jobs / one:10.2f} {jobs / both:6.2f}"
    if name != "native":
        return line
    full = scrub_rate(source, place / "full", images, proof=True)
    return f"{line} {full:14.2f} {full / bare:6.2f}"


def main() -> None:
    """Build, run, print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--images", type=int, default=16, help="images of a set (default: %(default)s)")
    parser.add_argument("--sides", type=int, nargs="+", default=[1000, 2000], help="sides in pixels")
    parser.add_argument("--syntaxes", nargs="+", choices=SYNTAXES, default=list(SYNTAXES))
    args = parser.parse_args()
    if args.images <= FEW:
        parser.error(f"--images must be above {FEW}")
    torch.set_num_threads(1)
    print(f"{'':14} {'processor, jobs 1':^26} {'wall, jobs 2':^44} {'proof, review':>21}")
    print(
        f"{'':14} {'network/s':>9} {'scrub/s':>9} {'ratio':>6} {'1 network':>10} {'2':>6} {'scrub/s':>8} "
        f"{'of 1 netw.':>10} {'of 2':>6} {'scrub/s':>14} {'ratio':>6}"
    )
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        save_models(work / "models")
        save_anonymizer(work / "models")
        os.environ["MAMI_DEID_MODELS"] = str(work / "models")
        for side in args.sides:
            for name in args.syntaxes:
                print(measure(work / "models", work / f"{side}-{name}", args.images, side, name), flush=True)


if __name__ == "__main__":
    main()
