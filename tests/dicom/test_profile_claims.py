"""What may be claimed, what a recipe weakens, and the texts made from a profile."""

import pytest

from deid.dicom.profile import (
    Action,
    Option,
    Profile,
    conformance_statement,
    editions,
    preset_profile,
    profile_rows,
    table_rows,
)
from deid.dicom.recipe import parse_recipe

CT, US = "1.2.840.10008.5.1.4.1.1.2", "1.2.840.10008.5.1.4.1.1.6.1"
RESEARCH_CODES = {"113100", "113103", "113104", "113105", "113107", "113108", "113111"}


def claims(text, sop_class=CT, modality="CT"):
    return parse_recipe(text).profile().claims(sop_class, modality)


def codes(found):
    return {code for code, _ in found.codes}


def override(attribute, action, **limits):
    import yaml

    return yaml.safe_dump({"overrides": [{"attribute": attribute, "action": action, **limits}]})


def test_presets_claim_their_options():
    assert codes(preset_profile("basic").claims()) == {"113100"}
    assert codes(preset_profile().claims(CT, "CT")) == RESEARCH_CODES
    assert preset_profile().claims().identity_removed
    # nothing private stays without a list, so nothing of the kind is claimed
    assert codes(preset_profile("research", []).claims()) == RESEARCH_CODES - {"113111"}


@pytest.mark.parametrize(
    ("attribute", "action"),
    [
        ("InstitutionName", "keep"),
        ("InstitutionName", "clean"),
        ("OperatorsName", "keep-verbatim"),
        ("FrameOfReferenceUID", "keep"),
        ("StudyDate", "keep"),
        ("StudyDescription", "keep-verbatim"),
        ("PatientBirthDate", "keep"),
        ("(0008,008x)", "keep"),
        ("PhysiciansOfRecord", "keep"),
        ("ConvolutionKernel", "keep-verbatim"),
        ("RequestAttributesSequence > RequestedProcedureID", "keep"),
        ('(0029,"ACME 1",10)', "keep"),
    ],
)
def test_weaker_exceptions_cost_the_basic_profile(attribute, action):
    found = claims(override(attribute, action))
    assert found.weakened == (attribute,)
    assert not found.identity_removed
    assert "113100" not in codes(found)


@pytest.mark.parametrize(
    ("attribute", "action"),
    [
        ("StudyDescription", "keep"),  # cleaned, as the option says
        ("StudyDescription", "remove"),
        ("SeriesDescription", "empty"),
        ("Modality", "keep"),
        ("AccessionNumber", "remove"),
        ("ReferencedImageSequence", "uid"),  # a letter of the row itself
        ("(0040,xxxx)", "remove"),
        ('(0019,"SIEMENS MR HEADER",0c)', "remove"),
        ('(0019,"SIEMENS MR HEADER",0c)', "keep"),  # on the list anyway
    ],
)
def test_stricter_or_equal_exceptions_cost_nothing(attribute, action):
    found = claims(override(attribute, action))
    assert found.weakened == ()
    assert "113100" in codes(found)


def test_an_option_falls_when_what_it_retains_is_taken_away():
    assert codes(claims(override("PatientSex", "empty"))) == RESEARCH_CODES - {"113108"}
    assert codes(claims(override("StudyDate", "remove"))) == RESEARCH_CODES - {"113107"}
    assert codes(claims(override("StudyDescription", "remove"))) == RESEARCH_CODES


def test_a_weakened_row_costs_the_options_of_its_columns():
    found = claims(override("StudyDescription", "keep-verbatim"))
    assert codes(found) == RESEARCH_CODES - {"113100", "113105"}


def test_limits_bind_claims_to_the_object():
    text = override("InstitutionName", "keep", modality="US")
    assert claims(text).weakened == ()
    assert claims(text, US, "US").weakened == ("InstitutionName",)
    text = override("InstitutionName", "keep", sop_class="CTImageStorage")
    assert claims(text).weakened == ("InstitutionName",)
    assert claims(text, US, "US").weakened == ()


def test_later_exceptions_win():
    text = """
overrides:
  - {attribute: InstitutionName, action: keep-verbatim}
  - {attribute: InstitutionName, action: remove}
"""
    assert claims(text).weakened == ()
    assert parse_recipe(text).profile().action(0x00080080, "LO", (), CT) is Action.REMOVE


def test_rows_cover_the_table_and_the_dictionary():
    rows = list(profile_rows(preset_profile()))
    labels = [row.label for row in rows]
    assert len(labels) == len(set(labels)) > 5000
    assert sum(row.listed for row in rows) == 657
    assert {row.label for row in table_rows()} <= set(labels)
    by_label = {row.label: row for row in rows}
    assert by_label["(0018,1000)"].actions == "X/Z/D"
    assert by_label["(0008,1030)"].actions == "C"
    assert by_label["(60xx,3000)"].actions == "X"
    assert by_label["(0010,0010)"].actions == "Z/D"
    assert by_label["(0008,0060)"].listed is False
    profile = parse_recipe(override("StudyDescription", "remove")).profile()
    assert {r.label: r for r in profile_rows(profile)}["(0008,1030)"].actions == "X"


def test_statement_names_options_codes_editions_and_exceptions():
    statement = conformance_statement(preset_profile())
    for words in ("PS3.15 E.1.3", "113107", "`clean-graphics`", "2026d", "2025e", "479", "None.", "(c) NEMA"):
        assert words in statement
    assert all(source in statement for source in editions())
    for word in ("anonymous", "HIPAA", "safe to"):
        assert word not in statement
    text = conformance_statement(parse_recipe(override("InstitutionName", "keep")).profile())
    assert "`InstitutionName`: keep - weaker than the tables" in text
    assert "Patient Identity Removed is NO" in text
    assert "113100 DCM" not in text
    assert "SHA-256" in text
    assert "All are removed." in conformance_statement(preset_profile("basic"))


def test_temporal_word_follows_the_date_option():
    assert preset_profile("basic").temporal == "REMOVED"
    assert preset_profile().temporal == "MODIFIED"
    assert Profile("custom", frozenset({Option.RETAIN_FULL_DATES})).temporal == "UNMODIFIED"
