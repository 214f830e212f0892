"""What an audit trains on a user's own pairs."""

from dataclasses import replace

import numpy as np
import torch
from training.recognition_sets import blobs

from deid.networks.siamese import SiameseResNet
from deid.reid.embedding import embed_images
from deid.reid.metrics import roc_auc
from deid.training.attacker import paired_verification
from deid.training.audit_attacker import AttackerTrainer, AuditTraining, RestorerTrainer

HOW = AuditTraining(
    size=32, width=8, epochs=3, steps=20, patients=24, restorer_steps=30, device="cpu", augmentation=None
)


def arrays(patients, seed):
    """Originals, their mirror images, and who they show."""
    store = blobs(patients, 2, seed)
    originals = store.images.astype(np.float32) / 255
    names = [(sample.patient, f"{sample.patient}{sample.study}") for sample in store.samples]
    people, studies = (tuple(part) for part in zip(*names, strict=True))
    return originals, np.ascontiguousarray(originals[:, :, ::-1]), people, studies


def test_an_attacker_learns_what_the_anonymizer_does(tmp_path):
    originals, scrubbed, people, studies = arrays(60, 1)
    how = AuditTraining(**(vars(HOW) | {"folder": tmp_path}))
    train = AttackerTrainer(how)
    network = train(originals, scrubbed, people, studies, ("DX",) * len(people), seed=5)
    assert not network.training and not any(tmp_path.iterdir())
    originals, scrubbed, people, _ = arrays(40, 2)
    scores = embed_images(network, originals[0::2]) @ embed_images(network, scrubbed[1::2]).T
    same = np.array(people[0::2])[:, None] == np.array(people[1::2])
    assert roc_auc(scores.ravel(), same.ravel()) > 0.7


def test_full_effort_trains_a_siamese_network_as_well():
    assert list(AuditTraining.of("quick").attackers()) == ["trained"]
    assert list(AuditTraining.of("full").attackers()) == ["trained", "trained siamese"]
    originals, scrubbed, people, studies = arrays(40, 1)
    how = replace(HOW, epochs=1, steps=3, kinds=("siamese",))
    (train,) = how.attackers().values()
    network = train(originals, scrubbed, people, studies, ("DX",) * len(people), seed=5)
    assert isinstance(network, SiameseResNet) and not network.training
    vectors = embed_images(network, scrubbed)
    assert np.isfinite(vectors).all() and vectors.std(axis=0).max() > 1e-3


def test_a_verifier_is_taught_which_pairs_are_of_one_patient():
    """Where the difference tells, the loss is small; for dealt out partners it is large."""
    network = SiameseResNet(size=32, dimension=4)
    with torch.no_grad():
        network.verify.weight.fill_(-40)
        network.verify.bias.fill_(10)
    one = 8 * torch.eye(4) - 4
    assert paired_verification(network, one, one) < 0.01
    assert paired_verification(network, one, one.roll(1, 0)) > 5


def test_a_restorer_comes_nearer_to_the_originals():
    originals, _, _, _ = arrays(20, 1)
    darker = 0.5 * originals
    restorer = RestorerTrainer(HOW)(originals, darker, seed=1)
    with torch.inference_mode():
        back = restorer(torch.from_numpy(darker)[:, None])[:, 0].numpy()
    assert np.abs(back - originals).mean() < 0.5 * np.abs(darker - originals).mean()
