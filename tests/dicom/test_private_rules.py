"""Private attributes: which stay, as what, and which do not."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deid.core.errors import UsageError
from deid.dicom.profile import Action, Option, Profile, preset_profile
from deid.dicom.profile.private import standard_entries, tcia_entries

RESEARCH = preset_profile()
STANDARD_ONLY = preset_profile("research", ["standard"])


def test_basic_keeps_nothing_private():
    basic = preset_profile("basic")
    assert all(basic.private(c, g, e, "DS") is None for g, c, e in standard_entries())


def test_the_safe_list_is_known_whatever_its_spelling():
    assert STANDARD_ONLY.private("ELSCINT1", 0x00E1, 0x21, "DS").action is Action.KEEP
    assert STANDARD_ONLY.private("Philips Imaging DD 001", 0x2001, 0x0A, "IS").action is Action.KEEP
    assert STANDARD_ONLY.private(" ELSCINT1 \0", 0x00E1, 0x21, "UN").vr == "DS"
    # no VR in the table: read as bytes of unknown meaning, and cleaned
    unnamed = STANDARD_ONLY.private("SIEMENS Ultrasound SC2000", 0x0119, 0x11, "UN")
    assert (unnamed.vr, unnamed.action) == ("UN", Action.CLEAN)


@pytest.mark.parametrize(
    ("creator", "group", "element"),
    [
        ("elscint1", 0x00E1, 0x21),  # another creator, as far as the standard goes
        ("ELSCINT1", 0x00E3, 0x21),  # another group
        ("ELSCINT1", 0x00E1, 0x22),  # another element
        ("", 0x00E1, 0x21),
        ("ACME", 0x0011, 0x01),
    ],
)
def test_what_no_list_names_goes(creator, group, element):
    assert STANDARD_ONLY.private(creator, group, element, "DS") is None


def test_text_is_always_cleaned_whatever_its_source():
    for profile in (STANDARD_ONLY, RESEARCH):
        for group, creator, element in standard_entries():
            for vr in ("LO", "SH", "ST", "LT", "UT", "UN"):
                rule = profile.private(creator, group, element, vr)
                assert (
                    rule is None
                    or rule.action is not Action.KEEP
                    or rule.vr not in ("LO", "SH", "ST", "LT", "UT")
                )
    for path, (group, creator, element) in tcia_entries():
        if not path:
            rule = RESEARCH.private(creator, group, element, "LO")
            assert rule is None or rule.action in (Action.CLEAN, Action.UID)


def test_knowledge_base_is_an_option():
    key = ("GEMS_PETD_01", 0x0009, 0x0D)
    assert STANDARD_ONLY.private(*key, "DT") is None
    scan = RESEARCH.private(*key, "DT")
    assert (scan.action, scan.vr, scan.source) == (Action.CLEAN, "DT", "tcia")  # shifted
    assert RESEARCH.private(*key, "SH").vr == "DT"  # a date in a text VR is read as what it is
    assert RESEARCH.private("GEMS_PETD_01", 0x0009, 0x02, "LO") is None  # Patient ID, "d"
    assert RESEARCH.private("GEMS_IDEN_01", 0x0009, 0x27, "SL") is None  # seconds since 1970, "oi"
    assert RESEARCH.private("GEMS_IDEN_01", 0x0009, 0xE3, "UN").action is Action.UID  # Equipment UID, "h"


def test_dates_follow_the_date_options():
    key = ("GEMS_PETD_01", 0x0009, 0x0D, "DT")
    options = {Option.RETAIN_SAFE_PRIVATE}
    assert Profile("custom", frozenset(options), ("tcia",)).private(*key) is None
    full = Profile("custom", frozenset(options | {Option.RETAIN_FULL_DATES}), ("tcia",))
    assert full.private(*key).action is Action.KEEP


def test_nested_patterns_hold_at_their_place():
    plan_scan, element = 0x20051080, ("Philips MR Imaging DD 001", 0x2005, 0x3F)
    nested = RESEARCH.private(*element, "UN", (plan_scan,))
    assert nested is not None and nested.vr == "SL"
    assert RESEARCH.private(*element, "UN", (0x200511_80,)) is not None  # another block number
    entries = tcia_entries()
    removed = [key for key, entry in entries.items() if entry.letter == "X" and ("", key[1]) not in entries]
    assert removed
    for path, (group, creator, low) in removed[:200]:
        if "xx" in path.split(">")[0] and ">" not in path and (group, creator, low) not in standard_entries():
            parent = int(path[:4], 16) << 16 | 0x1000 | int(path[6:8], 16)
            assert RESEARCH.private(creator, group, low, "LO", (parent,)) is None


def test_file_that_says_bytes_is_read_as_declared():
    assert STANDARD_ONLY.private("ELSCINT1", 0x01E1, 0x26, "UN").vr == "CS"
    assert STANDARD_ONLY.private("ELSCINT1", 0x01E1, 0x26, "OB").vr == "CS"
    text = STANDARD_ONLY.private("ELSCINT1", 0x01E1, 0x26, "LO")  # the file says more: text, so cleaned
    assert (text.vr, text.action) == ("LO", Action.CLEAN)


def test_persons_never_stay():
    assert all(
        RESEARCH.private(creator, group, element, vr) is None
        for group, creator, element in standard_entries()
        for vr in ("PN", "AE")
    )


def test_lists_need_their_option():
    with pytest.raises(UsageError, match="retain-safe-private"):
        preset_profile("basic", ["tcia"])
    with pytest.raises(UsageError, match="standard, tcia"):
        preset_profile("research", ["other"])


@given(
    st.text(max_size=20),
    st.integers(0, 0xFFFF),
    st.integers(0, 0xFF),
    st.sampled_from(["LO", "UN", "OB", "SQ"]),
)
def test_any_creator_gets_an_answer(creator, group, element, vr):
    rule = RESEARCH.private(creator, group, element, vr, (0x00081140, 0x00091001))
    assert rule is None or (group, creator.strip(" \0"), element) in {
        *standard_entries(),
        *(k for _, k in tcia_entries()),
    }
