"""A training as several processes start it, on the CPU."""

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from workflows.train_sets import SMALL_UNET, reader, spots

from deid.core.model_card import read_record

ROOT = Path(__file__).resolve().parents[2]


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def test_train_unet_in_two_processes_ends_with_both_models(tmp_path):
    """Attackers are trained after the training, when only the first process is left."""
    pytest.importorskip("accelerate")
    data, classifier = spots(tmp_path), reader(tmp_path / "models/reader")
    config = tmp_path / "options.yaml"
    small = {name: list(v) if isinstance(v, tuple) else v for name, v in SMALL_UNET.items()}
    config.write_text(yaml.safe_dump(small | {"classifier": str(classifier), "tensorboard": False}))
    command = [sys.executable, "-m", "torch.distributed.run", "--nproc_per_node", "2"]
    command += ["--master_port", str(free_port()), "-m", "deid", "train-unet", str(data)]
    done = subprocess.run(
        [*command, "--out", str(tmp_path / "run"), "--config", str(config)],
        capture_output=True,
        text=True,
        timeout=400,
        env=os.environ
        | {"OMP_NUM_THREADS": "1"}
        | {"PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])},
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert done.stderr.count("images: 120 read") == 1
    assert read_record(tmp_path / "run/unet").name == "unet"
    assert read_record(tmp_path / "run/unet-attacker").metrics
