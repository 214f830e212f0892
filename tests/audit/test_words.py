"""Sentences: they carry the numbers, one of three verdicts, and no promise."""

import math
import re

import pytest
from builders.audits import SAMPLES, assessed, measure, no_link, nothing_assessed, release_alone

from deid.audit.numerals import MISSING, count, decimal, measured, share
from deid.audit.schema import VERDICTS
from deid.audit.summaries import summary
from deid.audit.words import THREATS, Verdict, headline, sentence, utility_sentence, verdict


def test_the_headline_is_the_strongest_attack_on_scrubbed_images():
    reid = assessed()["reid"]
    assert headline(reid)[0] == "adaptive"
    reid["training_free"]["auc"] = measure(0.9)
    assert headline(reid)[0] == "training_free"
    assert headline(release_alone()["reid"])[0] == "scrubbed_scrubbed"
    assert headline({}) is None


def test_a_link_is_told_against_chance_and_ceiling():
    reid = assessed()["reid"]
    said = sentence("reid", reid)
    auc, rank = reid["adaptive"]["auc"], reid["adaptive"]["rank_1"]
    assert said.startswith("Linkable. An attacker re-trained on scrubbed images (siamese)")
    assert measured(auc) in said and measured(reid["ceiling"]["auc"]) in said and "chance is 0.50" in said
    assert f"{measured(rank, share)} of the queries among 120 candidates; chance is 0.8 %" in said


def test_no_link_comes_with_n_and_the_largest_upper_bound():
    reid = no_link()["reid"]
    bounds = [reid[key]["auc"]["upper"] for key in ("adaptive", "frozen", "training_free")]
    said = sentence("reid", reid)
    opening = "No link found by these attackers at N = 120 patients, upper bound "
    assert said.startswith(f"{opening}{max(bounds):.2f} of the AUC.")
    linkage = sentence("linkage", no_link()["linkage"])
    assert "at N = 1,000 originals, upper bound 3.2 %" in linkage


def test_retained_is_said_by_how_it_was_measured():
    section = assessed()["utility"]
    assert "The mean AUC of a disease classifier is" in utility_sentence(section)
    section["classifier"]["basis"] = "agreement of the classifier with itself"
    said = utility_sentence(section)
    assert "correlates with what it said before" in said and "AUC" not in said


def test_a_weak_ceiling_is_called_so():
    reid = no_link()["reid"]
    reid["ceiling"]["auc"] = measure(0.66)
    assert "0.66 (0.62 to 0.70) (too weak to conclude)" in sentence("reid", reid)
    reid |= {"verdict": "not assessed", "reason": "the attacker is too weak to conclude"}
    assert sentence("reid", reid).startswith(
        "Not assessed: the attacker is too weak to conclude. An attacker"
    )


def test_inversion_and_header_tell_what_they_reach():
    result = assessed()
    said = sentence("inversion", result["inversion"])
    assert "gradient descent with the anonymizer's own weights" in said and "50 % (47 to 53 %)" in said
    said = sentence("header", result["header"])
    assert said.startswith("No link found by this search at N = 1,000 files.")
    assert "4,210 source values" in said and "0 certain and 12 possible hits" in said
    assert "20,000 released UIDs and ids were tried as unkeyed hashes of source values: 0 recovered" in said
    assert "(95 % upper bound 0.015 %)" in said
    assert "recovered for 0 of 120 patients" in said


@pytest.mark.parametrize("threat", THREATS)
def test_what_was_not_assessed_says_why(threat):
    section = {"status": "not assessed", "reason": "too few patients."}
    assert sentence(threat, section) == "Not assessed: too few patients."
    assert sentence(threat, {}) == "Not assessed: no reason was recorded."
    row = summary(threat, section)
    assert (row.verdict, row.who, row.reaches) == (Verdict.NOT_ASSESSED, "-", "-")


def test_a_verdict_is_one_of_three_and_never_taken_from_what_was_not_assessed():
    assert tuple(Verdict) == VERDICTS
    assert verdict({"status": "assessed", "verdict": "anonymous"}) is Verdict.NOT_ASSESSED
    assert verdict({"status": "not assessed", "verdict": "no link found"}) is Verdict.NOT_ASSESSED
    assert verdict(None) is verdict({}) is Verdict.NOT_ASSESSED
    assert verdict({"status": "assessed", "verdict": "linkable"}) is Verdict.LINKABLE


@pytest.mark.parametrize("make", SAMPLES.values(), ids=SAMPLES)
def test_no_sentence_promises_anything(make):
    result = make()
    said = [sentence(threat, result[threat]) for threat in THREATS] + [utility_sentence(result["utility"])]
    assert all(said) and not re.search(r"\banonymous|\bsafe\b|hipaa|\bnan\b", " ".join(said).lower())


def test_assessed_without_figures_is_said_to_be_so():
    for threat in ("reid", "linkage", "inversion"):
        bare = {"status": "assessed", "verdict": "not assessed", "methods": {}}
        assert sentence(threat, bare) == "Not assessed: none of the attacks could be measured."
    assert utility_sentence(nothing_assessed()["utility"]).startswith("Not assessed:")


@pytest.mark.parametrize(
    ("value", "as_decimal", "as_share"),
    [
        (0.618, "0.62", "62 %"),
        (0, "0.00", "0 %"),
        (-0.0, "0.00", "0 %"),
        (0.0831, "0.08", "8.3 %"),
        (0.00015, "1.5e-04", "0.015 %"),
        (1e30, "1.0e+30", None),
        (math.nan, MISSING, MISSING),
        (math.inf, MISSING, MISSING),
        (None, MISSING, MISSING),
        (True, MISSING, MISSING),
        ("0.5", MISSING, MISSING),
    ],
)
def test_numbers_are_rounded_so_that_they_still_say_something(value, as_decimal, as_share):
    assert decimal(value) == as_decimal
    assert as_share is None or share(value) == as_share


def test_intervals_and_counts():
    assert measured(measure(0.5, 0.1)) == "0.50 (0.40 to 0.60)"
    assert measured(measure(0.5, 0.1), share) == "50 % (40 to 60 %)"
    assert measured({"value": 0.5, "lower": None, "upper": 0.6}) == "0.50"
    assert measured(0.5) == "0.50" and measured(None) == measured({}) == MISSING
    assert count(1234567) == "1,234,567" and count(None) == MISSING
