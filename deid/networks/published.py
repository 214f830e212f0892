"""The published MaMI checkpoint: from a user's own copy to a model folder.

The file is ``{"model": {"module.<key>": tensor}}`` as ``torch.save`` writes it. It is read as tensors only:
whatever else a pickle may ask for is refused, not run. Its authors state no licence, so it is never shipped.
"""

from __future__ import annotations

import pickle
import re
import warnings
import zipfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import torch
from torch import Tensor, nn

from deid import __version__
from deid.core.card_text import card_text
from deid.core.errors import UsageError
from deid.core.model_archive import DAMAGED
from deid.core.model_card import STRETCH, AgeGroup, InputRange, Intensity, ModelKind, ModelRecord
from deid.networks.architectures import build
from deid.networks.folder import save_model, some

ARCHITECTURE = "mami"
LICENCE = "not stated by its authors; not redistributable"
PUBLISHED_RANK = 16

_FLOATS = (torch.float32, torch.float16, torch.bfloat16, torch.float64)
_LARGEST_INDEX = 16 << 20
_NEVER_READ = re.compile(
    r"(ln_post|fc)\.(weight|bias)"
    r"|transformer\.resblocks\.\d+\.(linear_[ab]_c_proj_static|lora_mlp_c_proj_[ab]\.l[123]1\.(weight|bias))"
)


@dataclass(frozen=True)
class CheckpointReport:
    """What was found in a checkpoint; keys without ``module.``.

    Attributes:
        rank: Of the low-rank factors, read from the keys: 16, or -1 where there are none.
        expected: Number of tensors that the network reads.
        found: How many of them are there.
        missing: Those that are not.
        unread: Keys that the published code has and never reads, and keys of other networks, such as heads
            for training.
        unexpected: Keys below the network's own modules that it does not have.
        shapes: Key, shape or type, and what was expected, where they differ.
        not_finite: Keys whose tensors hold NaN or infinite numbers.
        dead_low_rank: Pairs of low-rank factors that are zero on both sides, so that training never changes
            them.
    """

    rank: int
    expected: int
    found: int
    missing: tuple[str, ...]
    unread: tuple[str, ...]
    unexpected: tuple[str, ...]
    shapes: tuple[str, ...]
    not_finite: tuple[str, ...]
    dead_low_rank: tuple[str, ...] = ()

    def problems(self) -> list[str]:
        """Why the checkpoint cannot be used; empty where it can."""
        kinds = (
            ("missing", self.missing),
            ("not of this network", self.unexpected),
            ("of another shape or type", self.shapes),
            ("with NaN or infinite numbers", self.not_finite),
        )
        return [f"{words}: {_counted(keys)}" for words, keys in kinds if keys]

    def lines(self) -> tuple[str, ...]:
        """The report for people, a line for each finding."""
        return (
            f"low-rank factors: {f'rank {self.rank}' if self.rank > 0 else 'none'}",
            f"tensors that the network reads: {self.found} of {self.expected} found",
            f"missing: {_counted(self.missing)}",
            f"unexpected: {_counted(self.unexpected)}",
            f"tensors that are never read: {_counted(self.unread)}",
            f"of another shape or type: {_counted(self.shapes)}",
            f"with NaN or infinite numbers: {_counted(self.not_finite)}",
            "low-rank pairs that are zero on both sides, which no training revives: "
            f"{_counted(self.dead_low_rank)}",
        )


def import_published(
    checkpoint: Path, folder: Path, intensity: Intensity
) -> tuple[ModelRecord, CheckpointReport]:
    """Converts a checkpoint to a model folder.

    Args:
        checkpoint: The user's copy of ``MAMI_pretrained.pth``.
        folder: The model folder to make; it must not exist.
        intensity: The rule by which images will come to the network.

    Raises:
        UsageError: The file is damaged, holds more than tensors, or its tensors do not fit the network.
    """
    network, report = load_published(checkpoint)
    record = _record(folder.name, report.rank, intensity)
    findings = "\n".join(f"- {line}" for line in report.lines())
    about = (
        "MaMI (Tian et al., CVPR 2025, arXiv 2503.08173), converted from the checkpoint that its authors "
        "publish. It tells whether two images show the same patient. Its training data and figures are those "
        f"of the paper and were not checked here.\n\nFound on import:\n\n{findings}"
    )
    return save_model(folder, network, record, card_text(record, about)), report


def load_published(checkpoint: Path) -> tuple[nn.Module, CheckpointReport]:
    """The network of a checkpoint, its tensors still in the file, and what was found in it.

    Raises:
        UsageError: The file is damaged, holds more than tensors, or its tensors do not fit the network.
    """
    from deid.networks.mami import dead_low_rank

    tensors = read_checkpoint(checkpoint)
    rank = PUBLISHED_RANK if any(".lora_mlp_q_" in key for key in tensors) else -1
    network = build(ARCHITECTURE, published_arguments(rank), "meta")
    expected = network.state_dict()
    report = compare(tensors, expected, rank)
    if problems := report.problems():
        raise UsageError(
            f"the checkpoint is not the published MaMI of {report.expected} tensors. {'; '.join(problems)}. "
            "Get MAMI_pretrained.pth from its authors again."
        )
    state = {key: tensors[key].float() for key in expected}
    network.load_state_dict(state, assign=True)
    return network, replace(report, dead_low_rank=tuple(dead_low_rank(state)))


def published_arguments(rank: int) -> dict[str, object]:
    """What the published network is built from."""
    from deid.networks.mami import MaMIConfig

    return asdict(MaMIConfig(rank=rank))


def read_checkpoint(path: Path) -> dict[str, Tensor]:
    """The tensors of a file of ``torch.save``, mapped from it; ``module.`` before all keys is taken off.

    Raises:
        UsageError: The file is damaged, is no such file, or holds more than tensors.
    """
    _check_archive(path)
    try:
        with warnings.catch_warnings(action="ignore"):  # of odd pickles; what matters is judged here
            loaded = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
    except pickle.UnpicklingError:
        raise UsageError(
            "the checkpoint holds more than tensors, or is damaged; nothing in it was run. If you trust its "
            "source, save only its tensors: torch.save({'model': checkpoint['model']}, 'weights.pth')."
        ) from None
    except Exception:  # noqa: BLE001 - a hostile pickle can make torch raise anything
        raise UsageError("the checkpoint is damaged; get it from its authors again.") from None
    state = loaded.get("model", loaded) if isinstance(loaded, Mapping) else None
    if not isinstance(state, Mapping) or not state or not all(map(_is_plain, state.keys(), state.values())):
        raise UsageError('the checkpoint holds no weights; expected is {"model": {name: tensor}}.')
    return {key.removeprefix("module."): tensor for key, tensor in state.items()}


def compare(tensors: Mapping[str, Tensor], expected: Mapping[str, Tensor], rank: int) -> CheckpointReport:
    """Compares the tensors of a checkpoint with those that the network of this rank reads."""
    own = {key.partition(".")[0] for key in expected}
    surplus = sorted(tensors.keys() - expected.keys())
    unread = {k for k in surplus if _NEVER_READ.fullmatch(k) or k.partition(".")[0] not in own}
    common = sorted(tensors.keys() & expected.keys())
    fitting = {key for key in common if _fits(tensors[key], expected[key])}
    return CheckpointReport(
        rank=rank,
        expected=len(expected),
        found=len(common),
        missing=tuple(sorted(expected.keys() - tensors.keys())),
        unread=tuple(sorted(unread)),
        unexpected=tuple(key for key in surplus if key not in unread),
        shapes=tuple(_difference(k, tensors[k], expected[k]) for k in common if k not in fitting),
        not_finite=tuple(k for k in common if k in fitting and not torch.isfinite(tensors[k]).all()),
    )


def _counted(names: tuple[str, ...]) -> str:
    return f"{len(names)} ({some(names)})" if names else "0"


def _check_archive(path: Path) -> None:
    """Refuses what torch would have to unpack: mapped bytes cost no memory, unpacked ones could cost all."""
    try:
        with zipfile.ZipFile(path) as packed:
            entries = packed.infolist()
    except (OSError, *DAMAGED):
        raise UsageError(
            "the checkpoint is damaged, or no file of torch.save (torch 1.6 or later); expected is "
            "MAMI_pretrained.pth."
        ) from None
    index = [entry for entry in entries if entry.filename.endswith("data.pkl")]
    packed_entries = [entry for entry in entries if entry.compress_type != zipfile.ZIP_STORED]
    if len(index) != 1 or index[0].file_size > _LARGEST_INDEX or packed_entries:
        raise UsageError("the checkpoint is no file of torch.save; expected is MAMI_pretrained.pth.")


def _is_plain(key: object, value: object) -> bool:
    if not isinstance(key, str) or not isinstance(value, Tensor):
        return False
    return value.layout is torch.strided and value.device.type == "cpu"


def _fits(tensor: Tensor, expected: Tensor) -> bool:
    return tensor.shape == expected.shape and tensor.dtype in _FLOATS


def _difference(key: str, tensor: Tensor, expected: Tensor) -> str:
    dtype = str(tensor.dtype).removeprefix("torch.")
    return f"{key} is {dtype} {list(tensor.shape)} instead of {list(expected.shape)}"


def _record(name: str, rank: int, intensity: Intensity) -> ModelRecord:
    return ModelRecord(
        name=name,
        kind=ModelKind.REID,
        architecture=ARCHITECTURE,
        arguments=published_arguments(rank),
        findings=(),
        input=InputRange(
            modalities=("CR", "CT", "DX"),
            photometric=("MONOCHROME1", "MONOCHROME2"),
            views=(),
            body_parts=(),
            age=AgeGroup.ANY,
            size=(224, 224),
            geometry=STRETCH,
            intensity=intensity,
        ),
        training=(),
        commands=("mami-deid models import MAMI_pretrained.pth",),
        metrics=(),
        licence=LICENCE,
        created_by=f"mami-deid {__version__}",
    )
