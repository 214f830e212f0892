"""How tests run the tool: as a user does, by its command, or the workflow directly in this process."""

import json
import os
import pty
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from deid.core.errors import UsageError
from deid.workflows.scrub import scrub
from deid.workflows.scrub.options import ScrubOptions


class Tool:
    """The command with a state folder of its own."""

    def __init__(self, tmp_path):
        self.state = tmp_path / "state"
        self.out = tmp_path / "out"
        self.environment = {k: v for k, v in os.environ.items() if not k.startswith("MAMI_DEID")}
        self.streams = b""

    def run(self, *arguments, status=None, stdin=b"", environment=None):
        done = subprocess.run(
            [sys.executable, "-m", "deid", *map(os.fspath, map(_text, arguments))],
            capture_output=True,
            input=stdin,
            env=self.environment | (environment or {}),
        )
        self.streams += done.stdout + done.stderr
        if status is not None:
            assert done.returncode == status, (done.returncode, done.stderr.decode())
        return done

    def arguments(self, source, *options, out=None, state=None):
        place = [source] if source is not None else []
        return ["scrub", *place, out or self.out, "--state", state or self.state, "--jobs", 1, *options]

    def scrub(self, source, *options, status=0, out=None, state=None, **more):
        arguments = self.arguments(source, *options, out=out, state=state)
        done = self.run(*arguments, "--json", status=status, **more)
        return json.loads(done.stdout) if done.stdout else {}

    def start(self, source, *options, **places):
        """The command in the background, in a process group of its own."""
        return subprocess.Popen(
            [sys.executable, "-m", "deid", *map(str, self.arguments(source, *options, **places))],
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )

    def on_terminal(self, *arguments):
        """What the command writes to a terminal on standard error, and its exit status."""
        reader, writer = pty.openpty()
        process = subprocess.Popen(
            [sys.executable, "-m", "deid", *map(str, arguments)],
            env=self.environment | {"TERM": "xterm", "COLUMNS": "120"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=writer,
        )
        os.close(writer)
        shown = b""
        while True:
            try:
                piece = os.read(reader, 4096)
            except OSError:  # Linux: the other end was closed
                break
            if not piece:
                break
            shown += piece
        os.close(reader)
        return shown.decode(), process.wait()

    def direct(self, source, **options):
        """The workflow in this process; its summary."""
        places = {"out": self.out, "state": self.state}
        return scrub(ScrubOptions(source=source, **(places | options)), lambda *_: None)

    def refused(self, source, **options):
        """What the workflow says when it refuses to run; nothing may have changed in the output."""
        out = Path(options.get("out", self.out))
        before = self.tree(out)
        with pytest.raises(UsageError) as caught:
            self.direct(source, **options)
        assert self.tree(out) == before
        return str(caught.value)

    def outputs(self, out=None):
        return sorted(p for p in Path(out or self.out).rglob("*") if p.is_file())

    def tree(self, out=None):
        """Every output with its bytes."""
        root = Path(out or self.out)
        return {str(p.relative_to(root)): p.read_bytes() for p in self.outputs(root)}

    def hidden(self, out=None):
        """Folders of unfinished work in the output."""
        return list(Path(out or self.out).glob(".mami-deid*"))


def _text(argument):
    return argument if isinstance(argument, bytes | os.PathLike) else str(argument)


def wait_until(condition, seconds=20.0):
    """Wait for something that another process does."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.005)


def kill_group(process, number=signal.SIGKILL):
    """Send a signal to every process of a command that `Tool.start` began."""
    os.killpg(process.pid, number)
