"""All chest images of the sample data, as the networks see them."""

import time
from pathlib import Path

import pytest

from deid.training.images import ImageStore
from deid.training.manifest import read_manifest
from deid.training.pairs import PKSampler, make_pairs
from deid.training.split import near_duplicates, split_patients

MANIFEST = Path(__file__).resolve().parents[2] / "../shared/data/manifest.csv"


@pytest.mark.shared
@pytest.mark.skipif(not MANIFEST.is_file(), reason="the sample data is not beside the checkout")
def test_all_chest_images_are_loaded_within_a_minute(capsys):
    samples = read_manifest(MANIFEST).only(modalities=["XR"])
    start = time.process_time()
    store = ImageStore.load(samples.samples, 112)
    seconds = time.process_time() - start
    with capsys.disabled():
        print(f"\n{len(store)} chest images at 112 px: {seconds:.1f} s of one core; {store.report}")
    assert len(store) == len(samples) and not store.report.left_out
    assert seconds < 60
    duplicates = near_duplicates(store.images)
    split = split_patients(store.patients, duplicates)
    shares = [len(part) / len(store) for part in (split.train, split.validation, split.test)]
    assert abs(shares[0] - 0.7) < 0.05 and abs(shares[1] - 0.1) < 0.03
    assert len(make_pairs(store, split.test, duplicates=duplicates)) > 500
    assert PKSampler(store, split.train, patients=16, images=4).batches > 20
