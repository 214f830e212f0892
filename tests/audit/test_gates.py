"""Gates: what they read, which end of an interval they take, and that doubt fails."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deid.audit.gates import MISSING, NO_NUMBER, NOT_ASSESSED, UNJUDGED, Gate, check_gates, parse_gate
from deid.core.errors import UsageError

RESULT = {
    "header": {"status": "assessed", "certain": 0, "by_form": {"as it is": 2}, "words": "linkable"},
    "reid": {
        "status": "assessed",
        "adaptive": {"status": "assessed", "auc": {"value": 0.55, "lower": 0.5, "upper": 0.62}},
        "frozen": {"status": "not assessed", "reason": "no model"},
        "attackers": {"net-1.5": {"auc": {"value": 0.5, "lower": 0.5, "upper": 0.5}}},
    },
    "face": {"status": "not assessed", "reason": "no detector"},
    "linkage": {"status": "assessed", "verdict": "not assessed", "methods": {"pixels": {"gallery": 9}}},
    "utility": {"status": "assessed", "psnr": None},
    "inversion": {"status": "not assessed", "reason": "no anonymizer"},
}
LETTERS = st.characters(codec="utf-8", exclude_characters="<>=!.", exclude_categories=["Z", "C"])
NAMES = st.text(LETTERS, min_size=1)
SIGNS = st.sampled_from(["<", "<=", ">", ">=", "=="])


def passed(expression, **options):
    (result,) = check_gates([parse_gate(expression)], RESULT, **options)
    return result.passed


@pytest.mark.parametrize(
    ("expression", "passes"),
    [
        ("header.certain==0", True),
        ("header.certain < 1", True),
        ("header.certain>0", False),
        ("header.by_form.as it is<=2", True),
        ("reid.adaptive.auc<0.6", False),  # the upper end
        ("reid.adaptive.auc<=0.62", True),
        ("reid.adaptive.auc>0.5", False),  # the lower end
        ("reid.adaptive.auc>=0.5", True),
        ("reid.adaptive.auc==0.55", True),
        ("reid.adaptive.auc.value<0.6", True),
        ("reid.attackers.net-1.5.auc<0.6", True),
    ],
)
def test_a_gate_compares(expression, passes):
    assert passed(expression) is passes


@pytest.mark.parametrize(
    ("expression", "reason"),
    [
        ("header.certian==0", MISSING),
        ("nothing.at.all<1", MISSING),
        ("header.certain.deeper==0", MISSING),
        ("header.words==0", NO_NUMBER),
        ("reid.frozen.auc<0.6", NOT_ASSESSED),
        ("face.rank_1<0.6", MISSING),  # no section of faces has such a place
        ("face<0.6", NOT_ASSESSED),
        ("utility.psnr<1", NOT_ASSESSED),
        ("inversion.methods.net-1.5.reid.auc<0.6", NOT_ASSESSED),
        ("inversion.methods.fixed_point.reed.auc<0.6", MISSING),
    ],
)
def test_doubt_fails_and_only_what_was_not_assessed_can_be_allowed(expression, reason):
    (result,) = check_gates([parse_gate(expression)], RESULT)
    assert (result.found, result.passed, result.reason) == (None, False, reason)
    assert passed(expression, allow_not_assessed=True) is (reason == NOT_ASSESSED)


def test_a_figure_of_a_threat_without_a_verdict_fails():
    """Attackers too weak to conclude anything reach little, which shows nothing."""
    (result,) = check_gates([parse_gate("linkage.methods.pixels.gallery<10")], RESULT)
    assert (result.found, result.passed, result.reason) == (9, False, UNJUDGED)
    assert passed("linkage.methods.pixels.gallery<10", allow_not_assessed=True)
    assert not passed("linkage.methods.pixels.gallery<5", allow_not_assessed=True)


@pytest.mark.parametrize(
    "text", ["", "a", "<1", "a<", "a=1", "a!=1", "a<b", "a<1<2", "a..b<1", "a<nan", "a<inf", ".a<1", "a.<1"]
)
def test_what_is_no_gate_is_refused(text):
    with pytest.raises(UsageError, match="--require"):
        parse_gate(text)


@given(st.lists(NAMES, min_size=1, max_size=5), SIGNS, st.floats(-1e9, 1e9))
def test_what_is_written_is_read_again(path, sign, limit):
    gate = Gate(tuple(path), sign, limit)
    assert parse_gate(gate.expression) == gate
    assert parse_gate(f"  {'.'.join(path)}  {sign}  {limit!r} ") == gate


@given(st.text(max_size=40))
def test_any_text_is_a_gate_or_refused(text):
    try:
        gate = parse_gate(text)
    except UsageError:
        return
    assert all(gate.path)
    assert parse_gate(gate.expression) == gate


@given(st.floats(0, 1), st.floats(0, 1))
def test_less_and_at_least_exclude_each_other(value, limit):
    result = {"a": value}
    less, least = (check_gates([Gate(("a",), sign, limit)], result)[0].passed for sign in ("<", ">="))
    assert less is not least
