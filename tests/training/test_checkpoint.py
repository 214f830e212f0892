"""Checkpoints hold what optimizers and tasks keep, exactly, and nothing else."""

import os

import pytest
import torch

from deid.core.errors import UsageError
from deid.training.checkpoint import is_finite, read_checkpoint, write_checkpoint


def test_a_tree_comes_back_as_it_was(tmp_path):
    tree = {
        "tensors": [
            torch.arange(3),
            torch.tensor(1.5),
            torch.zeros(0, 2),
            torch.ones(2, dtype=torch.bfloat16),
        ],
        "numbers": {0: 0.1, 1: (0.9, 0.999), "none": None, "big": 2**60, "flag": True, "text": "ü"},
        "empty": {},
    }
    write_checkpoint(tmp_path / "a" / "last.safetensors", tree)
    back = read_checkpoint(tmp_path / "a" / "last.safetensors")
    assert back["numbers"] == tree["numbers"] and back["empty"] == {}
    for old, new in zip(tree["tensors"], back["tensors"], strict=True):
        assert torch.equal(old, new) and old.dtype == new.dtype
    assert os.listdir(tmp_path / "a") == ["last.safetensors"]


def test_tensors_that_share_memory_are_kept_each(tmp_path):
    base = torch.arange(6.0).view(2, 3)
    write_checkpoint(tmp_path / "c", {"one": base, "same": base, "turned": base.T})
    back = read_checkpoint(tmp_path / "c")
    assert torch.equal(back["same"], base) and torch.equal(back["turned"], base.T)


def test_what_json_cannot_say_is_no_checkpoint(tmp_path):
    with pytest.raises(TypeError, match="cannot hold object"):
        write_checkpoint(tmp_path / "c", {"x": object()})
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("data", [b"", b"\x80\x04.", b"\x02\0\0\0\0\0\0\0{}", bytes(range(100))])
def test_a_file_that_is_no_checkpoint_is_refused(tmp_path, data):
    (tmp_path / "c").write_bytes(data)
    with pytest.raises(UsageError, match="cannot be read"):
        read_checkpoint(tmp_path / "c")


def test_none_where_there_is_no_file(tmp_path):
    assert read_checkpoint(tmp_path / "c") is None


def test_a_folder_that_cannot_be_written_is_said(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match="checkpoint cannot be written"):
        write_checkpoint(tmp_path / "file" / "c", {})


def test_finite():
    assert is_finite({"a": [torch.zeros(2), torch.tensor([1])], "b": "text"})
    assert not is_finite({"a": ({"b": torch.tensor([1.0, float("nan")])},)})
