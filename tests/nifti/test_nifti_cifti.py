"""CIFTI-2: the structure stays readable for nibabel, names and metadata go, hostile XML is held."""

from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from nifti_builders import assert_no_canary, write

from deid.core.errors import Held
from deid.nifti.cifti import clean_cifti
from deid.nifti.context import Context
from deid.nifti.faces import face_risk
from deid.nifti.header import HEAD_BYTES
from deid.nifti.scrub import classify, scrub_file, verify_outputs
from deid.nifti.volume import read_header


def build(path: Path) -> nib.Cifti2Image:
    brain = nib.cifti2.BrainModelAxis.from_mask(
        np.ones((2, 2, 2), bool), affine=np.diag([2, 2, 2, 1]), name="CEREBELLUM"
    )
    labels = [{0: ("???", (1, 1, 1, 0)), 1: ("Erika Mustermann area V1", (1, 0, 0, 1))}]
    axis = nib.cifti2.LabelAxis(["Mustermann_Thickness"], labels)
    image = nib.Cifti2Image(np.arange(8, dtype=np.float32)[None], (axis, brain))
    image.header.matrix.metadata = nib.cifti2.Cifti2MetaData({"PatientName": "Mustermann^Erika"})
    image.nifti_header["descrip"] = b"Erika Mustermann"
    nib.save(image, path)
    return image


def test_structure_survives_without_identity(tmp_path: Path, context: Context) -> None:
    source = tmp_path / "sub-01_dseg.dlabel.nii"
    image = build(source)
    kind = classify(source, "sub-01/anat/" + source.name, source.read_bytes()[:HEAD_BYTES])
    outputs = scrub_file(kind, source, "sub-01/anat/" + source.name, context)
    out = write(tmp_path / "out" / outputs[0].relative, b"".join(outputs[0].chunks))
    verify_outputs(outputs, [out], context)
    assert out.name.endswith("_dseg.dlabel.nii")
    assert_no_canary(out.read_bytes())
    after = nib.load(out)
    assert np.array_equal(after.get_fdata(), image.get_fdata())
    assert after.header.get_axis(1) == image.header.get_axis(1)
    label = after.header.get_axis(0).label[0]
    assert label[1][0] == "area V1" and label[1][1] == (1.0, 0.0, 0.0, 1.0)
    assert after.header.get_axis(0).name[0]
    assert not after.header.matrix.metadata
    assert after.nifti_header.get_intent()[0] == image.nifti_header.get_intent()[0]
    assert face_risk("x", read_header(out)) is None


BOMB = b'<!DOCTYPE a [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">]><CIFTI Version="2">&b;</CIFTI>'


@pytest.mark.parametrize(
    ("xml", "reason"),
    [
        (BOMB, "document type"),
        (b"<CIFTI><Matrix>", "unreadable"),
        (b"not xml", "unreadable"),
        (b"", "unreadable"),
        (b"<Other/>", "unreadable"),
        (b"<CIFTI><Matrix><MatrixIndicesMap SeriesUnit='Erika'/></Matrix></CIFTI>", "attribute"),
        (b"<CIFTI><Matrix><Parcel><Vertices>Erika</Vertices></Parcel></Matrix></CIFTI>", "numbers"),
        (b"<CIFTI>" + b"<Matrix>" * 20 + b"</Matrix>" * 20 + b"</CIFTI>", "limits"),
        (b"<?xml version='1.0' encoding='utf-7'?><CIFTI/>", "unreadable"),
    ],
)
def test_hostile_structures_are_held(xml: bytes, reason: str) -> None:
    with pytest.raises(Held, match=reason):
        clean_cifti(xml, str)


def test_comments_unknown_elements_and_attributes_vanish() -> None:
    xml = (
        b"<CIFTI Version='2' Patient='Erika'><!-- Erika --><?pi Erika?>"
        b"<Erika><Matrix>Erika</Matrix></Erika>Erika<Matrix><MatrixIndicesMap><Parcel Name='Erika'>"
        b"<Vertices BrainStructure='CIFTI_STRUCTURE_CORTEX_LEFT'>1 2</Vertices>"
        b"</Parcel></MatrixIndicesMap></Matrix></CIFTI>"
    )
    once = clean_cifti(xml, lambda text: text.replace("Erika", ""))
    assert b"Erika" not in once and b'Name="name 1"' in once and b">1 2<" in once
    assert clean_cifti(once, lambda text: text.replace("Erika", "")) == once
