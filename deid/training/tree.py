"""Samples straight from a DICOM or BIDS tree, by what the headers and names say."""

from __future__ import annotations

import csv
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from deid.core.errors import Held, Skipped, UsageError
from deid.core.files import InputFile, SkippedInput, discover
from deid.core.noise import NoiseCounter
from deid.nifti.bids import identity_of as bids_identity
from deid.nifti.bids import parse_name, subject_label
from deid.nifti.facts import PICTURES
from deid.nifti.labels import split_extension
from deid.training.samples import Findings, Sample, SampleTable, parse_labels
from deid.training.series import SeriesFile, joined, read_image_header, series_file

NO_PATIENT = "no patient is named"
NO_PICTURE = "no picture of a patient"

_BIDS_EXTENSIONS = frozenset({".nii", ".nii.gz"})


@dataclass(frozen=True)
class Labels:
    """Labels from a CSV file beside a tree.

    Attributes:
        by_path: Findings of a file, by its path below the folder.
        by_patient: Findings of all images of a patient.
    """

    by_path: Mapping[str, Findings] = field(default_factory=dict)
    by_patient: Mapping[str, Findings] = field(default_factory=dict)

    def of(self, paths: Iterable[str], patient: str) -> Findings:
        """Findings of an object: those of the first of its files that has a line, else its patient's."""
        for path in paths:
            if path in self.by_path:
                return self.by_path[path]
        return self.by_patient.get(patient)


def read_tree(folder: Path, labels: Path | None = None) -> SampleTable:
    """Find every image of a tree.

    DICOM: the patient is Patient ID with its issuer; the source stands for the device's manufacturer and
    model, so that no pair tells two devices apart, and is called ``device 1``, ``device 2`` ... in the order
    of their names; view and body part are words of the standard, or ``OTHER``: a card tells these three.
    Images to be compared have laterality, or for volumes Series Description and plane, in common, too.
    Parallel slices of one CT, MR or PET series are one volume. BIDS: the patient is the ``sub-`` label, the
    study the session, the view the suffix. Files that name no patient are left out and counted: two of them
    may be one person.

    Args:
        folder: The tree.
        labels: A CSV file with the columns ``path`` (below the folder) or ``patient_id``, and ``labels``.

    Raises:
        UsageError: No folder, no image of a named patient, or labels that cannot be read.
    """
    if not folder.is_dir():
        raise UsageError(f"the folder of images does not exist or is none: {folder}; check the name.")
    NoiseCounter.installed()  # what the libraries say holds values of the files
    known = read_labels(labels) if labels is not None else Labels()
    left_out: Counter[str] = Counter()
    volumes: defaultdict[tuple[object, ...], list[SeriesFile]] = defaultdict(list)
    for number, found in enumerate(_files(folder, left_out)):
        volumes[found.volume or (number,)].append(found)
    devices = _neutral({file.device for files in volumes.values() for file in files})
    samples = [_labelled(files, known, devices) for files in volumes.values()]
    if not samples:
        reasons = ", ".join(f"{count} {reason}" for reason, count in sorted(left_out.items()))
        raise UsageError(
            f"the folder holds no DICOM or BIDS image of a named patient ({reasons or 'it is empty'}). Give "
            "a manifest CSV with the columns path and patient_id instead: NIfTI files without BIDS names "
            "(sub-LABEL_..._T1w.nii.gz) do not say whom they show."
        )
    if labels is not None and all(sample.findings is None for sample in samples):
        raise UsageError(
            "no line of the labels speaks of an image in the folder: path is relative to the folder, with "
            "'/'; patient_id is the Patient ID or the label after 'sub-'."
        )
    ordered = sorted(samples, key=lambda sample: str(sample.path))
    return SampleTable(tuple(ordered), dict(sorted(left_out.items())))


def read_labels(path: Path) -> Labels:
    """Read the labels of a tree; their meaning is that of a manifest's.

    Raises:
        UsageError: The file cannot be read, lacks columns, or a line names a finding beside ``Normal``.
    """
    by_path: dict[str, Findings] = {}
    by_patient: dict[str, Findings] = {}
    try:
        with path.open(encoding="utf-8-sig", newline="") as stream:
            reader = csv.DictReader(stream, strict=True)
            names = reader.fieldnames or ()
            if "labels" not in names or not {"path", "patient_id"} & set(names):
                raise UsageError("the labels need the column labels, and path or patient_id or both.")
            for row in reader:
                image, patient = (row.get("path") or "").strip(), (row.get("patient_id") or "").strip()
                findings = _findings(row.get("labels") or "", reader.line_num)
                if image:
                    by_path[image] = findings
                elif patient:
                    by_patient[patient] = findings
    except OSError:
        raise UsageError(f"the labels cannot be read: {path}; check the name.") from None
    except (UnicodeDecodeError, csv.Error):
        raise UsageError("the labels are no CSV file in UTF-8.") from None
    return Labels(by_path, by_patient)


def _findings(text: str, line: int) -> Findings:
    try:
        return parse_labels(text)
    except ValueError:
        raise UsageError(
            f"line {line} of the labels names a finding beside Normal or No Finding; keep one of the two."
        ) from None


def _files(folder: Path, left_out: Counter[str]) -> Iterator[SeriesFile]:
    for found in discover(folder):
        if isinstance(found, SkippedInput):
            left_out[found.reason] += 1
            continue
        try:
            is_nifti = split_extension(found.path.name)[1].lower() in _BIDS_EXTENSIONS
            yield _bids_file(found) if is_nifti else _dicom_file(found)
        except (Held, Skipped) as verdict:
            left_out[verdict.reason] += 1
        except OSError:
            left_out["unreadable file"] += 1


def _bids_file(found: InputFile) -> SeriesFile:
    label = subject_label(found.relative)
    if label is None:
        raise Skipped(NO_PATIENT)
    entities = parse_name(split_extension(found.path.name)[0], label)
    if entities is None or entities[-1][1] not in PICTURES:
        raise Skipped(NO_PICTURE)
    suffix = entities[-1][1]
    sample = Sample(
        path=found.path,
        patient=bids_identity(found.relative, {}),
        modality=PICTURES[suffix],
        study=dict(entities).get("ses", "only session"),
        view=suffix,
    )
    return SeriesFile(sample, found.relative, label)


def _dicom_file(found: InputFile) -> SeriesFile:
    from deid.dicom.identity import identity_of
    from deid.dicom.image_header import value_of

    header = read_image_header(found.path)
    patient_id, issuer = (str(value_of(header, name) or "") for name in ("PatientID", "IssuerOfPatientID"))
    patient = identity_of(patient_id, issuer)
    if patient is None:
        raise Skipped(NO_PATIENT)
    return series_file(found, header, patient, patient_id.strip(" \0"))


def _neutral(devices: Iterable[str]) -> dict[str, str]:
    """A name for each device that says nothing of it; none for what is not named."""
    named = sorted(filter(None, devices))
    return {"": ""} | {device: f"device {number}" for number, device in enumerate(named, 1)}


def _labelled(files: list[SeriesFile], labels: Labels, devices: Mapping[str, str]) -> Sample:
    """One sample of all files of a volume."""
    sample, first = joined(files), files[0]
    findings = labels.of((file.relative for file in files), first.label_key)
    return replace(sample, source=devices[first.device], findings=findings)
