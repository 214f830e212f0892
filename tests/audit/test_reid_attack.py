"""Re-identification on releases of which the truth is known."""

import json
from dataclasses import replace

import numpy as np
import pytest
from audit_sets import QUICK, Coarse, contrast_trainer, copy, mirrored, noise, release

from deid.audit import ATTACKS
from deid.audit.attackers import Remembered
from deid.audit.controls import psnr, random_change
from deid.audit.pairing import study_pairs
from deid.audit.reid import JOINED, reid
from deid.audit.verdict import LINKABLE, NO_LINK, NOT_ASSESSED, TOO_WEAK, Evidence, judge, words
from deid.core.errors import UsageError

MANY = 110


def measured(section):
    return section["value"], section["lower"], section["upper"]


@pytest.fixture(scope="module")
def copied():
    return reid(release(MANY, copy), {"coarse": Coarse()}, None, QUICK)


@pytest.fixture(scope="module")
def mirror():
    return reid(release(MANY, mirrored), {"coarse": Coarse()}, {"trained": contrast_trainer}, QUICK)


def test_a_copy_is_linkable(copied):
    assert copied["verdict"] == copied["words"] == "linkable" and copied["status"] == "assessed"
    ceiling, frozen = copied["ceiling"], copied["attackers"]["coarse"]
    assert ceiling["auc"]["value"] > 0.8
    assert frozen["original_scrubbed"]["auc"]["value"] == frozen["original_original"]["auc"]["value"]
    assert frozen["original_scrubbed"]["rank_1"]["lower"] > frozen["original_scrubbed"]["chance_rank_1"]
    assert copied["controls"]["random_change"]["status"] == "not assessed"


def test_shuffled_labels_are_at_chance(copied, mirror):
    for section in (copied, mirror):
        value, lower, upper = measured(section["controls"]["shuffled_labels"])
        assert lower < 0.5 <= value < 0.6 and upper - lower < 0.25


def test_what_only_fools_the_frozen_critic_is_caught_by_the_adaptive(mirror):
    assert measured(mirror["frozen"]["auc"])[0] < 0.6
    assert mirror["adaptive"]["auc"]["lower"] > 0.6
    assert mirror["adaptive"]["attacker"] == "trained" and mirror["adaptive"]["restarts"]["count"] == 1
    assert mirror["verdict"] == "linkable"


def test_noise_is_at_chance():
    section = reid(release(MANY, noise), {"coarse": Coarse()}, {"trained": contrast_trainer}, QUICK)
    assert section["verdict"] == "no link found"
    assert f"N = {MANY} patients, upper bound AUC" in section["words"]
    assert section["adaptive"]["auc"]["value"] < 0.62
    assert section["power"]["smallest_difference"] < 0.3


def test_a_frozen_attacker_proves_no_absence():
    section = reid(release(MANY, noise), {"coarse": Coarse()}, None, QUICK)
    assert section["verdict"] == "not assessed" and "proves no absence" in section["reason"]
    assert section["adaptive"] == {
        "status": "not assessed",
        "reason": "no attacker was trained on these images",
    }


def test_a_weak_ceiling_concludes_nothing():
    images = release(MANY, noise)
    blind = replace(images, originals=noise(images.originals)[::-1].copy())
    section = reid(blind, {}, None, QUICK)
    assert section["verdict"] == "not assessed" and section["reason"] == "attacker too weak to conclude"


def reached(value, half):
    auc = {"value": value, "lower": value - half, "upper": value + half}
    return {"status": "assessed", "auc": auc, "patients": 100}


def test_a_weak_attacker_who_finds_a_link_has_found_it():
    weak = {"auc": reached(0.66, 0.02)["auc"]}
    assert judge(Evidence([reached(0.65, 0.02)], 1, weak, 0.01)) == (LINKABLE, "")
    assert judge(Evidence([reached(0.5, 0.02)], 1, weak, 0.01)) == (NOT_ASSESSED, TOO_WEAK)


def test_the_upper_bound_is_the_largest_of_all_attackers():
    said = words(NO_LINK, [reached(0.53, 0.01), reached(0.52, 0.15), {"status": "not assessed"}])
    assert said == "no link found by these attackers at N = 100 patients, upper bound AUC 0.67"


def permuted(originals):
    places = np.random.default_rng(5).permutation(originals[0].size)
    return originals.reshape(len(originals), -1)[:, places].reshape(originals.shape)


def test_scrubbed_studies_that_find_each_other_are_a_link():
    section = reid(release(MANY, permuted), {"coarse": Coarse()}, None, QUICK)
    assert section["scrubbed_scrubbed"]["auc"]["lower"] > 0.6
    assert section["frozen"]["auc"]["lower"] < 0.6
    assert (section["verdict"], section["reason"]) == ("linkable", JOINED)


def test_a_search_is_turned_round_as_the_scores_are():
    section = reid(release(40, lambda originals: 1 - originals), {"coarse": Coarse()}, None, QUICK)
    sides = section["attackers"]["coarse"]
    found, known = (sides[name]["rank_1"]["value"] for name in ("original_scrubbed", "original_original"))
    assert found == pytest.approx(known, abs=0.05) and found > 0.1


def test_an_attacker_shipped_with_the_anonymizer_counts_as_adaptive():
    section = reid(release(40, copy), {}, None, QUICK, {"shipped": Coarse()})
    assert section["adaptive"]["attacker"] == "shipped" and section["verdict"] == "linkable"


def test_a_release_alone_is_attacked_within_itself():
    images = release(40, copy)
    section = reid(replace(images, originals=None), {"coarse": Coarse()}, None, QUICK)
    assert section["verdict"] == "linkable" and section["ceiling"]["status"] == "not assessed"
    assert section["scrubbed_scrubbed"]["auc"]["lower"] > 0.6
    assert set(section["attackers"]["coarse"]) == {"scrubbed_scrubbed"}


def test_too_few_patients_give_nothing():
    section = reid(release(4, copy), {}, None, QUICK)
    assert section["status"] == section["verdict"] == "not assessed"
    assert section["reason"].startswith("fewer than 5 patients") and "attackers" not in section


def test_few_genuine_pairs_give_no_curve():
    section = reid(release(12, copy), {}, None, QUICK)["attackers"]["perceptual_hash"]["original_original"]
    assert section["genuine"] == 12 and section["tpr_at_fpr_1e-2"] is None
    assert "roc" not in section and "histogram" not in section
    # Across two sides each pair stands twice, which makes it no two.
    crossed = reid(release(12, copy), {}, None, QUICK)["attackers"]["perceptual_hash"]["original_scrubbed"]
    assert crossed["genuine"] == 24 and crossed["tpr_at_fpr_1e-2"] is None
    assert "roc" not in crossed and "histogram" not in crossed


def test_a_trainer_that_refuses_takes_nothing_from_the_others():
    def refuses(*images, seed):
        raise UsageError("too little to learn from")

    section = reid(release(MANY, copy), {"coarse": Coarse()}, {"trained": refuses}, QUICK)
    assert section["verdict"] == "linkable" and section["frozen"]["auc"]["value"] > 0.8
    assert section["adaptive"] == {"status": "not assessed", "reason": "too little to learn from"}


def test_the_section_is_json_without_a_label_and_the_same_for_a_seed(mirror):
    again = reid(release(MANY, mirrored), {"coarse": Coarse()}, {"trained": contrast_trainer}, QUICK)
    text = json.dumps(mirror, allow_nan=False)
    assert text == json.dumps(again, allow_nan=False)
    assert "secret" not in text and "S0" not in text and "P0-" not in text
    curve = mirror["frozen"]["roc"]
    assert len(curve["fpr"]) == len(curve["tpr"]) <= 200 and sorted(curve["tpr"]) == curve["tpr"]
    histogram = mirror["frozen"]["histogram"]
    assert len(histogram["edges"]) == 31 and sum(histogram["genuine"]) == pytest.approx(1, abs=1e-4)


def test_pairs_are_of_different_studies_and_one_group():
    patients, studies = np.array([0, 0, 0, 1, 1, 2]), np.array([0, 0, 1, 2, 3, 4])
    groups = np.array([0, 0, 0, 0, 1, 0])
    pairs = study_pairs(patients, studies, groups)
    listed = set(zip(pairs.first.tolist(), pairs.second.tolist(), strict=True))
    assert {(one, other) for one, other in listed if patients[one] == patients[other]} == {(0, 2), (1, 2)}
    assert all(groups[one] == groups[other] for one, other in listed)
    assert pairs.weights[pairs.genuine].sum() == pytest.approx(pairs.weights[~pairs.genuine].sum())


def test_a_random_change_is_as_strong_as_the_anonymizer():
    images = release(10, lambda originals: np.clip(originals + 0.1, 0, 1))
    changed = random_change(images.originals, images.scrubbed, seed=3)
    wanted = psnr(images.originals, images.scrubbed).mean()
    assert psnr(images.originals, changed).mean() == pytest.approx(wanted, abs=0.2)
    assert random_change(images.originals, images.originals, seed=3) is None


@pytest.mark.parametrize(("small", "gallery"), [(5, 55), (9, 51), (11, 49), (20, 20)])
def test_a_small_group_does_not_make_the_gallery_small(small, gallery):
    """Ranks are stated for the smallest gallery, which a few children among adults would set."""
    images = release(60, copy)
    few = set(sorted(set(images.patients))[:small])
    images = replace(images, sources=tuple("few" if name in few else "many" for name in images.patients))
    found = reid(images, {"coarse": Coarse()}, None, QUICK)["attackers"]["coarse"]["original_scrubbed"]
    assert found["gallery"] == gallery and found["patients"] == 60


def test_large_releases_are_sampled_by_patient():
    images = release(20, copy)
    some = images.at_most(11, seed=1)
    assert len(some) == 10 and len(some.recurring()) == 5
    with pytest.raises(ValueError, match="one shape"):
        replace(images, originals=images.originals[1:])


def test_a_remembered_network_embeds_each_batch_once():
    calls = []

    class Counted(Coarse):
        def embed(self, images):
            calls.append(len(images))
            return super().embed(images)

    images = release(40, mirrored)
    network = Remembered(Counted())
    first = ATTACKS["linkage"](images, {"coarse": network})
    assert (
        first
        == ATTACKS["linkage"](images, {"coarse": network})
        == ATTACKS["linkage"](images, {"coarse": Coarse()})
    )
    assert sum(calls) == 2 * len(images)


def test_attacks_are_called_by_name():
    assert set(ATTACKS) == {"reid", "linkage", "inversion", "header", "utility", "plane"}
    section = ATTACKS["linkage"](release(6, copy), {})
    assert section["methods"]["pixels"]["rank_1"]["value"] == 1


def test_every_kind_of_trained_attacker_stands_for_itself():
    kinds = {"trained": contrast_trainer, "trained siamese": contrast_trainer}
    section = reid(release(MANY, mirrored), {}, kinds, QUICK)
    assert set(kinds) <= section["attackers"].keys()
    assert all(section["attackers"][name]["original_scrubbed"]["restarts"]["count"] == 1 for name in kinds)
    assert section["adaptive"]["attacker"] in kinds
