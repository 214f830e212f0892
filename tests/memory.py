"""Peak memory as tests measure it.

``ru_maxrss`` is of no use for that: Linux hands a process's figure on to what it executes, so that a command
started by a large test process is blamed for its starter's memory.
"""

from pathlib import Path

import pytest

# Runs the command of its arguments and says its peak on the last line of standard error.
COMMAND = """
import sys
from pathlib import Path
from deid.cli.app import main
try:
    main()
finally:
    lines = Path("/proc/self/status").read_text().splitlines()
    (line,) = [line for line in lines if line.startswith("VmHWM")]
    print("peak", int(line.split()[1]) * 1024, file=sys.stderr)
"""


def peak():
    """Peak resident bytes of this process since its start or `forget_peak`."""
    if not Path("/proc/self/status").exists():
        pytest.skip("needs Linux's /proc")
    (line,) = [
        line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM")
    ]
    return int(line.split()[1]) * 1024


def forget_peak():
    """Start anew from what this process holds now."""
    try:
        Path("/proc/self/clear_refs").write_text("5")
    except OSError:
        pytest.skip("needs Linux's /proc/self/clear_refs")
