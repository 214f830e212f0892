"""How the tests of this folder run the tool: as a user does, by its command."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest


class Tool:
    """The command with a state folder of its own."""

    def __init__(self, tmp_path):
        self.state = tmp_path / "state"
        self.out = tmp_path / "out"
        self.environment = {k: v for k, v in os.environ.items() if not k.startswith("MAMI_DEID")}
        self.streams = b""

    def run(self, *arguments, status=None, stdin=b"", environment=None):
        done = subprocess.run(
            [sys.executable, "-m", "deid", *map(str, arguments)],
            capture_output=True,
            input=stdin,
            env=self.environment | (environment or {}),
        )
        self.streams += done.stdout + done.stderr
        if status is not None:
            assert done.returncode == status, (done.returncode, done.stderr.decode())
        return done

    def scrub(self, source, *options, status=0, out=None, state=None, **more):
        place = [source] if source is not None else []
        arguments = ["scrub", *place, out or self.out, "--state", state or self.state, "--jobs", 1, *options]
        done = self.run(*arguments, "--json", status=status, **more)
        return json.loads(done.stdout) if done.stdout else {}

    def outputs(self, out=None):
        return sorted(p for p in Path(out or self.out).rglob("*") if p.is_file())

    def tree(self, out=None):
        """Every output with its bytes."""
        root = Path(out or self.out)
        return {str(p.relative_to(root)): p.read_bytes() for p in self.outputs(root)}


@pytest.fixture
def tool(tmp_path):
    return Tool(tmp_path)
