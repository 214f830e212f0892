"""Make phantom patients to try the commands on: chests or heads, several studies each, with made-up names.

Run it after ``pip install .``::

    python examples/make_phantoms.py OUT --kind chest --patients 40 --studies 3 --format dicom --seed 1

The folder (it must be empty or not exist yet) gets the files and ``manifest.csv``. Nobody in it exists.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from deid.core.errors import UsageError
from deid.training.phantoms import MODALITIES, make_cohort, write_dicom, write_nifti, write_png

WRITERS = {"dicom": write_dicom, "nifti": write_nifti, "png": write_png}
SIZES = {"chest": 256, "head": 64}


def main() -> int:
    """Draw, render, write."""
    options = parser().parse_args()
    size = options.size or SIZES[options.kind]
    modalities = tuple(options.modality) if options.modality else None
    try:
        cohort = make_cohort(
            options.patients, options.studies, options.seed, options.kind, size, modalities=modalities
        )
        WRITERS[options.format](cohort, options.out)
    except UsageError as error:
        print(error, file=sys.stderr)
        return 2
    healthy = sum(not findings for findings in cohort.findings)
    print(f"{len(cohort)} studies of {options.patients} patients, {healthy} without findings.")
    print(f"They are listed in {options.out / 'manifest.csv'}")
    return 0


def parser() -> argparse.ArgumentParser:
    """The command line."""
    made = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    made.add_argument("out", type=Path, help="empty or new folder")
    made.add_argument("--kind", choices=MODALITIES, default="chest", help="radiographs or head volumes")
    made.add_argument("--patients", type=int, default=40)
    made.add_argument("--studies", type=int, default=3, help="of each patient")
    made.add_argument("--format", choices=WRITERS, default="dicom")
    made.add_argument("--seed", type=int, default=1, help="the same seed gives the same files")
    made.add_argument("--size", type=int, help="side in pixels (256 for chests, 64 for heads)")
    made.add_argument("--modality", action="append", help="CR or DX, MR or CT; may be given twice")
    return made


if __name__ == "__main__":
    sys.exit(main())
