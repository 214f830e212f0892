"""Pairs and batches differ in nothing but the person."""

import numpy as np
import pytest
from training.stores import patients, store_of

from deid.core.errors import UsageError
from deid.training.images import ImageStore, LoadReport
from deid.training.pairs import PKSampler, group_names, make_pairs, sick_or_healthy
from deid.training.samples import Sample


@pytest.fixture
def store():
    return store_of(
        *patients(6, 3, "a", ()),
        *patients(6, 2, "a", ("Mass",), start=6),
        *patients(5, 2, "b", (), start=20),
        *patients(1, 30, "b", (), start=40),
        *patients(9, 1, "b", (), start=50),
    )


def test_both_images_of_a_pair_are_of_one_group(store):
    pairs = make_pairs(store, seed=1)
    names = group_names(store)
    person = np.array(store.patients)
    assert all(names[one] == names[other] for one, other in zip(pairs.first, pairs.second, strict=True))
    np.testing.assert_array_equal(person[pairs.first] == person[pairs.second], pairs.genuine)
    assert pairs.genuine.sum() * 2 == len(pairs)
    for name in set(names):
        here = np.array([names[i] == name for i in pairs.first])
        assert pairs.genuine[here].sum() * 2 == here.sum()


def test_a_patient_with_many_images_weighs_as_much_as_another(store):
    pairs = make_pairs(store, per_patient=10)
    person = np.array(store.patients)[pairs.first]
    source = np.array([sample.source for sample in store.samples])[pairs.first]
    for genuine in (True, False):
        sums = {
            name: pairs.weights[(person == name) & (pairs.genuine == genuine)].sum()
            for name in set(person[source == "b"])
        }
        assert len(sums) == 6 and np.ptp(list(sums.values())) < 1e-9
    assert ((person == "p40") & pairs.genuine).sum() == 10
    assert pairs.weights[pairs.genuine].sum() == pytest.approx(pairs.weights[~pairs.genuine].sum())


def test_pairs_depend_on_the_seed_alone(store):
    one, again, other = (make_pairs(store, seed=seed) for seed in (3, 3, 4))
    np.testing.assert_array_equal(one.second, again.second)
    assert not np.array_equal(one.second, other.second)
    part = make_pairs(store, np.arange(18)[::-1], seed=3)
    assert part.first.max() < 18 and part.second.max() < 18


def test_one_study_and_near_duplicates_make_no_pair():
    fields = [*patients(2, 2), {"patient": "p0", "study": "s0", "source": "a", "findings": ()}]
    store = store_of(*fields)
    drawn = {frozenset((int(a), int(b))) for a, b, g in pairs_of(make_pairs(store)) if g}
    assert drawn == {frozenset((0, 1)), frozenset((1, 4)), frozenset((2, 3))}
    drawn = {frozenset((int(a), int(b))) for a, b, g in pairs_of(make_pairs(store, duplicates=[(1, 4)])) if g}
    assert drawn == {frozenset((0, 1)), frozenset((2, 3))}


def test_two_ids_that_share_a_picture_are_no_strangers():
    store = store_of(*patients(3, 2))
    pairs = make_pairs(store, duplicates=[(0, 2)])
    impostors = {(store.patients[a], store.patients[b]) for a, b, g in pairs_of(pairs) if not g}
    assert ("p0", "p1") not in impostors and ("p1", "p0") not in impostors and impostors
    with pytest.raises(UsageError, match="no pair can be drawn"):
        make_pairs(store_of(*patients(2, 2)), duplicates=[(0, 2)])


def pairs_of(pairs):
    return zip(pairs.first.tolist(), pairs.second.tolist(), pairs.genuine.tolist(), strict=True)


def test_slices_of_a_volume_are_compared_with_their_like():
    volumes = [Sample(f"{i}.nii", f"p{i // 2}", "a", "MR", f"s{i}", "T1w") for i in range(6)]
    samples = tuple(volume for volume in volumes for _ in range(3))
    images = np.zeros((18, 32, 32), np.uint8)
    frames = np.tile([4, 8, 12], 6)
    store = ImageStore(images, samples, frames, np.full(18, 32), LoadReport(6, {}, 0))
    pairs = make_pairs(store)
    assert (pairs.first % 3 == pairs.second % 3).all() and len(pairs) == 18


def test_too_few_patients_are_refused_with_what_is_needed():
    for fields in (patients(1, 5), patients(5, 1)):
        with pytest.raises(UsageError, match="at least two patients"):
            make_pairs(store_of(*fields))
        with pytest.raises(UsageError, match="patients with several images"):
            PKSampler(store_of(*fields))


def test_findings_are_three_groups():
    named = [sick_or_healthy(Sample("x", "p", findings=f)) for f in (None, (), ("Mass",))]
    assert len(set(named)) == 3


def test_a_batch_is_p_patients_times_k_images_of_one_group(store):
    sampler = PKSampler(store, patients=4, images=3)
    names = np.array(group_names(store))
    random = np.random.default_rng(0)
    seen = set()
    for batch in [sampler.batch(random) for _ in range(60)]:
        assert len(set(names[batch])) == 1
        blocks = np.array(store.patients)[batch].reshape(4, 3)
        assert (blocks == blocks[:, :1]).all() and len(set(blocks[:, 0])) == 4
        seen.add(names[batch[0]])
    assert len(seen) == 3
    assert sampler.batches == round(18 / 4)
    assert len(list(sampler.epoch(random))) == sampler.batches


def test_studies_come_before_second_images_and_few_images_repeat():
    fields = [{"patient": "p0", "study": s, "source": "a", "findings": ()} for s in ("s0", "s0", "s0", "s1")]
    store = store_of(*fields, *patients(1, 2, start=1))
    sampler = PKSampler(store, patients=2, images=2)
    for seed in range(20):
        batch = sampler.batch(np.random.default_rng(seed)).reshape(2, 2)
        studies = [{store.samples[i].study for i in row} for row in batch]
        assert all(len(found) == 2 for found in studies)
    wide = PKSampler(store, patients=2, images=4).batch(np.random.default_rng(0)).reshape(2, 4)
    assert sorted(len(set(row.tolist())) for row in wide) == [2, 4]


def test_strangers_fill_a_share_of_the_batch(store):
    sampler = PKSampler(store, np.arange(30, len(store)), patients=6, images=2, paired_share=0.5)
    batch = np.array(store.patients)[sampler.batch(np.random.default_rng(0))]
    single = [int(name[1:]) >= 50 for name in batch[::2]]
    assert sum(single) == 3
