import pickle
import re
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deid.core.keys import ProjectKey, new_key
from deid.core.pseudonyms import Pseudonyms

KEY = ProjectKey(bytes(range(32)))
P = Pseudonyms(KEY)


@given(st.text(max_size=70))
def test_pseudonyms_have_their_forms(value: str) -> None:
    uid = P.uid(value)
    assert re.fullmatch(r"2\.25\.(0|[1-9]\d*)", uid) and int(uid[5:]) < 2**128 and len(uid) <= 44
    assert re.fullmatch(r"P[A-Z2-7]{15}", P.patient(value))
    assert re.fullmatch(r"[A-Z][A-Z2-7]{15}", P.label("accession", value))
    assert re.fullmatch(r"#[0-9a-f]{10}", P.reference(value))
    assert P.reference(value)[1:] == P.path_digest(value).hex()[:10]
    assert -3652 <= P.shift(value).days <= -31


def test_they_do_not_change_between_versions() -> None:
    """A release made today must join with one made by a later version: these values are frozen."""
    assert P.uid("1.2.840.1") == FROZEN["uid"]
    assert P.patient("12345") == FROZEN["patient"]
    assert P.label("accession", "A1") == FROZEN["label"]
    assert P.reference("a/b.dcm") == FROZEN["reference"]
    assert (P.shift("12345").days, P.shift("12345").minutes) == FROZEN["shift"]


def test_padding_of_uids_and_labels_does_not_count() -> None:
    assert P.uid("1.2.3\0") == P.uid(" 1.2.3 ") == P.uid("1.2.3")
    assert P.label("a", "x ") == P.label("a", "x")


def test_keys_and_purposes_separate() -> None:
    other = Pseudonyms(new_key())
    for function in ("uid", "patient", "reference", "shift"):
        assert getattr(P, function)("v") != getattr(other, function)("v")
    labels = {P.label(purpose, "v") for purpose in ("accession", "study", "patient", "path", "uid", "date")}
    assert len(labels) == 6


def test_the_key_cannot_be_read_off() -> None:
    assert KEY.subkey("uid").hex() not in repr(P) and bytes(range(32)).hex() not in repr(P)


def test_labels_have_the_length_asked_for() -> None:
    assert [len(P.label("a", "v", length)) for length in (4, 16, 48)] == [4, 16, 48]
    for length in (0, 3, 49):
        with pytest.raises(ValueError, match="label"):
            P.label("a", "v", length)


def test_shifts_spread_over_the_whole_range() -> None:
    shifts = [P.shift(str(i)) for i in range(4000)]
    assert min(s.days for s in shifts) < -3600 and max(s.days for s in shifts) > -90
    assert len(Counter(s.minutes for s in shifts)) > 1200
    assert {Pseudonyms(KEY, keep_times=True).shift(str(i)).minutes for i in range(50)} == {0}
    assert Pseudonyms(KEY, keep_times=True).shift("1").days == P.shift("1").days


def test_a_worker_process_gets_the_same_pseudonyms() -> None:
    copy = pickle.loads(pickle.dumps(Pseudonyms(KEY, keep_times=True)))
    assert copy.uid("1.2") == P.uid("1.2") and copy.shift("1").minutes == 0


def test_undecodable_names_stay_distinct() -> None:
    assert len({P.reference(name) for name in ("a\udc80", "a\udcff", "a\ud800", "a?")}) == 4


FROZEN = {
    "uid": "2.25.136782432632465756744492304779266511699",
    "patient": "PVAZJUD2EYS53Z32",
    "label": "DPBN75JEZ5FFPYCG",
    "reference": "#982b22fa90",
    "shift": (-3524, 484),
}
