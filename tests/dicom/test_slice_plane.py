"""Which slices the index takes for one stack, and where it places them."""

import pytest
from builders.files import to_bytes
from dicom_files import ct

from deid.dicom.index import DicomRecord, index_part10
from deid.dicom.part10 import parse_part10


def indexed(syntax="explicit", **values):
    dataset = ct()
    dataset.FrameOfReferenceUID, dataset.InstanceNumber = "1.2.3", 7
    dataset.ImageOrientationPatient, dataset.ImagePositionPatient = [1, 0, 0, 0, 1, 0], [10, 20, -30.5]
    for name, value in values.items():
        if value is None:
            delattr(dataset, name)
        else:
            setattr(dataset, name, value)
    return index_part10(parse_part10(to_bytes(dataset, syntax)))


def test_a_slice_has_a_stack_a_place_and_a_number():
    record = indexed()
    assert record.stack and record.place == -30.5 and record.number == 7
    assert DicomRecord.from_bytes(record.to_bytes()) == record


@pytest.mark.parametrize("syntax", ["implicit", "big_endian"])
def test_the_encoding_does_not_matter(syntax):
    one, other = indexed(syntax), indexed()
    assert (one.stack, one.place, one.number) == (other.stack, other.place, other.number)


@pytest.mark.parametrize(
    ("values", "alike"),
    [
        ({"ImagePositionPatient": [1, 2, 3], "InstanceNumber": 9}, True),
        ({"ImageOrientationPatient": [1, -0.0, 0.0001, 0, 0.9999, -0.0]}, True),
        ({"ImageOrientationPatient": [0, 1, 0, 0, 0, -1]}, False),
        ({"FrameOfReferenceUID": "1.2.4"}, False),
        ({"ImageType": ["ORIGINAL", "PRIMARY", "LOCALIZER"]}, False),
        ({"Rows": 2, "Columns": 8}, False),
        ({"PixelRepresentation": 1}, False),
        ({"PhotometricInterpretation": "MONOCHROME1"}, False),
    ],
)
def test_slices_of_one_kind_that_are_parallel_make_a_stack(values, alike):
    assert (indexed(**values).stack == indexed().stack) is alike


@pytest.mark.parametrize(
    "values",
    [
        {"SOPClassUID": "1.2.840.10008.5.1.4.1.1.7"},
        {"NumberOfFrames": 2},
        {"PixelData": None},
        {"Modality": "DX", "SOPClassUID": "1.2.840.10008.5.1.4.1.1.1.1"},
    ],
    ids=["secondary capture", "frames", "no pixels", "projection"],
)
def test_what_is_no_single_slice_has_none(values):
    record = indexed(**values)
    assert (record.stack, record.place, record.number) == ("", None, 0)


@pytest.mark.parametrize(
    ("values", "place"),
    [
        ({"ImagePositionPatient": None}, None),
        ({"ImageOrientationPatient": None}, None),
        ({"ImageOrientationPatient": [0, 0, 0, 0, 0, 0]}, None),
        ({"ImageOrientationPatient": [1, 0, 0, 1, 0, 0]}, None),
        ({"ImagePositionPatient": [1, 2]}, None),
        ({"ImageOrientationPatient": [2, 0, 0, 0, 3, 0]}, -30.5),
    ],
)
def test_a_place_that_the_header_does_not_say_is_none(values, place):
    record = indexed(**values)
    assert record.stack and record.place == place
