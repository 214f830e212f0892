"""``model.json``: what is written is read, and what is wrong is named."""

import json
from dataclasses import replace

import pytest
from builders.models import CHEST, record
from hypothesis import given, settings
from hypothesis import strategies as st

from deid.core.card_text import card_text
from deid.core.errors import UsageError
from deid.core.model_card import (
    NETWORK_RANGE,
    STRETCH,
    AgeGroup,
    DataRole,
    DataSource,
    InputRange,
    Intensity,
    Metric,
    ModelKind,
    ModelRecord,
    Slices,
    Weights,
    WeightsType,
    parse_record,
    read_record,
    record_text,
)
from deid.pixels.network_range import IntensityRule

WEIGHTS = Weights("0" * 64, WeightsType.FLOAT16, 24)
COMPLETE = replace(record(), weights=WEIGHTS)

texts = st.text(st.characters(exclude_categories=("C", "Z"), include_characters=" "), min_size=1, max_size=9)
codes = st.text("ABZ019_", min_size=1, max_size=16)
counts = st.integers(0, 10**15)
numbers = st.floats(allow_nan=False, allow_infinity=False)
words = st.text("abcXYZ019 _.-", max_size=20)
arguments = st.recursive(
    st.none() | st.booleans() | st.integers(-10_000, 10_000) | numbers | words,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(words, inner, max_size=3),
    max_leaves=5,
).filter(lambda value: depth(value) <= 4)


def depth(value):
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else None
    return 0 if inner is None else 1 + max(map(depth, inner), default=0)


def several(values, least=0):
    return st.lists(values, min_size=least, max_size=3, unique=True).map(tuple)


inputs = st.builds(
    InputRange,
    modalities=several(codes, least=1),
    photometric=several(codes, least=1),
    views=several(codes),
    body_parts=several(codes),
    age=st.sampled_from(AgeGroup),
    size=st.tuples(st.integers(1, 4096), st.integers(1, 4096)),
    geometry=st.just(STRETCH),
    intensity=st.builds(Intensity, st.just(NETWORK_RANGE), st.dictionaries(texts, numbers, max_size=3)),
    slices=st.none() | st.builds(Slices, st.integers(1, 4096), st.floats(0.01, 1)),
)


@st.composite
def metrics(draw):
    low, high = sorted((draw(numbers), draw(numbers)))
    interval = draw(st.sampled_from([(low, high, draw(st.floats(0, 1))), (None, None, None)]))
    return Metric(draw(texts), draw(numbers), *interval, draw(counts), draw(counts), draw(texts), draw(texts))


records = st.builds(
    ModelRecord,
    name=st.text("aZ09", min_size=1, max_size=50) | st.just("a.b-c_d"),
    kind=st.sampled_from(ModelKind),
    architecture=texts,
    arguments=st.dictionaries(words, arguments, max_size=3),
    findings=several(texts),
    input=inputs,
    training=several(st.builds(DataSource, texts, texts, counts, counts, st.sampled_from(DataRole))),
    commands=several(texts),
    metrics=st.lists(metrics(), max_size=2).map(tuple),
    licence=texts,
    created_by=texts,
    companions=several(st.just("a") | st.just("b.c-d")),
    weights=st.builds(
        Weights, st.binary(min_size=32, max_size=32).map(bytes.hex), st.sampled_from(WeightsType), counts
    ),
)


@settings(max_examples=50, deadline=None)
@given(records)
def test_what_is_written_is_read(made):
    text = record_text(made)
    assert parse_record(text.encode()) == made
    assert text.endswith("}\n") and json.loads(text)["schema"] == 1
    card = card_text(made, "About it.")
    assert card.startswith(f"# {made.name}\n\nAbout it.\n") and card.endswith(f"{made.licence}\n")
    assert text == json.dumps(json.loads(text), indent=2, sort_keys=True, ensure_ascii=False) + "\n"


def test_the_card_shows_the_figures_with_their_intervals():
    card = card_text(COMPLETE, "About it.")
    assert "| ROC AUC | 0.9 | 0.8 to 0.95 (95 %) | phantoms | test | 10 | 20 |" in card
    assert "| training | phantoms | 40 | 80 | CC0-1.0 |" in card
    assert "- Grey values: network-range (ct_centre 0, ct_width 2000, high_percentile 99.5" in card


def test_the_intensity_rule_comes_back_as_it_was_recorded():
    read = parse_record(record_text(COMPLETE).encode()).input.intensity
    assert IntensityRule.from_json(read.parameters) == IntensityRule()


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)


@given(st.binary(max_size=50) | anything.map(lambda value: json.dumps(value).encode()))
def test_what_is_no_record_is_refused(data):
    with pytest.raises(UsageError, match=r"model\.json"):
        parse_record(data)


@given(st.data())
def test_anything_in_the_place_of_a_field_is_read_or_refused(data):
    value = json.loads(record_text(COMPLETE))
    place = value
    while True:
        keys = sorted(place) if isinstance(place, dict) else list(range(len(place)))
        key = data.draw(st.sampled_from(keys))
        if not isinstance(place[key], dict | list) or not place[key] or data.draw(st.booleans()):
            break
        place = place[key]
    place[key] = data.draw(anything)
    try:
        made = parse_record(json.dumps(value).encode())
    except UsageError as error:
        assert "model.json" in str(error) and str(error).isprintable() and len(str(error)) < 500
    else:
        assert parse_record(record_text(made).encode()) == made


def changed(path, value):
    """The JSON of a record with one field changed."""
    made = json.loads(record_text(COMPLETE))
    place = made
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value
    return json.dumps(made).encode()


@pytest.mark.parametrize(
    ("path", "value", "said"),
    [
        (["kind"], "critic", 'kind is "critic"; allowed is one of reid, classifier, anonymizer, attacker'),
        (["name"], "../x", 'name is "../x"; allowed is the name of a folder'),
        (["schema"], 0, "schema is 0; allowed is an integer from 1 to 1"),
        (["schema"], 2, "newer"),
        (["licence"], "a\x1b[2Jb", "licence is"),
        (["licence"], "", 'licence is ""; allowed is a text of one line'),
        (["extra"], 1, "extra is 1; allowed is no field but schema, name"),
        (
            ["findings"],
            ["a", "a"],
            "findings is a list of 2; allowed is a list of 0 or more that names nothing",
        ),
        (["arguments", "width"], 10_001, "arguments.width is 10001; allowed is an integer up to 10000"),
        (["arguments", "backbone"], "hf-hub:someone/net", "arguments.backbone"),
        (["arguments", "deep"], [[[[[1]]]]], "4 deep"),
        (["input", "modalities"], [], "input.modalities is a list of 0; allowed is a list of 1 or more"),
        (["input", "modalities", 0], "cr", 'input.modalities[0] is "cr"; allowed is a DICOM code'),
        (["input", "intensity"], {}, "input.intensity.rule is missing"),
        (["input", "intensity", "rule"], "voi", 'input.intensity.rule is "voi"; allowed is "network-range'),
        (["input", "intensity", "parameters", "low"], float("nan"), "low is NaN; allowed is a finite number"),
        (["input", "size"], [8], "input.size is a list of 1; allowed is a list of 2 integers"),
        (["input", "size", 1], 0, "input.size[1] is 0; allowed is an integer from 1 to 4096"),
        (["input", "geometry"], "crop", 'input.geometry is "crop"; allowed is "stretch"'),
        (["training", 0, "patients"], True, "training[0].patients is true; allowed is an integer"),
        (["training", 0, "role"], "fun", "training[0].role"),
        (["metrics", 0, "low"], None, "metrics[0].low is null; allowed is a finite number"),
        (["metrics", 0, "high"], 0.1, "metrics[0].high is 0.1; allowed is a finite number from 0.8 to inf"),
        (
            ["metrics", 0, "confidence"],
            95,
            "metrics[0].confidence is 95; allowed is a finite number from 0 to 1",
        ),
        (["weights", "sha256"], "0" * 63, "weights.sha256"),
        (["weights", "parameters"], 10**400, "weights.parameters"),
        (["weights"], None, "weights is null; allowed is a JSON object"),
    ],
)
def test_what_is_wrong_is_named(path, value, said):
    with pytest.raises(UsageError) as caught:
        parse_record(changed(path, value))
    assert said in str(caught.value) and str(caught.value).isprintable()


def test_texts_that_are_no_json_are_refused():
    good = record_text(COMPLETE)
    twice = good.replace('{\n  "architecture"', '{\n  "kind": "reid",\n  "architecture"')
    for text in ("", "{", good[:-20], "[" * 100_000, f"[{'9' * 5000}]", twice, "\ud800"):
        with pytest.raises(UsageError, match=r"model\.json"):
            parse_record(text.encode("utf-8", "surrogatepass"))


def test_a_record_that_could_not_be_read_is_not_written():
    for wrong in (
        record(),
        replace(COMPLETE, licence=""),
        replace(COMPLETE, input=replace(CHEST, modalities=())),
    ):
        with pytest.raises(UsageError, match=r"model\.json"):
            record_text(wrong)


def test_the_file_is_a_plain_one_of_limited_size(tmp_path):
    folder = tmp_path / "m"
    folder.mkdir()
    with pytest.raises(UsageError, match="cannot be read"):
        read_record(folder)
    (tmp_path / "outside").write_text(record_text(COMPLETE))
    (folder / "model.json").symlink_to(tmp_path / "outside")
    with pytest.raises(UsageError, match="symbolic link"):
        read_record(folder)
    (folder / "model.json").unlink()
    (folder / "model.json").mkdir()
    with pytest.raises(UsageError, match="not a regular file"):
        read_record(folder)
    (folder / "model.json").rmdir()
    (folder / "model.json").write_text(" " * (1 << 20) + record_text(COMPLETE))
    with pytest.raises(UsageError, match="at most"):
        read_record(folder)
    (folder / "model.json").write_text(record_text(COMPLETE))
    assert read_record(folder) == COMPLETE


def test_the_slices_may_be_missing_and_are_strict_where_they_are():
    value = json.loads(record_text(COMPLETE))
    assert value["input"].pop("slices") is None
    assert parse_record(json.dumps(value).encode()) == COMPLETE
    value["input"]["slices"] = {"count": 4, "middle": 0.5}
    assert parse_record(json.dumps(value).encode()).input.slices == Slices(4, 0.5)
    for wrong in ({"count": 0, "middle": 0.5}, {"count": 4, "middle": 0}, {"count": 4}, [], 4):
        value["input"]["slices"] = wrong
        with pytest.raises(UsageError, match=r"input\.slices"):
            parse_record(json.dumps(value).encode())


def test_findings_may_have_a_slash_and_names_of_networks_must_not():
    arguments = {"findings": ["Nodule/Mass", "a: b"], "backbone": "resnet18"}
    kept = record_text(replace(COMPLETE, arguments=arguments))
    assert parse_record(kept.encode()).arguments["findings"] == ["Nodule/Mass", "a: b"]
    wrong = ({"backbone": "hf-hub:a/b"}, {"findings": "a/b"}, {"findings": ["a\nb"]}, {"other": ["a/b"]})
    for arguments in wrong:
        with pytest.raises(UsageError, match="arguments"):
            record_text(replace(COMPLETE, arguments=arguments))
