"""The tool with a state folder of its own."""

import pytest
from workflows.command import Tool


@pytest.fixture
def tool(tmp_path):
    return Tool(tmp_path)
