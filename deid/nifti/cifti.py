"""The XML structure of a CIFTI-2 file, rewritten from an allow-list (CIFTI-2 1.0, section 5).

What places the data on the brain stays: matrix, brain models, parcels, label tables, series. Metadata is
removed, names are cleaned, comments, processing instructions and unknown elements vanish.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from xml.parsers import expat
from xml.sax.saxutils import escape, quoteattr

from deid.core.errors import Held

CIFTI_CODE = 32
MAX_XML = 64 << 20
_MAX_DEPTH = 16
_MAX_ELEMENTS = 2_000_000
_MAX_NAME = 256

_NUMBERS = re.compile(r"[0-9eE+\-.,\s]*")
_TERM = re.compile(
    r"[0-9eE+\-., ]*|CIFTI_(?:STRUCTURE|MODEL_TYPE|INDEX_TYPE)_[A-Z0-9_]{1,64}|SECOND|HERTZ|METER|RADIAN"
)

_ATTRIBUTES = {
    "CIFTI": ("Version", "NumberOfMatrices"),
    "Matrix": (),
    "MatrixIndicesMap": (
        "AppliesToMatrixDimension", "IndicesMapToDataType", "NumberOfSeriesPoints", "SeriesExponent",
        "SeriesStart", "SeriesStep", "SeriesUnit",
    ),
    "NamedMap": (),
    "MapName": (),
    "LabelTable": (),
    "Label": ("Key", "Red", "Green", "Blue", "Alpha"),
    "Surface": ("BrainStructure", "SurfaceNumberOfVertices"),
    "Parcel": ("Name",),
    "Vertices": ("BrainStructure",),
    "VoxelIndicesIJK": (),
    "Volume": ("VolumeDimensions",),
    "TransformationMatrixVoxelIndicesIJKtoXYZ": ("MeterExponent",),
    "BrainModel": (
        "IndexOffset", "IndexCount", "ModelType", "BrainStructure", "SurfaceNumberOfVertices",
        "SurfaceNumberOfNodes",
    ),
    "VertexIndices": (),
}  # fmt: skip
_NAMED = frozenset({"MapName", "Label"})
_NUMERIC = frozenset(
    {"Vertices", "VoxelIndicesIJK", "VertexIndices", "TransformationMatrixVoxelIndicesIJKtoXYZ"}
)


@dataclass
class _Rewriter:
    """expat's handlers: what is allowed is written, the rest is counted."""

    clean: Callable[[str], str]
    out: list[str] = field(default_factory=list)
    text: list[str] = field(default_factory=list)
    path: list[str] = field(default_factory=list)
    elements: int = 0
    names: int = 0
    removed: int = 0
    skip_from: int = 0

    def start(self, name: str, attributes: dict[str, str]) -> None:
        self.path.append(name)
        self.elements += 1
        if len(self.path) > _MAX_DEPTH or self.elements > _MAX_ELEMENTS:
            raise Held("CIFTI structure over the limits")
        if self.skip_from:
            return
        allowed = _ATTRIBUTES.get(name)
        if allowed is None or (len(self.path) == 1) != (name == "CIFTI"):
            self.skip_from = len(self.path)
            self.removed += 1
            return
        written = "".join(
            f" {key}={quoteattr(self._value(key, value))}"
            for key, value in attributes.items()
            if key in allowed
        )
        self.out.append(f"<{name}{written}>")
        self.text.clear()

    def end(self, name: str) -> None:
        depth = len(self.path)
        self.path.pop()
        if self.skip_from:
            self.skip_from = 0 if depth == self.skip_from else self.skip_from
            return
        text = "".join(self.text)
        self.text.clear()
        if name in _NAMED:
            self.out.append(escape(self._name(text)))
        elif name in _NUMERIC:
            if not _NUMBERS.fullmatch(text):
                raise Held("CIFTI structure holds text where numbers belong")
            self.out.append(text)
        self.out.append(f"</{name}>")

    def characters(self, text: str) -> None:
        if not self.skip_from:
            self.text.append(text)

    def refuse(self, *_: object) -> None:
        raise Held("CIFTI structure declares a document type")

    def _value(self, key: str, value: str) -> str:
        if key == "Name":
            return self._name(value)
        if not _TERM.fullmatch(value):
            raise Held("CIFTI structure has an attribute value that is not understood")
        return value

    def _name(self, text: str) -> str:
        self.names += 1
        kept = self.clean(text.strip())
        return kept if kept and len(kept) <= _MAX_NAME else f"name {self.names}"


def clean_cifti(xml: bytes, clean: Callable[[str], str]) -> bytes:
    """Rewrites a CIFTI-2 XML structure.

    Args:
        xml: The content of the header extension with code 32, padding included.
        clean: The text cleaner of the patient; what it empties becomes ``name <number>``.

    Returns:
        UTF-8 XML without padding. Rewriting it once more changes nothing.

    Raises:
        Held: Not XML, a document type (entities), over the limits, or a value outside the standard.
    """
    if len(xml) > MAX_XML:
        raise Held("CIFTI structure over the limits")
    rewriter = _Rewriter(clean)
    parser = expat.ParserCreate()
    parser.buffer_text = True
    parser.StartDoctypeDeclHandler = rewriter.refuse
    parser.EntityDeclHandler = rewriter.refuse
    parser.StartElementHandler = rewriter.start
    parser.EndElementHandler = rewriter.end
    parser.CharacterDataHandler = rewriter.characters
    try:
        parser.Parse(xml.rstrip(b"\0 \r\n\t"), True)
    except (expat.ExpatError, UnicodeError, LookupError, ValueError):
        raise Held("unreadable: CIFTI structure") from None
    body = "".join(rewriter.out)
    if not body:
        raise Held("unreadable: CIFTI structure")
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{body}\n'.encode()
