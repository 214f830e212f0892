"""What the tests of DICOM share."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from derived_bench import Bench


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    """Releases files with new pixel data; closes what it opened."""
    made = Bench(tmp_path)
    yield made
    for stream in made.opened:
        stream.close()
