"""Model folders: what is saved is loaded, and nothing else."""

import json
import os
import struct
from dataclasses import replace

import memory
import pytest
import torch
from builders.models import record
from builders.networks import Tiny, register_tiny, save_tiny
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file
from torch import nn

from deid.core.errors import UsageError
from deid.core.model_card import WeightsType, read_record, record_text
from deid.core.model_files import sha256_of
from deid.networks.architectures import ARCHITECTURES, build
from deid.networks.folder import load_network, save_model


@pytest.fixture(autouse=True)
def tiny(monkeypatch):
    register_tiny(monkeypatch)


@pytest.fixture
def folder(tmp_path):
    return save_tiny(tmp_path)[0]


def rehash(folder):
    """Makes the record vouch for the weights as they are now."""
    found = read_record(folder)
    weights = replace(found.weights, sha256=sha256_of(folder, "weights.safetensors"))
    (folder / "model.json").write_text(record_text(replace(found, weights=weights)))


def refused(folder, said):
    with pytest.raises(UsageError) as caught:
        load_network(folder)
    assert said in str(caught.value) and "\n" not in str(caught.value)


def test_what_is_saved_is_loaded(tmp_path):
    folder, network = save_tiny(tmp_path)
    before = torch.get_rng_state()
    loaded, found = load_network(folder)
    assert torch.equal(torch.get_rng_state(), before)
    assert not loaded.training and type(loaded) is Tiny
    for key, tensor in network.state_dict().items():
        assert torch.equal(loaded.state_dict()[key], tensor)
    assert found.weights.parameters == 4 * 4 + 4 + 4 + 4 and found.weights.dtype == "float32"
    assert replace(found, weights=None) == record()
    assert sorted(file.name for file in folder.iterdir()) == ["card.md", "model.json", "weights.safetensors"]
    assert [entry.name for entry in tmp_path.iterdir()] == ["tiny"]
    assert (folder / "card.md").read_text().startswith("# tiny\n")


def test_float16_halves_matrices_and_spares_vectors(tmp_path):
    folder, network = save_tiny(tmp_path, dtype=WeightsType.FLOAT16)
    stored = load_file(folder / "weights.safetensors")
    assert stored["matrix.weight"].dtype == torch.float16
    assert stored["matrix.bias"].dtype == stored["norm.running_var"].dtype == torch.float32
    loaded, found = load_network(folder)
    assert found.weights.dtype == "float16"
    assert {p.dtype for p in loaded.parameters()} == {torch.float32}
    assert torch.equal(loaded.matrix.weight, network.matrix.weight.half().float())
    assert torch.equal(loaded.matrix.bias, network.matrix.bias)


def test_the_same_network_gives_the_same_bytes(tmp_path):
    first, _ = save_tiny(tmp_path / "a")
    second, _ = save_tiny(tmp_path / "b")
    for name in ("model.json", "weights.safetensors", "card.md"):
        assert (first / name).read_bytes() == (second / name).read_bytes()


@pytest.mark.parametrize(
    ("number", "dtype", "said"),
    [
        (float("nan"), WeightsType.FLOAT32, "NaN or infinite"),
        (float("inf"), WeightsType.FLOAT16, "NaN or infinite"),
        (1e6, WeightsType.FLOAT16, "too large for float16"),
    ],
)
def test_numbers_that_cannot_be_stored_leave_nothing_behind(tmp_path, number, dtype, said):
    network = Tiny()
    nn.init.constant_(network.matrix.weight, number)
    with pytest.raises(UsageError, match=said):
        save_model(tmp_path / "tiny", network, record(), "", dtype=dtype)
    assert list(tmp_path.iterdir()) == []


def test_a_record_that_is_wrong_leaves_nothing_behind(tmp_path):
    for wrong, said in ((record(licence=""), "licence"), (record("other"), "folder of that name")):
        with pytest.raises(UsageError, match=said):
            save_model(tmp_path / "tiny", Tiny(), wrong, "")
        assert list(tmp_path.iterdir()) == []


def test_a_model_is_replaced_only_on_request_and_only_if_it_is_one(tmp_path):
    folder, _ = save_tiny(tmp_path)
    with pytest.raises(UsageError, match="exists"):
        save_tiny(tmp_path)
    save_tiny(tmp_path, dtype=WeightsType.FLOAT16, overwrite=True)
    assert load_network(folder)[1].weights.dtype == "float16"
    (folder / "thesis.docx").write_text("")
    with pytest.raises(UsageError, match="1 entries that no model has"):
        save_tiny(tmp_path, overwrite=True)
    assert (folder / "thesis.docx").exists() and [e.name for e in tmp_path.iterdir()] == ["tiny"]
    with pytest.raises(UsageError, match="name"):
        save_model(tmp_path / ".hidden", Tiny(), record(".hidden"), "")


def test_weights_that_were_changed_are_refused(folder):
    path = folder / "weights.safetensors"
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    refused(folder, "SHA-256")


def test_a_link_to_other_weights_is_refused(folder, tmp_path):
    (folder / "weights.safetensors").rename(tmp_path / "outside")
    refused(folder, "cannot be read: no such file")
    (folder / "weights.safetensors").symlink_to(tmp_path / "outside")
    refused(folder, "symbolic link")
    (folder / "weights.safetensors").unlink()
    os.mkfifo(folder / "weights.safetensors")
    refused(folder, "not a regular file")


def test_weights_of_an_absurd_size_are_refused(folder):
    os.truncate(folder / "weights.safetensors", (2 << 30) + 1)  # sparse: takes no room
    refused(folder, "at most")


def header(tensors, length=None, data=b""):
    text = json.dumps(tensors).encode()
    return struct.pack("<Q", len(text) if length is None else length) + text + data


def one(shape, end, dtype="F32", begin=0):
    return {"matrix.weight": {"dtype": dtype, "shape": shape, "data_offsets": [begin, end]}}


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"text",
        b"\x80\x02cos\nsystem\n(S'true'\ntR.",
        header({}, length=1 << 60),
        header({}, length=10**9),
        header(one([4, 4], 64), data=b"\0" * 60),
        header(one([1 << 40, 1 << 40], 64), data=b"\0" * 64),
        header(one([4, 4], 1 << 50), data=b"\0" * 64),
        header(one([4, 4], 64, begin=-8), data=b"\0" * 64),
        header(one([4, 4], 64, dtype="PICKLE"), data=b"\0" * 64),
        header(one([2, 4], 64), data=b"\0" * 64),
        b"\x08\0\0\0\0\0\0\0" + b"[[[[[[[[",
    ],
)
def test_files_that_lie_are_refused(folder, data):
    (folder / "weights.safetensors").write_bytes(data)
    rehash(folder)
    refused(folder, "damaged or not a safetensors file")


@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(place=st.integers(0, 700), byte=st.integers(0, 255))
def test_a_changed_byte_is_read_or_refused(folder, place, byte):
    path = folder / "weights.safetensors"
    whole = path.read_bytes()
    path.write_bytes(whole[:place] + bytes([byte]) + whole[place + 1 :])
    rehash(folder)
    try:
        load_network(folder)
    except UsageError as error:
        assert "weights of the model tiny" in str(error) and str(error).isprintable()
    finally:
        path.write_bytes(whole)


def lacking(tensors):
    del tensors["matrix.weight"]


def surplus(tensors):
    tensors |= {f"extra{i}": torch.zeros(1) for i in range(5)}


def another_shape(tensors):
    tensors["matrix.weight"] = torch.zeros(4, 5)


def another_type(tensors):
    tensors["matrix.weight"] = torch.zeros(4, 4, dtype=torch.float64)


def another_counter(tensors):
    tensors["norm.num_batches_tracked"] = torch.zeros(())


def not_finite(tensors):
    tensors["norm.running_var"][2] = float("nan")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lacking, "it lacks matrix.weight"),
        (surplus, "it has besides extra0, extra1, extra2 and 2 more"),
        (another_shape, "matrix.weight is F32 [4, 5], not F32 [4, 4]"),
        (another_type, "matrix.weight is F64 [4, 4], not F32 [4, 4]"),
        (another_counter, "norm.num_batches_tracked is F32 [], not I64 []"),
        (not_finite, "norm.running_var holds NaN"),
    ],
)
def test_tensors_that_do_not_fit_are_refused(folder, change, said):
    tensors = load_file(folder / "weights.safetensors")
    change(tensors)
    save_file(tensors, folder / "weights.safetensors")
    rehash(folder)
    refused(folder, said)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"architecture": "nosuch\x1b"}, "architecture"),
        ({"architecture": "nosuch"}, "there is no architecture 'nosuch'; known are mami"),
        ({"arguments": {"width": 5}}, "names 28 parameters, not 40"),
        ({"arguments": {"depth": 5}}, "cannot be built from its arguments (TypeError"),
        ({"arguments": {"width": -1}}, "cannot be built from its arguments (RuntimeError"),
        ({"arguments": {"width": "4"}}, "cannot be built from its arguments (TypeError"),
    ],
)
def test_records_that_do_not_fit_the_weights_are_refused(folder, changes, said):
    made = json.loads((folder / "model.json").read_text())
    (folder / "model.json").write_text(json.dumps(made | changes))
    refused(folder, said)


def test_a_huge_network_is_refused_before_it_takes_memory(folder):
    made = json.loads((folder / "model.json").read_text())
    (folder / "model.json").write_text(json.dumps(made | {"arguments": {"width": 10_000}}))
    memory.forget_peak()
    before = memory.peak()
    refused(folder, "names 28 parameters, not 100030000")
    assert memory.peak() - before < 100_000_000  # of 400,000,000


SMALL = {
    "mami": {
        "size": 16,
        "patch": 8,
        "width": 32,
        "depth": 1,
        "heads": 2,
        "gates": 4,
        "rank": 4,
        "adapter": 8,
    },
    "siamese-resnet": {"backbone": "test_resnet", "size": 32, "dimension": 8},
    "timm-encoder": {"backbone": "test_vit", "size": 160, "dimension": None},
    "compact-resnet": {"size": 32, "width": 4, "dimension": 8},
    "classifier": {"backbone": "test_efficientnet", "findings": ["Effusion", "No Finding"], "size": 32},
    "anonymizer": {"size": 32, "depth": 3, "decoder": [8, 8, 8]},
}


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_every_architecture_is_saved_and_loaded(architecture, tmp_path):
    network = build(architecture, SMALL[architecture])
    made = record(architecture=architecture, arguments=SMALL[architecture])
    save_model(tmp_path / "tiny", network, made, "", dtype=WeightsType.FLOAT16)
    loaded, _ = load_network(tmp_path / "tiny")
    stored = loaded.state_dict()
    for key, tensor in network.state_dict().items():
        assert torch.allclose(stored[key], tensor, rtol=1e-3, atol=1e-7)


@pytest.mark.parametrize("backbone", ["hf-hub:timm/resnet18", "local-dir:some/net", "timm/resnet18"])
def test_a_backbone_with_an_address_is_refused(folder, backbone):
    made = json.loads((folder / "model.json").read_text())
    made |= {"architecture": "timm-encoder", "arguments": {"backbone": backbone}}
    (folder / "model.json").write_text(json.dumps(made))
    refused(folder, "arguments.backbone")
