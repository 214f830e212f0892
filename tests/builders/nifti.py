"""NIfTI volumes and BIDS trees with canaries in every text field."""

from __future__ import annotations

import gzip
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from builders.canary import Canaries


@dataclass(frozen=True)
class BidsTree:
    """What `bids_tree` wrote.

    Attributes:
        root: The data set's folder.
        where: For each canary, the place that holds it.
        images: The NIfTI files.
    """

    root: Path
    where: dict[str, str]
    images: tuple[Path, ...]

    @property
    def canaries(self) -> frozenset[str]:
        """The words that must not survive."""
        return frozenset(self.where)


def nifti_bytes(
    canaries: Canaries | None = None,
    *,
    version: int = 1,
    compress: bool = True,
    shape: tuple[int, ...] = (5, 6, 7),
    dtype: str = "int16",
    gzip_name: str = "",
) -> bytes:
    """Return a NIfTI-1 or -2 single file, its text fields and a comment extension full of canaries if given.

    Args:
        canaries: Hands out the words; None leaves the fields empty.
        version: 1 or 2.
        compress: Whether to gzip.
        shape: Of the volume.
        dtype: NumPy name of the data type.
        gzip_name: The file name kept in the gzip header, as `gzip` does.
    """
    import nibabel as nib

    kind = nib.Nifti1Image if version == 1 else nib.Nifti2Image
    values = np.arange(int(np.prod(shape))).reshape(shape).astype(dtype)
    affine = np.array([[-2, 0.1, 0, 90], [0.1, 2, 0, -126], [0, 0, 2.5, -72], [0, 0, 0, 1]])
    image = kind(values, affine)  # type: ignore[no-untyped-call]
    if canaries is not None:
        for name in ("descrip", "aux_file", "intent_name"):
            image.header[name] = canaries.word(f"nifti {name}").encode()
        if version == 1:
            image.header["db_name"] = canaries.word("nifti db_name").encode()
        extension = nib.nifti1.Nifti1Extension("comment", canaries.word("nifti extension").encode())
        image.header.extensions.append(extension)
    data: bytes = image.to_bytes()
    if not compress:
        return data
    packed = gzip.compress(data, mtime=1_579_000_000)
    if not gzip_name:
        return packed
    # FLG bit 3 says that a file name follows the ten bytes of the fixed header (RFC 1952)
    return (
        packed[:3] + bytes([packed[3] | 8]) + packed[4:10] + gzip_name.encode("latin-1") + b"\0" + packed[10:]
    )


def _sidecar(canaries: Canaries, name: str) -> dict[str, Any]:
    return {
        "Modality": "MR",
        "MagneticFieldStrength": 3,
        "RepetitionTime": 2.0,
        "SliceTiming": [0.0, 1.0],
        "EchoTime": 0.03,
        "Manufacturer": "Acme",
        "ManufacturersModelName": "Scanner 3000",
        "InstitutionName": canaries.word(f"{name} InstitutionName"),
        "InstitutionAddress": canaries.word(f"{name} InstitutionAddress"),
        "StationName": canaries.word(f"{name} StationName"),
        "DeviceSerialNumber": canaries.word(f"{name} DeviceSerialNumber"),
        "PatientName": canaries.word(f"{name} PatientName"),
        "PatientID": canaries.word(f"{name} PatientID"),
        "AcquisitionTime": "10:17:00.500000",
        "AcquisitionDateTime": "2020-01-15T10:17:00.500000",
        "PatientBirthDate": "1957-02-03",
        "SeriesInstanceUID": "1.2.3.4.5.6.7",
        "Notes": {"Operator": canaries.word(f"{name} nested"), "List": [canaries.word(f"{name} list")]},
    }


def bids_tree(root: Path, subjects: tuple[str, ...] = ("anna", "12"), seed: int = 0) -> BidsTree:
    """Write a BIDS data set: two sessions a subject; T1w, bold and events, dwi with bval and bvec, TSVs.

    The subject labels are not canaries (they are short); the session labels are dates.
    """
    canaries = Canaries(seed=seed)
    images = []
    _write(
        root / "dataset_description.json",
        {"Name": "Study", "BIDSVersion": "1.9.0", "Authors": ["E. Testleser"]},
    )
    rows = [f"sub-{s}\t{30 + 62 * i}\tF\t{canaries.word('participants.tsv')}" for i, s in enumerate(subjects)]
    _text(root / "participants.tsv", "\n".join(["participant_id\tage\tsex\tname", *rows]) + "\n")
    for subject in subjects:
        sessions = []
        for session in ("20200115", "20200301"):
            folder, stem = root / f"sub-{subject}" / f"ses-{session}", f"sub-{subject}_ses-{session}"
            images += _session(folder, stem, canaries)
            sessions.append(f"ses-{session}\t{session[:4]}-{session[4:6]}-{session[6:]}T10:15:00")
            scan = f"anat/{stem}_T1w.nii.gz\t2020-01-15T10:17:00\t{canaries.word('scans.tsv')}"
            _text(folder / f"{stem}_scans.tsv", f"filename\tacq_time\toperator\n{scan}\n")
        table = "\n".join(["session_id\tacq_time", *sessions]) + "\n"
        _text(root / f"sub-{subject}" / f"sub-{subject}_sessions.tsv", table)
    return BidsTree(root, canaries.where, tuple(images))


def _session(folder: Path, stem: str, canaries: Canaries) -> list[Path]:
    paths = []
    for kind, suffix, shape in (
        ("anat", "T1w", (5, 6, 7)),
        ("func", "task-rest_bold", (4, 4, 3, 2)),
        ("dwi", "dwi", (4, 4, 3, 2)),
    ):
        path = folder / kind / f"{stem}_{suffix}.nii.gz"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(nifti_bytes(canaries, shape=shape, gzip_name=canaries.word("gzip name") + ".nii"))
        _write(path.with_name(f"{stem}_{suffix}.json"), _sidecar(canaries, suffix))
        paths.append(path)
    events = f"onset\tduration\ttrial_type\n0.0\t1.0\t{canaries.word('events.tsv')}\n"
    _text(folder / "func" / f"{stem}_task-rest_events.tsv", events)
    _text(folder / "dwi" / f"{stem}_dwi.bval", "0 1000\n")
    _text(folder / "dwi" / f"{stem}_dwi.bvec", "0 1\n0 0\n0 0\n")
    return paths


def _write(path: Path, value: object) -> None:
    _text(path, json.dumps(value, indent=2) + "\n")


def _text(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
