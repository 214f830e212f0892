"""Wraps the test patients of a manifest of radiographs as DX files, for a scrub and an audit.

    python tests/benchmarks/radiographs.py manifest.csv OUT [--sources kermany,nih_cxr14]

The test patients are those of train-unet with the same sources. Writes OUT/in, a folder a patient, and
OUT/labels.csv for the audit; names, dates and ids are made up.
"""

import argparse
import csv
import hashlib
import random
from datetime import date, timedelta
from pathlib import Path

import numpy as np
from PIL import Image
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import DigitalXRayImageStorageForPresentation, ExplicitVRLittleEndian

from deid.training.dataset import load_dataset, read_samples
from deid.training.options import ModelOptions

SIDE = 112
FAMILY = ("Adler", "Brandt", "Castell", "Dorn", "Engel", "Falk", "Gerlach", "Hartwig", "Imhof", "Jansen")
GIVEN = ("Alma", "Bruno", "Clara", "David", "Elsa", "Franz", "Greta", "Hugo", "Ida", "Jonas")


def test_samples(manifest, sources, cache):
    """The samples of the test patients, near-duplicates of training patients left out as in training."""
    options = ModelOptions(name="radiographs", size=SIDE, sources=sources, cache=cache)
    return load_dataset(read_samples(manifest, options), options).test.samples


def uid(*parts):
    digest = hashlib.sha256("|".join(parts).encode()).digest()
    return f"2.25.{int.from_bytes(digest[:16], 'big')}"


def person(patient):
    """Name and record number of a made-up person, the same for the same patient."""
    rng = random.Random(patient)
    return f"{rng.choice(FAMILY)}{rng.randrange(1000)}^{rng.choice(GIVEN)}", f"{rng.randrange(10**8):08}"


def wrapped(sample, number):
    """One radiograph as a DX object for presentation (PS3.3 A.26)."""
    name, record = person(sample.patient)
    study = sample.study or str(number)
    ds = Dataset()
    ds.file_meta = FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    ds.SOPClassUID = DigitalXRayImageStorageForPresentation
    ds.SOPInstanceUID = uid(sample.patient, study, str(number))
    ds.StudyInstanceUID, ds.SeriesInstanceUID = (
        uid(sample.patient, study),
        uid(sample.patient, study, "series"),
    )
    day = date(2015, 1, 1) + timedelta(days=random.Random(f"{sample.patient}|{study}").randrange(1500))
    ds.StudyDate = ds.AcquisitionDate = day.strftime("%Y%m%d")
    ds.StudyTime = "101500"
    child = "paediatric" in sample.view
    ds.PatientName, ds.PatientID, ds.PatientSex = name, record, "O"
    ds.PatientAge, ds.PatientBirthDate = ("004Y", "20110304") if child else ("056Y", "19590304")
    ds.Modality, ds.BodyPartExamined, ds.ViewPosition = "DX", "CHEST", "AP"
    ds.PresentationIntentType, ds.BurnedInAnnotation = "FOR PRESENTATION", "NO"
    ds.ImageType = ["ORIGINAL", "PRIMARY", ""]
    ds.SeriesNumber, ds.InstanceNumber = 1, number
    with Image.open(sample.path) as picture:
        pixels = np.asarray(picture.convert("L"))
    ds.Rows, ds.Columns = pixels.shape
    ds.SamplesPerPixel, ds.PhotometricInterpretation, ds.PixelRepresentation = 1, "MONOCHROME2", 0
    ds.BitsAllocated, ds.BitsStored, ds.HighBit = 8, 8, 7
    ds.RescaleIntercept, ds.RescaleSlope, ds.PresentationLUTShape = 0, 1, "IDENTITY"
    data = pixels.tobytes()
    ds.PixelData = data + b"\0" * (len(data) % 2)
    return ds


def write(samples, out):
    with (out / "labels.csv").open("w", newline="") as stream:
        labels = csv.writer(stream)
        labels.writerow(("uid", "labels"))
        for number, sample in enumerate(samples, 1):
            ds = wrapped(sample, number)
            path = out / "in" / ds.PatientID / f"{number:05}.dcm"
            path.parent.mkdir(parents=True, exist_ok=True)
            ds.save_as(path, enforce_file_format=True)
            if sample.findings is not None:
                labels.writerow((ds.SOPInstanceUID, ";".join(sample.findings) or "Normal"))


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("manifest", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--sources", default="kermany,nih_cxr14", help="between commas")
    parser.add_argument("--cache", type=Path, help="private folder for finished images, as of train-unet")
    given = parser.parse_args()
    given.out.mkdir(parents=True)
    write(test_samples(given.manifest, tuple(given.sources.split(",")), given.cache), given.out)


if __name__ == "__main__":
    main()
