"""The tool with a state folder of its own, and a key for it."""

import pytest
from workflows.command import Tool


@pytest.fixture
def tool(tmp_path):
    return Tool(tmp_path)


@pytest.fixture
def key(tmp_path):
    """A key file, so that several state folders make the same pseudonyms."""
    path = tmp_path / "key"
    path.write_text("00112233445566778899aabbccddeeff" * 2)
    path.chmod(0o600)
    return path
