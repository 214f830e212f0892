"""From a header to the facts that a model's coverage depends on, and whether they are covered."""

import dataclasses

import pytest
from builders.models import CHEST
from pydicom.dataset import Dataset

from deid.core.coverage import ImageFacts, uncovered
from deid.core.model_card import AgeGroup
from deid.dicom.image_facts import facts_of

FRONTAL = dataclasses.replace(CHEST, views=("AP", "FRONTAL"), age=AgeGroup.ANY)
FACTS = ImageFacts("DX", "MONOCHROME2", "PA", "CHEST", 40.0)


def header(**values):
    dataset = Dataset()
    dataset.Modality, dataset.PhotometricInterpretation = "DX", "MONOCHROME2"
    for name, value in values.items():
        setattr(dataset, name, value)
    return dataset


def coded(value):
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = value, "SCT", "a view"
    return [item]


@pytest.mark.parametrize(
    ("values", "field", "wanted"),
    [
        ({"ViewPosition": "pa "}, "view", "PA"),
        ({"ViewCodeSequence": coded("399348003")}, "view", "AP"),
        ({"ViewCodeSequence": coded("272479007")}, "view", "PA"),
        ({"ViewCodeSequence": coded("399173006")}, "view", "OTHER"),
        ({}, "view", ""),
        ({"BodyPartExamined": "CHEST"}, "body_part", "CHEST"),
        ({"AnatomicRegionSequence": coded("51185008")}, "body_part", "CHEST"),
        ({"AnatomicRegionSequence": coded("72696002")}, "body_part", "OTHER"),
        ({"PatientAge": "018M"}, "age", 1.5),
        ({"PatientAge": "X", "PatientBirthDate": "20000101", "StudyDate": "20200101"}, "age", 20.0),
        ({"PatientBirthDate": "", "StudyDate": "20200101"}, "age", None),
        ({"PresentationIntentType": "FOR PROCESSING"}, "for_processing", True),
    ],
)
def test_facts(values, field, wanted):
    found = getattr(facts_of(header(**values)), field)
    assert found == pytest.approx(wanted, abs=0.01) if isinstance(wanted, float) else found == wanted


@pytest.mark.parametrize(
    "changes",
    [{}, {"view": "AP"}, {"view": "FRONTAL"}, {"view": ""}, {"body_part": ""}, {"body_part": "THORAX"},
     {"age": None}, {"age": 3.0}, {"photometric": "MONOCHROME1"}, {"modality": "CR"}],
)  # fmt: skip
def test_covered(changes):
    assert uncovered(dataclasses.replace(FACTS, **changes), FRONTAL) == ""


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"modality": "MG"}, "no model for this modality"),
        ({"photometric": "RGB"}, "no model for this photometric interpretation"),
        ({"view": "LL"}, "no model for this view"),
        ({"view": "OTHER"}, "no model for this view"),
        ({"body_part": "ABDOMEN"}, "no model for this body part"),
        ({"body_part": "CHEST ABDOMEN"}, "no model for this body part"),
        ({"for_processing": True}, "image for processing, not for presentation"),
    ],
)
def test_not_covered(changes, reason):
    assert uncovered(dataclasses.replace(FACTS, **changes), FRONTAL) == reason


@pytest.mark.parametrize(
    ("group", "age", "reason"),
    [
        (AgeGroup.ADULT, 30.0, ""),
        (AgeGroup.ADULT, 17.0, "no model for this age"),
        (AgeGroup.CHILD, 30.0, "no model for this age"),
        (AgeGroup.CHILD, 2.0, ""),
        (AgeGroup.ADULT, None, "the patient's age is not stated"),
    ],
)
def test_age_groups(group, age, reason):
    facts = dataclasses.replace(FACTS, age=age)
    assert uncovered(facts, dataclasses.replace(FRONTAL, age=group)) == reason
