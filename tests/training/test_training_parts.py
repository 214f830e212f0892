"""The parts of the loop: options, schedule, prefetch, log, sheets, terminal."""

import json
import os
import pty
import subprocess
import sys
import textwrap
import threading
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn
from training.toy import train

from deid.core.errors import UsageError
from deid.training.card import command_line
from deid.training.decay import decayed
from deid.training.device import explained_memory
from deid.training.log import RunLog, read_log
from deid.training.options import LoopOptions, differing, read_options
from deid.training.prefetch import Prefetch, step_generator
from deid.training.progress import LoadProgress
from deid.training.run_folder import RunFolder
from deid.training.schedule import rate_factor
from deid.training.sheet import before_after, picture_sheet
from deid.workflows.train_unet import UnetOptions

TESTS = Path(__file__).resolve().parents[1]


def config(tmp_path, text):
    path = tmp_path / "run.yaml"
    path.write_text(text)
    return path


def test_flags_win_over_the_file_and_the_file_over_defaults(tmp_path):
    path = config(tmp_path, "epochs: 3\nseed: 7\n")
    options = read_options(LoopOptions, path, {"epochs": 5, "clip": None})
    assert (options.epochs, options.seed, options.clip) == (5, 7, LoopOptions().clip)
    assert read_options(LoopOptions, config(tmp_path, ""), {}) == LoopOptions()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("epochs: 3\nepoch: 4", r"run\.yaml, line 2, epoch: unknown key; allowed are epochs, steps"),
        ("epochs: 0", "run.yaml, line 1, epochs: must be greater than or equal to 1"),
        ("device: tpu", "line 1, device: must be 'auto', 'cuda', 'mps' or 'cpu'"),
        ("- epochs", "are a mapping of keys and values"),
        ("epochs: [", "not valid YAML"),
        ("epochs: 1\nepochs: 2", "a key stands twice"),
        ("seed: !!python/object:os.system 1", "tags"),
    ],
)
def test_a_wrong_file_is_refused_with_its_line(tmp_path, text, message):
    with pytest.raises(UsageError, match=message):
        read_options(LoopOptions, config(tmp_path, text), {})


def test_a_missing_file_and_a_wrong_flag_are_refused(tmp_path):
    with pytest.raises(UsageError, match="cannot read the file"):
        read_options(LoopOptions, tmp_path / "none.yaml", {})
    with pytest.raises(UsageError, match="options, clip: must be greater"):
        read_options(LoopOptions, config(tmp_path, "epochs: 3"), {"clip": -1.0})


def test_options_that_may_change_on_the_way_do_not_count():
    old = json.loads(json.dumps(LoopOptions().model_dump(mode="json")))
    assert differing(old, LoopOptions(minutes=3, device="cpu", log_every=1)) == []
    assert differing(old | {"gone": 1}, LoopOptions(epochs=3)) == ["epochs", "gone"]


def test_the_rate_rises_and_falls():
    factors = [rate_factor((step + 1) / 100, 0.1, 0.01) for step in range(100)]
    assert factors[0] == pytest.approx(0.1) and max(factors) == pytest.approx(1.0)
    assert factors.index(max(factors)) == 9 and factors[-1] == pytest.approx(0.01)
    assert rate_factor(0.5, 0, 0) == pytest.approx(0.5)


class Batches:
    """Remembers in which threads batches were made."""

    def __init__(self):
        self.threads = set()

    def batch(self, step, generator):
        self.threads.add(threading.current_thread())
        if step == 90:
            raise ValueError("batch 90")
        return {"x": torch.rand(2, generator=generator) + step}


@pytest.mark.parametrize("threads", [1, 3])
def test_batches_come_in_order_whatever_the_threads(threads):
    task = Batches()
    with Prefetch(task, 5, 0, 7, 20, threads) as batches:
        for step in range(7, 20):
            expected = torch.rand(2, generator=step_generator(5, "batch", step, 0)) + step
            assert torch.equal(batches.take()["x"], expected)
    assert threading.main_thread() not in task.threads


def test_what_a_batch_raises_arrives_at_its_step():
    with Prefetch(Batches(), 0, 0, 89, 100, 2) as batches:
        batches.take()
        with pytest.raises(ValueError, match="batch 90"):
            batches.take()


def test_streams_of_steps_purposes_and_processes_differ():
    parts = [
        (0, "batch", 1, 0),
        (0, "batch", 1, 1),
        (0, "batch", 2, 0),
        (0, "step", 1, 0),
        (1, "batch", 1, 0),
    ]
    drawn = {float(torch.rand(1, generator=step_generator(*part))) for part in parts}
    assert len(drawn) == len(parts)


def test_a_log_goes_on_after_the_checkpoint_without_what_came_later(tmp_path):
    log = RunLog(tmp_path, 0, tensorboard=False)
    log.write("steps", 2, {"loss": 1.0})
    log.write("epoch", 4, {"epoch": 1, "auc": 0.5})
    log.write("steps", 6, {"loss": float("inf")})
    log.close()
    assert read_log(tmp_path / "log.jsonl")[-1] == {"kind": "steps", "step": 6, "loss": None}
    with (tmp_path / "log.jsonl").open("a") as stream:
        stream.write('{"kind": "st')  # a killed run
    log = RunLog(tmp_path, 5, tensorboard=False)
    log.write("epoch", 8, {"epoch": 2, "auc": 0.6, "new": 1})
    log.close()
    assert [record["step"] for record in read_log(tmp_path / "log.jsonl")] == [2, 4, 8]
    assert (tmp_path / "log.csv").read_text() == "step,epoch,auc,new\n4,1,0.5,\n8,2,0.6,1\n"


def test_tensorboard_is_named_where_it_is_missing(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    with pytest.raises(UsageError, match=r"mami-deid\[tensorboard\]"):
        RunLog(tmp_path, 0, tensorboard=True)


def test_tensorboard_gets_the_figures(tmp_path):
    pytest.importorskip("tensorboard")
    log = RunLog(tmp_path, 0, tensorboard=True)
    log.write("epoch", 4, {"epoch": 1, "auc": 0.5})
    log.close()
    assert list((tmp_path / "tensorboard").iterdir())


def test_a_sheet_shows_before_after_and_difference():
    before = torch.full((2, 1, 10, 8), 0.5)
    after = before.clone()
    after[1, 0, 3, 3] = 0.75
    sheet = before_after(before, after)
    assert sheet.dtype == np.uint8 and sheet.shape == (2 * 14 + 4, 3 * 12 + 4)
    assert sheet[18 + 3, 2 * 12 + 4 + 3] == 255 and (sheet[:14] == 128).all()
    assert picture_sheet([[np.ones((2, 2), np.float32)], [np.zeros((3, 3), np.float32)] * 2]).max() == 255


def test_biases_and_norms_do_not_decay():
    network = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2))
    network[0].bias.requires_grad_(False)
    groups = decayed(network, 0.1)
    assert [len(group["params"]) for group in groups] == [1, 2]
    assert [group["weight_decay"] for group in groups] == [0.1, 0.0]


def test_a_bar_on_a_terminal(tmp_path, monkeypatch):
    reader, writer = pty.openpty()
    with os.fdopen(writer, "w") as terminal:
        monkeypatch.setattr(sys, "stderr", terminal)
        train(tmp_path, log_every=1)
        shown = os.read(reader, 1 << 16).decode()
    os.close(reader)
    assert "epoch 2/2:" in shown and " steps" in shown and "loss=" in shown and "accuracy" in shown


SEVERAL = """
    from pathlib import Path
    import torch
    from deid.training.loop import fit
    from training.toy import Toy, options, train
    torch.manual_seed(0)
    task, report = train(Path("run"), epochs=3)
    weights = torch.cat([p.detach().reshape(-1) for p in task.network.parameters()])
    print(report.is_main, report.best["accuracy"], weights.double().sum().item(), report.steps)
    if report.is_main:
        print(fit(Toy(), options(), Path("after"), alone=True).steps)
"""


def test_two_processes_train_one_network(tmp_path):
    """On the CPU, as `accelerate launch --cpu --num_processes 2` or torchrun start them."""
    pytest.importorskip("accelerate")
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(TESTS), os.environ.get("PYTHONPATH", "")])}
    place = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": "29611", "WORLD_SIZE": "2", "ACCELERATE_USE_CPU": "1"}
    ranks = [environment | place | {"RANK": str(rank), "LOCAL_RANK": str(rank)} for rank in range(2)]
    command = [sys.executable, "-c", textwrap.dedent(SEVERAL)]
    started = [subprocess.Popen(command, cwd=tmp_path, env=own, stdout=subprocess.PIPE) for own in ranks]
    one, other = (process.communicate(timeout=120)[0].decode().split() for process in started)
    *one, after = one
    assert (one[0], other[0]) == ("True", "False") and one[1:] == other[1:] and int(after) > 0
    kinds = [record["kind"] for record in read_log(tmp_path / "run" / "log.jsonl")]
    assert kinds == ["steps", "epoch"] * 3


def test_several_processes_without_accelerate_are_refused(tmp_path, monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setitem(sys.modules, "accelerate", None)
    with pytest.raises(UsageError, match=r"mami-deid\[accelerate\]"):
        train(tmp_path)


@pytest.mark.parametrize(
    "error", [MemoryError(), RuntimeError("DefaultCPUAllocator: can't allocate memory: 9 bytes")]
)
def test_memory_that_is_not_enough_outside_the_steps_is_explained(error):
    with pytest.raises(UsageError, match=r"memory was not enough.*--jobs"), explained_memory():
        raise error
    with pytest.raises(RuntimeError, match="shapes"), explained_memory():
        raise RuntimeError("shapes")


def test_reading_of_images_is_told_now_and_then():
    said = []
    progress = LoadProgress(3, said.append, seconds=0)
    for _ in range(3):
        progress(1)
    assert said == ["reading images: 1 of 3", "reading images: 2 of 3"]
    LoadProgress(3, said.append, seconds=60)(1)
    assert len(said) == 2


def test_a_run_folder_is_checked_without_writing_to_it(tmp_path):
    folder = RunFolder(tmp_path / "run")
    folder.check(LoopOptions())
    assert not (tmp_path / "run").exists()
    folder.open(LoopOptions())
    folder.check(LoopOptions())
    with pytest.raises(UsageError, match=r"other options \(epochs\)"):
        folder.check(LoopOptions(epochs=3))
    (tmp_path / "other").write_text("a file")
    with pytest.raises(UsageError, match="--out"):
        RunFolder(tmp_path / "other").check(LoopOptions())


def test_the_command_in_a_card_names_models_and_hides_paths(tmp_path):
    folder = str(tmp_path / "private" / "my-critic")
    given = UnetOptions(critics=("compact", folder, folder + "/"), classifier=folder, sources=("a/b",))
    said = command_line("train-unet", given)
    assert said == (
        "mami-deid train-unet DATA --out RUN --sources a/b --classifier my-critic "
        "--critics compact,my-critic,my-critic"
    )
    assert str(tmp_path) not in said
