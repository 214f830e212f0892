"""Recipes: what they can say, what they refuse, and that every refusal tells what is allowed."""

import re

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

from deid.core.errors import UsageError
from deid.dicom.profile import Action, Option, Profile, preset_profile
from deid.dicom.recipe import OptionKey, Recipe, load_recipe, parse_recipe, preset_recipe, recipe_schema

CT = "1.2.840.10008.5.1.4.1.1.2"


def one(attribute, action, **more):
    return Recipe.model_validate(
        {"overrides": [{"attribute": attribute, "action": action, **more}]}
    ).profile()


def test_a_recipe_without_preset_and_options_has_the_default_preset():
    profile = parse_recipe("overrides: []").profile()
    preset = preset_profile()
    assert profile.options == preset.options
    assert profile.private_sources == preset.private_sources
    assert profile.digest == parse_recipe("preset: research").digest()


@pytest.mark.parametrize("text", ["", "# only a comment\n", "{}", "preset:\n", "---\n...\n"])
def test_an_empty_recipe_is_refused(text):
    with pytest.raises(
        UsageError, match=r"mine\.yaml: the recipe is empty.*'preset: research'.*allowed keys"
    ):
        parse_recipe(text, "mine.yaml")


def test_options_in_place_of_a_preset():
    profile = parse_recipe("options: [clean-descriptors, retain-safe-private]").profile()
    assert profile.options == {Option.CLEAN_DESCRIPTORS, Option.RETAIN_SAFE_PRIVATE}
    assert profile.private_sources == ("standard",)
    assert set(OptionKey.__args__) == {option.key for option in Option}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("preset: foo", ["preset", "'basic' or 'research'"]),
        ("options: [clean-descriptorz]", ["line 1, options > entry 1", "clean-descriptors"]),
        ("preset: basic\noptions: []", ["exclude each other"]),
        ("foo: 1", ["foo", "unknown key", "preset, options, private"]),
        (
            "overrides: [{attribute: StudyDate, action: remove, x: 1}]",
            ["overrides > entry 1 > x", "unknown key", "sop_class"],
        ),
        (
            "overrides: [{attribute: StudyDescripton, action: remove}]",
            ["overrides > entry 1 > attribute: not", "StudyDescription?"],
        ),
        (
            "overrides: [{attribute: StudyDate, action: shred}]",
            ["overrides > entry 1 > action: must be", "'keep-verbatim'"],
        ),
        ("overrides: [{attribute: 'StudyDate >', action: remove}]", ["not a keyword"]),
        ("overrides: [{attribute: '(0019,1001)', action: keep}]", ["creator"]),
        ("overrides: [{attribute: '(0018,\"X\",01)', action: keep}]", ["not a keyword"]),
        ("overrides: [{attribute: PatientID, action: keep}]", ["--patient-map"]),
        ("overrides: [{attribute: DeidentificationMethod, action: remove}]", ["states there"]),
        ("overrides: [{attribute: '(6000,3000)', action: keep}]", ["overlays"]),
        ("overrides: [{attribute: StudyDate, action: replace}]", ["value"]),
        ("overrides: [{attribute: StudyDate, action: remove, value: x}]", ["value"]),
        ("overrides: [{attribute: StudyDate, action: replace, value: soon}]", ["VR DA"]),
        ("overrides: [{attribute: StationName, action: replace, value: seventeen letters}]", ["VR SH"]),
        ("overrides: [{attribute: StudyDescription, action: uid}]", ["UIDs"]),
        ("overrides: [{attribute: ICCProfile, action: clean}]", ["bytes cannot be cleaned"]),
        ("overrides: [{attribute: '(0010,xxxx)', action: keep-verbatim}]", ["one standard attribute"]),
        (
            "overrides: [{attribute: StudyDate, action: remove, sop_class: CT}]",
            ["sop_class", "CTImageStorage"],
        ),
        (
            "overrides: [{attribute: '(0019,\"A\",01)', action: keep, sop_class: '1.2'}]",
            ["not to a SOP class"],
        ),
        ("keep_times: 1", ["keep_times"]),
        ("options: [retain-full-dates, retain-modified-dates]", ["exclude each other"]),
        ("preset: basic\nprivate: [tcia]", ["retain-safe-private"]),
        ("- 1", ["mapping", "preset"]),
        ("a: [", ["line"]),
        ("preset: research\noverrides: 5", ["mine.yaml, line 2, overrides: must be a list"]),
        ("overrides:\n- StudyDate", ["line 2, overrides > entry 1: must be a mapping of keys and values"]),
        ("overrides:\n- action: keep", ["line 2, overrides > entry 1 > attribute: is missing"]),
        (
            "overrides:\n- attribute: StudyDate\n  action: replace\n  value: 2020-01-01",
            ["line 4, overrides > entry 1 > value: must be text; put it in quotes"],
        ),
        (
            "overrides:\n- attribute: StudyDate\n  action: uid",
            ["line 3, overrides > entry 1 > action: uid is"],
        ),
        ("\nkeep_times: perhaps", ["line 2, keep_times: must be true or false"]),
        ("[a]: 1", ["no word"]),
        ("preset: basic\npreset: research", ["twice"]),
        ("preset: !!python/object/apply:os.system [x]", ["YAML"]),
    ],
)
def test_refusals_say_where_and_what_is_allowed(text, words):
    with pytest.raises(UsageError) as raised:
        parse_recipe(text, "mine.yaml")
    message = str(raised.value)
    assert all(word in message for word in words), message
    assert message.startswith("mine.yaml")
    unwanted = r"\b(pydantic|Traceback|Input|instance|tuple|dict|str|bool|python|NoneType)\b"
    assert re.search(unwanted, message) is None, message


def test_aliases_that_multiply_or_never_end_are_refused():
    many = "a: &a [x, x, x, x, x, x, x, x]\n"
    for name, before in zip("bcdefghi", "abcdefgh", strict=True):
        many += f"{name}: &{name} [{', '.join([f'*{before}'] * 8)}]\n"
    for text in (many, "overrides: &a [*a]", "overrides: &a {b: *a}"):
        with pytest.raises(UsageError):
            parse_recipe(text)


def test_an_unknown_preset_is_refused_once():
    with pytest.raises(UsageError) as raised:
        preset_recipe("resaerch")
    assert str(raised.value) == "--preset takes one of: basic, research."


def test_file_that_cannot_be_read(tmp_path):
    with pytest.raises(UsageError, match="cannot be read: no such file or directory"):
        load_recipe(tmp_path / "missing.yaml")
    path = tmp_path / "recipe.yaml"
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(UsageError, match="UTF-8"):
        load_recipe(path)
    path.write_text("keep_times: true\n")
    assert load_recipe(path).profile().keep_times


def test_keep_cleans_text_unless_verbatim():
    assert one("InstitutionName", "keep").action(0x00080080, "LO", (), CT) is Action.CLEAN
    verbatim = one("InstitutionName", "keep-verbatim")
    assert verbatim.action(0x00080080, "LO", (), CT) is Action.KEEP
    assert verbatim.verbatim == {0x00080080}
    assert one("StudyDate", "keep").action(0x00080020, "DA", (), CT) is Action.KEEP
    assert one("FrameOfReferenceUID", "clean").action(0x00200052, "UI", (), CT) is Action.UID
    assert one("ICCProfile", "remove").action(0x00282000, "OB", (), CT) is Action.REMOVE


def test_a_constant_replaces():
    profile = one("ClinicalTrialSponsorName", "replace", value="SPONSOR")
    assert profile.action(0x00120010, "LO", (), CT) is Action.DUMMY
    assert profile.replacement(0x00120010, (), CT) == "SPONSOR"
    assert profile.replacement(0x00120020, (), CT) is None


def test_paths_match_from_their_end():
    profile = one("RequestAttributesSequence > (0040,0007)", "remove")
    inside, outside = (0x00400275,), ()
    assert profile.action(0x00400007, "LO", inside, CT) is Action.REMOVE
    assert profile.action(0x00400007, "LO", (0x52009230, *inside), CT) is Action.REMOVE
    assert profile.action(0x00400007, "LO", outside, CT) is Action.CLEAN


def test_wildcards_reach_neither_private_nor_managed_attributes():
    profile = one("(xxxx,xxxx)", "keep")
    assert profile.action(0x00081030, "LO", (), CT) is Action.CLEAN
    assert profile.action(0x00080018, "UI", (), CT) is Action.UID
    assert profile.action(0x00091030, "LO", (), CT) is Action.REMOVE
    assert profile.action(0x60003000, "OW", (), CT) is Action.REMOVE
    assert profile.private("ACME", 0x0009, 0x30, "LO") is None
    removed = one("(xxxx,xxxx)", "remove")
    assert removed.action(0x00080016, "UI", (), CT) is Action.UID
    assert removed.action(0x7FE00010, "OW", (), CT) is Action.KEEP


def test_private_attributes_by_creator():
    profile = one('(0019,"SIEMENS MR HEADER",xx0c)', "remove")
    assert profile.private("SIEMENS MR HEADER", 0x0019, 0x0C, "IS") is None
    assert preset_profile().private("SIEMENS MR HEADER", 0x0019, 0x0C, "IS") is not None
    kept = one('(0029,"ACME 1",10)', "keep").private("ACME 1", 0x0029, 0x10, "LO")
    assert (kept.action, kept.source) == (Action.CLEAN, "recipe")


def test_modality_and_sop_class_limit_an_exception():
    profile = one("StudyDescription", "remove", modality=["US", "es"])
    assert profile.for_modality("CT").action(0x00081030, "LO", (), CT) is Action.CLEAN
    assert profile.for_modality("US").action(0x00081030, "LO", (), CT) is Action.REMOVE
    assert profile.for_modality("ES ").action(0x00081030, "LO", (), CT) is Action.REMOVE
    by_class = one("StudyDescription", "remove", sop_class="CTImageStorage")
    assert by_class.action(0x00081030, "LO", (), CT) is Action.REMOVE
    assert by_class.action(0x00081030, "LO", (), "1.2.3") is Action.CLEAN
    assert preset_profile().for_modality("CT") is not None


def test_digest_is_of_the_meaning():
    def digest(text):
        return parse_recipe(text).digest()

    assert digest("overrides: [{attribute: StudyDate, action: remove}]") == digest(
        "# other words\npreset: research\noverrides: [{attribute: '(0008,0020)', action: remove}]"
    )
    assert digest("options: [clean-graphics, clean-descriptors]") == digest(
        "options: [clean-descriptors, clean-graphics]"
    )
    different = [
        "preset: research",
        "preset: basic",
        "keep_times: true",
        "private: [standard]",
        "references: by-type",
    ]
    assert len({digest(text) for text in different}) == len(different)
    assert len(digest("preset: research")) == 64


def test_schema_accepts_what_the_recipe_accepts():
    schema = recipe_schema()
    jsonschema.Draft202012Validator.check_schema(schema)
    validator = jsonschema.Draft202012Validator(schema)
    good = {
        "preset": "basic",
        "overrides": [{"attribute": "StudyDate", "action": "remove", "modality": ["CT"]}],
    }
    assert validator.is_valid(good)
    good["overrides"][0]["modality"] = "CT"
    assert validator.is_valid(good)
    assert not validator.is_valid({"presets": "basic"})
    assert not validator.is_valid({"overrides": [{"attribute": "StudyDate", "action": "shred"}]})


@given(st.text(max_size=60))
def test_any_text_is_a_recipe_or_a_usage_error(text):
    try:
        assert isinstance(parse_recipe(text).profile(), Profile)
    except UsageError as error:
        assert str(error)


@given(st.text(alphabet='(0129af,x)" >A', max_size=24), st.sampled_from(["keep", "remove", "uid", "clean"]))
def test_any_attribute_is_understood_or_refused(attribute, action):
    try:
        one(attribute, action).action(0x00081030, "LO", (), CT)
    except ValueError as error:
        assert "attribute" in str(error) or "action" in str(error)
