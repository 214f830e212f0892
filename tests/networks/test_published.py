"""The published checkpoint: converted where it fits, refused with a reason where it does not, never run."""

import io
import json
import pickle
import re
import zipfile
from pathlib import Path

import pytest
import torch

from deid.core.errors import UsageError
from deid.core.model_card import NETWORK_RANGE, Intensity
from deid.networks import published
from deid.networks.architectures import build
from deid.networks.folder import load_network
from deid.networks.published import compare, import_published, published_arguments, read_checkpoint
from deid.pixels.network_range import IntensityRule

RULE = Intensity(NETWORK_RANGE, IntensityRule().to_json())
SMALL = {
    "size": 16,
    "patch": 8,
    "width": 32,
    "depth": 2,
    "heads": 2,
    "gates": 4,
    "adapter": 8,
    "dimension": 8,
}
UNREAD = {
    "fc.weight": torch.zeros(1, 32),
    "ln_post.bias": torch.zeros(32),
    "transformer.resblocks.1.linear_a_c_proj_static": torch.zeros(1, 4, 32),
    "transformer.resblocks.0.lora_mlp_c_proj_b.l31.bias": torch.zeros(8, 32),
    "medical_prior.queries": torch.zeros(4),
}
REFERENCE = Path(__file__).resolve().parents[3] / "shared/reference/mami_parity.json"


@pytest.fixture(autouse=True)
def small(monkeypatch):
    """The published shape, made small."""
    full = published.published_arguments
    ranks = {16: 4, -1: -1}
    monkeypatch.setattr(
        published, "published_arguments", lambda rank: full(-1) | SMALL | {"rank": ranks[rank]}
    )


def state(rank=16, **changes):
    network = build("mami", published.published_arguments(rank))
    generator = torch.Generator().manual_seed(rank + 2)
    drawn = {k: torch.randn(t.shape, generator=generator) for k, t in network.state_dict().items()}
    return drawn | UNREAD | changes


def module(tensors):
    return {f"module.{key}": tensor for key, tensor in tensors.items()}


def saved(path, value):
    torch.save(value, path)
    return path


@pytest.mark.parametrize("rank", [16, -1])
@pytest.mark.parametrize(
    "wrap",
    [
        lambda tensors: {"model": module(tensors)},
        lambda tensors: {"model": tensors, "epoch": 19, "optimizer": {"state": {0: torch.zeros(2)}}},
        lambda tensors: tensors,
    ],
    ids=["published", "plain", "alone"],
)
def test_a_checkpoint_becomes_a_model_folder(tmp_path, rank, wrap):
    tensors = state(rank)
    path = saved(tmp_path / "MAMI_pretrained.pth", wrap(tensors))
    record, report = import_published(path, tmp_path / "mami", RULE)
    network, read = load_network(tmp_path / "mami")
    assert read == record and record.licence == "not stated by its authors; not redistributable"
    expected = network.state_dict()
    assert all(torch.equal(expected[key], tensors[key]) for key in expected)
    assert report.rank == rank and report.expected == report.found == len(expected)
    assert set(UNREAD) <= set(report.unread) and not report.problems() and report.dead_low_rank == ()
    assert "- missing: 0\n" in (tmp_path / "mami/card.md").read_text()


def test_dead_low_rank_pairs_are_reported(tmp_path):
    dead = {k: torch.zeros_like(t) for k, t in state().items() if "linear_" in k or ".l31." in k}
    path = saved(tmp_path / "x.pth", {"model": module(state(**dead))})
    _, report = import_published(path, tmp_path / "mami", RULE)
    assert len(report.dead_low_rank) == 2 * 4
    assert report.lines()[-1].startswith(
        "low-rank pairs that are zero on both sides, which no training revives: 8"
    )


def test_half_precision_is_read(tmp_path):
    path = saved(tmp_path / "x.pth", {key: tensor.half() for key, tensor in state(-1).items()})
    import_published(path, tmp_path / "mami", RULE)
    assert {p.dtype for p in load_network(tmp_path / "mami")[0].parameters()} == {torch.float32}


def without(tensors):
    del tensors["ln_pre.bias"], tensors["conv1.weight"]


def deeper(tensors):
    tensors["transformer.resblocks.2.ln_1.weight"] = torch.zeros(32)


def another_shape(tensors):
    tensors["class_embedding"] = torch.zeros(33)


def another_type(tensors):
    tensors["class_embedding"] = torch.zeros(32, dtype=torch.int64)


def eighth_precision(tensors):
    tensors["class_embedding"] = torch.zeros(32, dtype=torch.float8_e5m2)


def not_finite(tensors):
    tensors["class_embedding"][3] = float("inf")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (without, "missing: 2 (conv1.weight, ln_pre.bias)"),
        (deeper, "not of this network: 1 (transformer.resblocks.2.ln_1.weight)"),
        (another_shape, "of another shape or type: 1 (class_embedding is float32 [33] instead of [32])"),
        (another_type, "of another shape or type: 1 (class_embedding is int64 [32] instead of [32])"),
        (eighth_precision, "class_embedding is float8_e5m2 [32]"),
        (not_finite, "with NaN or infinite numbers: 1 (class_embedding)"),
    ],
)
def test_weights_that_do_not_fit_are_refused_by_key(tmp_path, change, said):
    tensors = state()
    change(tensors)
    path = saved(tmp_path / "x.pth", {"model": module(tensors)})
    with pytest.raises(UsageError) as caught:
        import_published(path, tmp_path / "mami", RULE)
    assert said in str(caught.value) and not (tmp_path / "mami").exists()


class Hostile:
    """Unpickled, it writes a file."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return (Path.write_text, (self.path, "run"))


def in_archive(path, index, compression=zipfile.ZIP_STORED):
    """A file of torch.save with this pickle in it."""
    with zipfile.ZipFile(path, "w", compression) as archive:
        archive.writestr("archive/data.pkl", index)
        archive.writestr("archive/version", "3\n")
        archive.writestr("archive/data/0", b"\0" * 64)
    return path


def test_code_in_a_pickle_is_not_run(tmp_path):
    mark = tmp_path / "mark"
    for path in (
        saved(tmp_path / "a.pth", {"model": state(-1), "args": Hostile(mark)}),
        in_archive(tmp_path / "b.pth", pickle.dumps(Hostile(mark), protocol=2)),
    ):
        with pytest.raises(UsageError, match=r"more than tensors.*; nothing in it was run"):
            read_checkpoint(path)
    (tmp_path / "c.pth").write_bytes(pickle.dumps(Hostile(mark)))
    with pytest.raises(UsageError, match=r"no file of torch\.save"):
        read_checkpoint(tmp_path / "c.pth")
    assert not mark.exists()


def cut(data):
    return data[: len(data) // 2]


def scrambled(data):
    return data[:100] + bytes(byte ^ 255 for byte in data[100:300]) + data[300:]


@pytest.mark.parametrize(
    "spoil",
    [cut, scrambled, lambda data: b"", lambda data: b"weights\n", lambda data: data[:-1]],
    ids=["cut", "scrambled", "empty", "text", "short"],
)
def test_damaged_files_are_refused(tmp_path, spoil):
    whole = io.BytesIO()
    torch.save({"model": state(-1)}, whole)
    (tmp_path / "x.pth").write_bytes(spoil(whole.getvalue()))
    with pytest.raises(UsageError, match=r"checkpoint"):
        import_published(tmp_path / "x.pth", tmp_path / "mami", RULE)
    with pytest.raises(UsageError, match=r"torch\.save"):
        read_checkpoint(tmp_path)
    assert not (tmp_path / "mami").exists()


def test_what_would_fill_the_memory_is_refused(tmp_path):
    zeros = b"\x80\x02" + b"X\x00\x00\x00\x01" + b" " * (1 << 24) + b"."
    for path in (
        in_archive(tmp_path / "a.pth", zeros, zipfile.ZIP_DEFLATED),
        in_archive(tmp_path / "b.pth", zeros),
    ):
        with pytest.raises(UsageError, match=r"no file of torch\.save"):
            read_checkpoint(path)
    # a view of one number as a million times a million
    path = saved(tmp_path / "c.pth", state(-1, class_embedding=torch.zeros(()).expand(10**6, 10**6)))
    with pytest.raises(UsageError, match=r"\[1000000, 1000000\] instead of \[32\]"):
        import_published(path, tmp_path / "mami", RULE)


@pytest.mark.parametrize(
    "value",
    [
        [],
        {},
        {"model": {}},
        {"model": [1]},
        {"model": {"a": 1}},
        {"model": {1: torch.zeros(1)}},
        torch.zeros(3),
    ],
)
def test_files_without_weights_are_refused(tmp_path, value):
    with pytest.raises(UsageError, match="holds no weights"):
        read_checkpoint(saved(tmp_path / "x.pth", value))


@pytest.mark.shared
@pytest.mark.skipif(not REFERENCE.is_file(), reason="the reference is not beside the checkout")
@pytest.mark.parametrize(("name", "rank"), [("lora16", 16), ("lora-1", -1)])
def test_the_published_keys_and_shapes_fit(name, rank):
    rows = json.loads(REFERENCE.read_text())["models"][name]["state_dict"]
    rows = [row for row in rows if not re.match(r"transformer\.resblocks\.(?!0\.)", row[0])]  # alike in all
    tensors = {key: torch.zeros(()).expand(shape) for key, shape, _ in rows}
    expected = build("mami", published_arguments(rank) | {"depth": 1}, "meta").state_dict()
    report = compare(tensors, expected, rank)
    assert report.problems() == [] and report.found == len(expected)
    assert set(report.unread) == {key for key, _, used in rows if not used} - set(expected)
