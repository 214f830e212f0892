"""Audits of shards as one: counts add, means lie between, no verdict grows milder, strangers are refused."""

import copy
import itertools
import json

import jsonschema
import numpy as np
import pytest
from builders.audits import SAMPLES, assessed, attack, measure, no_link, nothing_assessed

from deid.audit.gates import check_gates, parse_gate
from deid.audit.merge import merge
from deid.audit.pooling import pooled_attack, pooled_measure
from deid.audit.report import render
from deid.audit.schema import schema
from deid.core.errors import UsageError

SPLIT = "0123456789abcdef"


def quiet():
    """Every attacker at chance, by figures and by words."""
    result = no_link()
    for each in result["reid"]["attackers"].values():
        each["original_scrubbed"] = attack(0.0, seed=3)
    for way in ("fixed_point", "gradient_descent"):
        result["inversion"]["methods"][way]["reid"] = attack(0.0, seed=3)
        result["inversion"]["methods"][way]["linkage"]["auc"] = measure(0.5)
    result["linkage"]["methods"]["pixels"]["auc"] = measure(0.5)
    return result


def shard(number, of=2, make=quiet, split=SPLIT, **release):
    """An audit that says which shard it is of."""
    result = copy.deepcopy(make())
    result["release"] |= {"part": {"number": number, "of": of, "split": split}} | release
    return result


def merged(*results):
    found = merge(results)
    jsonschema.validate(found, schema())
    return found


@pytest.mark.parametrize("name", sorted(set(SAMPLES) - {"hostile"}))
def test_merging_one_audit_gives_that_audit(name):
    result = json.loads(json.dumps(SAMPLES[name]()))
    assert merge([result]) == result | {"gates": []}


def test_the_order_does_not_matter():
    shards = [
        shard(1, 3, patients=40),
        shard(2, 3, assessed, patients=400),
        shard(3, 3, nothing_assessed, patients=7),
    ]
    shards[2]["manifest"] |= {"recipe": "9c" * 32}
    shards[2]["manifest"]["options"] = {"effort": "quick"}
    found = [json.dumps(merged(*order)) for order in itertools.permutations(shards)]
    assert len(set(found)) == 1


def test_counts_are_added():
    one = shard(1, patients=30, left_out={"file not found": 1})
    other = shard(2, patients=12, left_out={"file not found": 2, "unreadable file": 1})
    other["header"] |= {"certain": 3, "values": 10, "verdict": "linkable"}
    other["header"]["hash_dictionary"] = {"tried": 10, "recovered": 2, "upper": 0.5}
    found = merged(one, other)
    assert found["release"]["patients"] == 42
    assert found["release"]["images"] == 2000
    assert found["release"]["modalities"] == {"CR": 720, "DX": 1280}
    assert found["release"]["left_out"] == {"file not found": 3, "unreadable file": 1}
    header = found["header"]
    assert (header["certain"], header["possible"], header["values"]) == (3, 24, 4220)
    assert header["by_place"]["standard text"] == 16
    assert header["uniqueness"]["k"] == {"1": 12, "2-4": 36, "5+": 192}
    assert header["hash_dictionary"]["recovered"] == 2
    assert 2 / 20010 < header["hash_dictionary"]["upper"] < 0.001
    assert header["shift"]["patients"] == 240
    assert found["reid"]["adaptive"]["genuine"] == 680
    assert found["manifest"]["seconds"]["reid"] == pytest.approx(824.6)


def test_a_mean_is_weighted_by_patients_and_its_interval_is_that_of_independent_parts():
    found = pooled_measure([measure(0.6, 0.04), measure(0.9, 0.08)], [300, 100], 2)
    assert found["value"] == pytest.approx(0.675)
    assert found["upper"] - found["value"] == pytest.approx(np.hypot(0.75 * 0.04, 0.25 * 0.08), abs=1e-6)
    assert found["shards"] == {
        "assessed": 2,
        "of": 2,
        "lowest": 0.6,
        "highest": 0.9,
        "lower": 0.56,
        "upper": 0.98,
    }


def test_the_interval_covers_the_mean_of_independent_shards():
    """95 % of the time, of normal estimates with errors of different size."""
    random = np.random.default_rng(0)
    errors, weights = np.array([0.01, 0.03, 0.08]), [200, 50, 10]
    truth, hits = np.average([0.6, 0.7, 0.55], weights=weights), 0
    for _ in range(1000):
        values = random.normal([0.6, 0.7, 0.55], errors)
        shards = [measure(v, 1.96 * e, high=9, low=-9) for v, e in zip(values, errors, strict=True)]
        found = pooled_measure(shards, weights, 3)
        hits += found["lower"] <= truth <= found["upper"]
    assert 925 <= hits <= 972


def test_curves_of_shards_are_averaged():
    same = attack(1.0)
    found = pooled_attack([same, same], 2)
    assert found["auc"]["value"] == same["auc"]["value"]
    assert np.allclose(
        np.interp(same["roc"]["fpr"], found["roc"]["fpr"], found["roc"]["tpr"])[40:],
        same["roc"]["tpr"][40:],
        atol=0.05,
    )
    assert np.isclose(sum(found["histogram"]["genuine"]), 1, atol=1e-4)
    assert found["cmc"] == pytest.approx(same["cmc"], abs=1e-6)
    other = pooled_attack([same, attack(0.5, "mami")], 2)
    assert other["attacker"] == "each shard's strongest: mami, siamese"
    assert "histogram" not in other


@pytest.mark.parametrize(
    ("verdicts", "expected"),
    [
        (("no link found", "no link found"), "no link found"),
        (("no link found", "linkable"), "linkable"),
        (("no link found", "not assessed"), "not assessed"),
        (("linkable", "not assessed"), "linkable"),
    ],
)
def test_no_verdict_is_milder_than_that_of_a_shard(verdicts, expected):
    shards = [shard(number + 1) for number in range(2)]
    for each, verdict in zip(shards, verdicts, strict=True):
        for threat in ("linkage", "inversion", "header"):
            each[threat] |= {"verdict": verdict}
        each["reid"]["verdict"] = each["verdict"] = verdict
    found = merged(*shards)
    assert [found[name]["verdict"] for name in ("reid", "linkage", "inversion", "header")] == [expected] * 4
    assert found["verdict"] == expected
    assert found["merged"]["verdicts"]["reid"][verdicts[0]] >= 1


def test_shards_together_show_what_none_shows_alone():
    """Chance, turned round in every shard, is no link; a little more everywhere is one."""
    random = np.random.default_rng(1)

    def verdict(excess):
        shards = []
        for number in range(8):
            each = shard(number + 1, 8)
            value = 0.5 + abs(random.normal(excess, 0.02))
            moved = attack(0.0) | {"auc": measure(value, 1.96 * 0.02)}
            each["reid"]["attackers"] = {"mami": {"original_scrubbed": moved}}
            each["reid"]["controls"]["shuffled_labels"] = measure(0.5, 1.96 * 0.02)
            shards.append(each)
        return merged(*shards)["reid"]["verdict"]

    assert [verdict(0.0) for _ in range(10)].count("linkable") <= 1
    assert verdict(0.05) == "linkable"


def test_shards_together_find_originals_that_were_restored():
    def verdict(excess):
        shards = [shard(number + 1, 8, patients=100) for number in range(8)]
        for each in shards:
            for way in ("fixed_point", "gradient_descent"):
                link = each["inversion"]["methods"][way]["linkage"]
                link["auc"] = measure(0.5 + excess, 0.04)
        return merged(*shards)["inversion"]["verdict"]

    assert verdict(0.02) == "no link found"
    assert verdict(0.08) == "linkable"


def test_a_missing_shard_is_not_assessed():
    found = merged(shard(1, 3), shard(3, 3))
    assert found["merged"]["shards"] == 3
    assert found["header"]["verdict"] == found["verdict"] == "not assessed"
    assert "2 of 3 shards" in found["header"]["reason"]
    gates = [parse_gate("header.certain==0"), parse_gate("reid.adaptive.auc<0.6")]
    assert [gate.passed for gate in check_gates(gates, found)] == [False, False]
    assert [gate.passed for gate in check_gates(gates, found, allow_not_assessed=True)] == [True, True]
    complete = merged(shard(1), shard(2, patients=9))
    assert [gate.passed for gate in check_gates(gates, complete)] == [True, True]


def test_one_shard_of_several_is_not_the_release():
    """A pipeline in which the other shards failed gives this one alone to --merge."""
    found = merged(shard(2))
    assert found["merged"]["audits"] == 1 and found["verdict"] == "not assessed"
    (gate,) = check_gates([parse_gate("header.certain==0")], found)
    assert not gate.passed
    assert "1 of 2 shards" in render(found)


def test_what_one_shard_lacks_is_said():
    one, other = shard(1), shard(2)
    other["reid"]["adaptive"] = {"status": "not assessed", "reason": "too few"}
    found = merged(one, other)
    assert found["reid"]["adaptive"]["shards"] == {"assessed": 1, "of": 2}
    (gate,) = check_gates([parse_gate("reid.adaptive.auc<0.9")], found)
    assert (gate.passed, gate.reason) == (False, "not assessed in every shard")


def test_ways_of_measuring_utility_are_not_mixed():
    one, other = shard(1), shard(2)
    one["utility"]["classifier"]["basis"] = "labels"
    other["utility"]["classifier"]["basis"] = "agreement of the classifier with itself"
    assert merged(one, other)["utility"]["classifier"]["status"] == "not assessed"


def changed(result, *path, value):
    here = result
    for name in path[:-1]:
        here = here[name]
    here[path[-1]] = value
    return result


@pytest.mark.parametrize(
    ("other", "message"),
    [
        (shard(1), "same shard"),
        (shard(2, 3), "cut differently"),
        (shard(2, split="f" * 16), "different projects"),
        (quiet(), "others do not"),
        (changed(shard(2), "tool", "version", value="9"), "version"),
        (changed(shard(2), "manifest", "recipe", value="ab" * 32), "recipe"),
        (changed(shard(2), "manifest", "models", "chest-critic", value="ab" * 32), "other weights"),
        (changed(shard(2), "manifest", "options", "effort", value="full"), "--effort"),
        (changed(shard(2), "manifest", "editions", value={"DICOM PS3.6": "1"}), "edition"),
        (changed(shard(2), "release", "mode", value="release"), "mode"),
    ],
)
def test_what_does_not_belong_together_is_refused(other, message):
    with pytest.raises(UsageError, match=message):
        merge([shard(1), other])


def test_merged_audits_are_not_merged_again():
    with pytest.raises(UsageError, match="merged already"):
        merge([merged(shard(1, 3), shard(2, 3)), shard(3, 3)])


def test_audits_that_do_not_name_their_shard_are_merged_unless_they_are_the_same():
    other = quiet()
    other["release"]["patients"] = 5
    assert merged(quiet(), other)["merged"]["apart"] == "not checked"
    with pytest.raises(UsageError, match="say the same"):
        merge([quiet(), quiet() | {"gates": assessed()["gates"]}])


def test_the_page_shows_the_shards():
    page = render(merged(shard(1, make=assessed), shard(2, make=assessed, patients=3)))
    assert "Merged from 2 of 2 shards" in page
    assert "no patient is in two of them, by their shard numbers" in page
    assert "reid, adaptive, auc" in page
    assert "Merged from" not in render(assessed())


def test_planes_are_pooled_by_strength():
    one, other = shard(1, make=assessed), shard(2, make=assessed)
    one["plane"]["patients"], other["plane"]["patients"] = 300, 100
    one["plane"]["strengths"]["1"]["auc"] = measure(0.6)
    other["plane"]["strengths"]["1"]["auc"] = measure(0.8)
    other["plane"]["strengths"]["1"]["attacker"] = "another"
    del other["plane"]["strengths"]["0"]
    plane = merged(one, other)["plane"]
    assert plane["strengths"]["1"]["auc"]["value"] == pytest.approx(0.65)
    assert plane["strengths"]["1"]["auc"]["shards"]["highest"] == 0.8
    assert plane["strengths"]["1"]["attacker"] == "the strongest of each shard"
    assert "0" not in plane["strengths"] and plane["patients"] == 400
    assert plane["shards"] == {"assessed": 2, "of": 2}
    other["plane"]["release"]["strength"] = 0.123
    assert merged(one, other)["plane"]["release"]["status"] == "not assessed"
    other["plane"]["basis"] = "something else"
    assert merged(one, other)["plane"]["status"] == "not assessed"
    del one["plane"]
    assert "plane" not in merged(one, other)
