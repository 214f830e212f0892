"""The training loop: it learns, stops when it should, resumes bit by bit, and survives what goes wrong."""

import csv
import json
import os
import signal
import stat

import pytest
import torch
from PIL import Image
from training.toy import Toy, options, train

from deid.core.errors import UsageError
from deid.training.checkpoint import read_checkpoint
from deid.training.loop import fit


def last(folder):
    return read_checkpoint(folder / "checkpoints" / "last.safetensors")


def same(one, other):
    """Whether two trees of a checkpoint are equal bit by bit."""
    if isinstance(one, torch.Tensor):
        return torch.equal(one, other)
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(same(one[k], other[k]) for k in one)
    if isinstance(one, list | tuple):
        return len(one) == len(other) and all(map(same, one, other))
    return one == other


def without_times(tree):
    loop = {k: v for k, v in tree["loop"].items() if not k.startswith("seconds")}
    return tree | {"loop": loop}


class StopsAt(Toy):
    """Gets a signal in the middle of a step."""

    def __init__(self, step, number=signal.SIGINT):
        super().__init__()
        self.stop, self.number = step, number

    def step(self, batch, run):
        if run.step == self.stop:
            os.kill(os.getpid(), self.number)
        return super().step(batch, run)


def test_it_learns_and_writes_what_it_says(tmp_path):
    task, report = train(tmp_path / "run", epochs=6)
    assert report.best["accuracy"] > 0.9 and report.reason == "epochs"
    assert (report.steps, report.epochs, report.device, report.precision) == (24, 6, "cpu", "float32")
    assert 0 <= report.outside < 1 and not task.network.training
    with (tmp_path / "run" / "log.csv").open() as stream:
        rows = list(csv.DictReader(stream))
    assert [int(row["epoch"]) for row in rows] == list(range(1, 7))
    assert float(rows[-1]["loss"]) < float(rows[0]["loss"])
    records = [json.loads(line) for line in (tmp_path / "run" / "log.jsonl").read_text().splitlines()]
    assert {"loss", "gradient_network", "rate", "steps_per_second"} <= records[0].keys()
    assert Image.open(tmp_path / "run" / "sheets" / "epoch_0006.png").size == (4, 4)


def test_what_shows_patients_is_for_its_owner_alone(tmp_path):
    train(tmp_path / "run", epochs=1)
    for folder in (".", "sheets", "checkpoints"):
        assert stat.S_IMODE((tmp_path / "run" / folder).stat().st_mode) == 0o700


def test_the_best_weights_are_in_the_modules_at_the_end(tmp_path):
    task, report = train(tmp_path, epochs=4)
    best = read_checkpoint(tmp_path / "checkpoints" / "best.safetensors")
    assert same(dict(task.network.state_dict()), best["modules"]["network"])
    assert report.best_step == 4 * report.best_epoch


@pytest.mark.parametrize("stop", [0, 2, 3, 6])
def test_six_steps_are_three_and_three_resumed(tmp_path, stop):
    train(tmp_path / "whole", steps=8)
    with pytest.raises(KeyboardInterrupt):
        train(tmp_path / "parts", StopsAt(stop), steps=8)
    assert last(tmp_path / "parts")["loop"]["step"] == stop + 1
    task, report = train(tmp_path / "parts", steps=8)
    assert task.seen == list(range(stop + 1, 8)) and report.reason == "epochs"
    assert same(without_times(last(tmp_path / "whole")), without_times(last(tmp_path / "parts")))
    steps = [json.loads(line)["step"] for line in (tmp_path / "parts" / "log.jsonl").read_text().splitlines()]
    assert steps == sorted(steps)


class Killed(BaseException):
    """What stands for SIGKILL: nobody may do anything about it."""


class KilledAt(Toy):
    def step(self, batch, run):
        if run.step == 5:
            raise Killed
        return super().step(batch, run)


def test_a_killed_training_goes_on_from_its_last_checkpoint(tmp_path):
    with pytest.raises(Killed):
        train(tmp_path / "run", KilledAt(), save_every=3)
    assert last(tmp_path / "run")["loop"]["step"] == 4
    task, _ = train(tmp_path / "run", save_every=3)
    assert task.seen == [4, 5, 6, 7]
    train(tmp_path / "whole", save_every=3)
    assert same(without_times(last(tmp_path / "whole")), without_times(last(tmp_path / "run")))


def test_a_finished_run_is_reported_again_without_a_step(tmp_path):
    _, first = train(tmp_path)
    task, second = train(tmp_path)
    assert task.seen == [] and second.best == first.best


def test_other_options_are_refused_by_name_unless_forced(tmp_path):
    train(tmp_path)
    with pytest.raises(UsageError, match=r"other options \(clip, seed\)"):
        train(tmp_path, seed=1, clip=2.0)
    train(tmp_path, log_every=3, workers=1)  # these change nothing that is computed
    task, _ = train(tmp_path, epochs=3, resume="force")
    assert task.seen == [8, 9, 10, 11]
    task, _ = train(tmp_path, seed=1, resume="never")
    assert task.seen == list(range(8))


def test_a_folder_with_other_things_is_left_alone(tmp_path):
    (tmp_path / "thesis.txt").write_text("mine")
    with pytest.raises(UsageError, match="holds other files"):
        train(tmp_path)
    assert os.listdir(tmp_path) == ["thesis.txt"]


def test_a_damaged_checkpoint_is_named(tmp_path):
    train(tmp_path)
    (tmp_path / "checkpoints" / "last.safetensors").write_bytes(b"\x08" + bytes(20))
    with pytest.raises(UsageError, match=r"last\.safetensors of the run cannot be read"):
        train(tmp_path)


def test_another_network_does_not_fit(tmp_path):
    train(tmp_path)
    other = Toy()
    other.network[0] = torch.nn.Conv2d(1, 4, 1)
    with pytest.raises(UsageError, match="does not fit these options"):
        train(tmp_path, other)


class Constant(Toy):
    def validate(self, run):
        return {"accuracy": 0.5}


def test_it_stops_when_validation_does_not_improve(tmp_path):
    _, report = train(tmp_path, Constant(), epochs=9, patience=2)
    assert (report.reason, report.epochs, report.best_epoch) == ("patience", 3, 1)


class Falling(Toy):
    best_from = 0.5

    def validate(self, run):
        return {"accuracy": 0.9 - 0.01 * run.step}


@pytest.mark.parametrize("epochs", [4, 1])
def test_an_early_epoch_is_the_best_only_where_none_came_later(tmp_path, epochs):
    task, report = train(tmp_path, Falling(), epochs=epochs, steps=0 if epochs > 1 else 1)
    assert report.best_epoch == (2 if epochs > 1 else 1)
    best = read_checkpoint(tmp_path / "checkpoints" / "best.safetensors")
    assert same(dict(task.network.state_dict()), best["modules"]["network"])


def test_which_epoch_was_best_survives_a_stop(tmp_path):
    train(tmp_path, Falling(), epochs=4, steps=9)
    _, report = train(tmp_path, Falling(), epochs=4, steps=16, resume="force")
    assert report.best_step == 8


def test_it_stops_after_steps_and_after_minutes(tmp_path):
    _, report = train(tmp_path / "steps", steps=6)
    assert (report.reason, report.steps, report.epochs) == ("steps", 6, 2)
    _, report = train(tmp_path / "minutes", epochs=10_000, minutes=0.005)
    assert report.reason == "minutes" and report.steps < 40_000
    _, again = train(tmp_path / "minutes", epochs=10_000, minutes=0.005)
    assert again.steps == report.steps


class NotANumber(Toy):
    def step(self, batch, run):
        losses = super().step(batch, run)
        return losses if run.step < 5 else {"loss": losses["loss"] * float("nan")}


class Spoilt(Toy):
    def step(self, batch, run):
        losses = super().step(batch, run)
        if run.step == 5:
            self.network[0].weight.data[0] = float("inf")
        return losses


@pytest.mark.parametrize("task", [NotANumber, Spoilt])
def test_not_a_number_keeps_the_last_good_checkpoint(tmp_path, task):
    with pytest.raises(UsageError, match=r"not (a )?finite number.*--resume force"):
        train(tmp_path, task(), save_every=3, log_every=1)
    assert last(tmp_path)["loop"]["step"] == 4
    good, report = train(tmp_path, save_every=3, log_every=1, clip=0.5, resume="force")
    assert good.seen == [4, 5, 6, 7] and report.best["accuracy"] > 0.5


class OutOfMemory(Toy):
    def step(self, batch, run):
        if run.step == 5:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 MiB")
        return super().step(batch, run)


class OutOfMemoryInBatch(Toy):
    def batch(self, step, generator):
        if step == 5:
            raise MemoryError
        return super().batch(step, generator)


@pytest.mark.parametrize("task", [OutOfMemory, OutOfMemoryInBatch])
def test_too_little_memory_says_what_to_lower(tmp_path, task):
    with pytest.raises(UsageError, match=r"at step 6.*--batch.*--patients or --images.*a new --out"):
        train(tmp_path, task())
    assert last(tmp_path)["loop"]["step"] == 4


def test_forced_options_of_an_optimizer_hold_and_its_moments_stay(tmp_path):
    class Decaying(Toy):
        def __init__(self, decay):
            super().__init__()
            self.optimizer = torch.optim.AdamW(self.network.parameters(), lr=0.02, weight_decay=decay)

        def optimizers(self):
            return {"network": self.optimizer}

    train(tmp_path, Decaying(0.5), epochs=1)
    task, _ = train(tmp_path, Decaying(0.25), epochs=2, resume="force")
    (group,) = task.optimizer.param_groups
    assert group["weight_decay"] == 0.25
    assert {int(state["step"]) for state in task.optimizer.state.values()} == {8}


def test_other_errors_of_a_task_are_not_hidden(tmp_path):
    class Broken(Toy):
        def batch(self, step, generator):
            raise RuntimeError("shape mismatch")

    with pytest.raises(RuntimeError, match="shape mismatch"):
        train(tmp_path, Broken())


def test_an_unmeasurable_score_is_refused(tmp_path):
    class Alike(Toy):
        def validate(self, run):
            return {"accuracy": float("nan")}

    with pytest.raises(UsageError, match="accuracy cannot be measured"):
        train(tmp_path, Alike())


def test_sigterm_saves_and_then_does_what_it_would_have_done(tmp_path, capsys):
    class Stopped(BaseException):
        pass

    def stop(number, frame):
        raise Stopped

    before = signal.signal(signal.SIGTERM, stop)
    try:
        with pytest.raises(Stopped):
            train(tmp_path, StopsAt(2, signal.SIGTERM))
        assert signal.getsignal(signal.SIGTERM) is stop
    finally:
        signal.signal(signal.SIGTERM, before)
    assert last(tmp_path)["loop"]["step"] == 3
    assert "stopping after this step" in capsys.readouterr().err


def test_bfloat16_on_the_cpu(tmp_path):
    _, report = train(tmp_path, epochs=4, precision="bfloat16")
    assert report.precision == "bfloat16" and report.best["accuracy"] > 0.8


@pytest.mark.parametrize(
    ("given", "message"),
    [({"device": "cuda"}, "no such device here"), ({"precision": "float16"}, "needs a GPU")],
)
def test_what_the_computer_cannot_do_is_refused(tmp_path, given, message, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(UsageError, match=message):
        train(tmp_path, **given)


def test_clearing_gradients_of_all_after_an_update(tmp_path):
    """A critic that gradients flowed through does not keep them for its own next turn."""

    class Two(Toy):
        def __init__(self):
            super().__init__()
            self.critic = torch.nn.Linear(1, 1)

        def modules(self):
            return {"network": self.network, "critic": self.critic}

        def optimizers(self):
            return super().optimizers() | {"critic": torch.optim.SGD(self.critic.parameters(), lr=1.0)}

        def step(self, batch, run):
            loss = self.critic(self.network(batch["images"])).square().mean()
            run.backward(loss)
            run.update("network")
            assert all(p.grad is None for p in self.critic.parameters())
            return {"loss": loss}

    task = Two()
    before = task.critic.weight.detach().clone()
    fit(task, options(epochs=1), tmp_path)
    assert torch.equal(before, task.critic.weight)
