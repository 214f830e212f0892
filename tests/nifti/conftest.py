"""The context that every test of this folder cleans with."""

import pytest
from nifti_builders import PlantedCleaner

from deid.core.keys import ProjectKey
from deid.core.pseudonyms import Pseudonyms
from deid.nifti.context import Context


@pytest.fixture(scope="session")
def pseudonyms() -> Pseudonyms:
    return Pseudonyms(ProjectKey(bytes(range(32))))


@pytest.fixture
def context(pseudonyms: Pseudonyms) -> Context:
    return Context(pseudonyms, PlantedCleaner(), "bids::01")
