"""Data sets built in code: every kind of DICOM object, every way of writing a file, trees, NIfTI and BIDS.

Nothing here reads a file, so the tests need no sample data. With ``canaries=True`` a builder plants a unique
word in every place that can hold an identity; no such word may be found in what the tool writes::

    built = build("ct", canaries=True)
    data = to_bytes(built.dataset, "deflated")
    assert surviving(scrubbed_bytes, built.canaries) == []
"""

from builders.canary import Canaries, plant, surviving, trailing_padding
from builders.files import SYNTAXES, compressible, encapsulate_fake, to_bytes, write
from builders.kinds import KINDS, Built, build, dicomdir, every_attribute
from builders.nifti import BidsTree, bids_tree, nifti_bytes
from builders.series import Person, Tree, enhanced_stack, series, tree

__all__ = [
    "KINDS",
    "SYNTAXES",
    "BidsTree",
    "Built",
    "Canaries",
    "Person",
    "Tree",
    "bids_tree",
    "build",
    "compressible",
    "dicomdir",
    "encapsulate_fake",
    "enhanced_stack",
    "every_attribute",
    "nifti_bytes",
    "plant",
    "series",
    "surviving",
    "to_bytes",
    "trailing_padding",
    "tree",
    "write",
]
