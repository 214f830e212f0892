"""The schema: what an audit writes is valid, what would give something away is not; both validators agree."""

import json
import re

import jsonschema
import pytest
from builders.audits import SAMPLES, assessed, attack, nothing_assessed

from deid.audit.conformity import KEYWORDS, violation
from deid.audit.schema import TEXT_PATTERN, schema

VALIDATOR = jsonschema.Draft202012Validator(schema())


def faults(result):
    """How both validators see it; they must agree on whether there is anything."""
    found = [error.message for error in VALIDATOR.iter_errors(result)]
    own = violation(result, schema())
    assert bool(found) == bool(own), (found[:2], own)
    return own


def changed(path, value, result=None):
    """A sample in which one place has another value; a value of ... takes it away."""
    result = assessed() if result is None else result
    *way, last = path.split("/")
    place = result
    for step in way:
        place = place[step]
    if value is ...:
        del place[last]
    else:
        place[last] = value
    return result


def test_the_schema_is_one_and_is_made_anew_each_time():
    jsonschema.Draft202012Validator.check_schema(schema())
    assert json.loads(json.dumps(schema())) == schema()
    schema()["properties"].clear()
    assert schema()["properties"]


@pytest.mark.parametrize("make", SAMPLES.values(), ids=SAMPLES)
def test_the_samples_are_valid(make):
    assert faults(json.loads(json.dumps(make()))) == ""


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("schema", 3),
        ("schema", True),
        ("verdict", "anonymous"),
        ("verdict", ...),
        ("reid/verdict", "safe"),
        ("reid/verdict", ...),
        ("reid/words", "This release is anonymous."),
        ("reid/words", "HIPAA compliant."),
        ("reid/ceiling/auc", 0.9),
        ("reid/ceiling/auc", {"value": 0.9}),
        ("reid/ceiling/auc/value", "0.9"),
        ("reid/ceiling/patients", 4),
        ("reid/ceiling/genuine", 19),
        ("reid/ceiling/genuine", 20.5),
        ("reid/ceiling/genuine", -1),
        ("reid/ceiling/roc/fpr", [0.0] * 201),
        ("reid/ceiling/roc/tpr", [1.5]),
        ("reid/ceiling/worst_pair", "#3f9a2c"),
        ("reid/attackers", {"mami": {"original_copied": {}}}),
        ("reid/adaptive", {"status": "not assessed"}),
        ("reid/adaptive", {"status": "not assessed", "reason": "x", "auc": None}),
        ("linkage/methods", ...),
        ("linkage/methods/pixels/gallery", None),
        ("header/by_form", {"rot13": 1}),
        ("header/certain", "3"),
        ("header/uniqueness/k", {"2": 1}),
        ("header/uniqueness/quasi_identifiers", ["/data/a"]),
        ("plane/patients", 4),
        ("plane/strengths/0/strength", 1.1),
        ("plane/strengths/0/picture", "x"),
        ("plane/release", None),
        ("plane/strengths", {"much": nothing_assessed()["text"]}),
        ("plane/verdict", "linkable"),
        ("text", {"status": "not assessed", "reason": "x", "verdict": "no link found"}),
        ("face", {}),
        ("utility/verdict", "linkable"),
        ("utility/pixels_unchanged", 1.2),
        ("utility/classifier/findings/Edema/positives", 4),
        ("gates", [{"expression": "a<1", "found": 1, "passed": "yes", "reason": ""}]),
        ("manifest/models", {"a": "not a digest"}),
        ("manifest/options", {"nested": {"a": 1}}),
        ("manifest/hostname", "node7"),
        ("release/mode", "both"),
        ("release/patient_ids", ["a"]),
        ("release/modalities", {"": 3}),
        ("release/left_out", {"/home/anna/1.dcm": 1}),
        ("tool", None),
        ("notes", "free text"),
    ],
)
def test_what_an_audit_never_writes_is_refused(path, value):
    assert faults(changed(path, value))


def test_a_small_group_has_figures_but_no_curve():
    few = attack(1.0, genuine=19)
    assert "genuine" in faults(changed("reid/adaptive", few))
    del few["roc"], few["histogram"]
    assert faults(changed("reid/adaptive", few)) == ""


@pytest.mark.parametrize(
    "text",
    [
        "/home/ann/in",
        "~/in",
        "~ann/in",
        "in /data",
        "read from '/data/x'",
        "out=/data/x",
        "a/b/c",
        "patient/study.dcm",
        "C:\\data",
        "\\\\server\\share",
        "file:///x",
        "two\nlines",
        "ends\n",
        "bell\x07",
        "turned \u202e round",
    ],
)
def test_no_text_can_hold_a_path(text):
    assert not re.search(TEXT_PATTERN, text)
    for path in ("reid/reason", "reid/words", "reid/ceiling/attacker", "tool/version"):
        assert faults(changed(path, text))
    assert faults(changed("text/reason", text))
    assert faults(changed("manifest/options", {"out": text}))
    assert faults(changed("manifest/options", {"out": ["a", text]}))
    assert faults(changed("linkage/methods", {text: assessed()["linkage"]["methods"]["pixels"]}))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "before/after",
        "and/or",
        "0.5 / 1",
        "Edema/Congestion",
        "reid.adaptive.auc.upper<0.6",
        "Sjögren ≥ 5 (~5 %)",
    ],
)
def test_ordinary_texts_are_let_be(text):
    assert re.search(TEXT_PATTERN, text)
    assert faults(changed("reid/reason", text)) == ""


def test_no_field_is_named_after_a_place_or_a_person():
    def names(part):
        if isinstance(part, dict):
            yield from part.get("properties", {})
            for value in part.values():
                yield from names(value)
        elif isinstance(part, list):
            for value in part:
                yield from names(value)

    known = set(names(schema()))
    assert len(known) > 60
    assert not [
        n for n in known if re.search("path|folder|dir|uid$|^id$|pseudonym|host|user|birth", n) and n != "uid"
    ]


def test_only_keywords_that_our_own_check_knows_are_used():
    def keywords(part):
        for key, value in part.items():
            yield key
            if key in ("properties", "$defs", "dependentSchemas"):
                for child in value.values():
                    yield from keywords(child)
            elif key == "anyOf":
                for child in value:
                    yield from keywords(child)
            elif isinstance(value, dict) and key != "const":
                yield from keywords(value)

    assert set(keywords(schema())) <= KEYWORDS


def test_complaints_name_the_place_and_never_the_value():
    assert faults(changed("reid/ceiling/auc/value", "Ann")).startswith("reid.ceiling.auc is not value, lower")
    assert faults(changed("gates", 3)) == "gates is not of type array"
    secret = faults(changed("manifest/options", {"/home/ann": 1}))
    assert "ann" not in secret
    assert faults([]) == "the whole is not of type object"


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_numbers_that_json_has_no_word_for_are_refused(value):
    assert violation(changed("utility/pixels_unchanged", value, nothing_assessed() | assessed()), schema())
    assert violation({"schema": 1, "gates": [value]}, schema())
