"""A key of a project."""

import pytest

from deid.core.keys import ProjectKey


@pytest.fixture
def project_key():
    return ProjectKey(bytes(range(32)))
