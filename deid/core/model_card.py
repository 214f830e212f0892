"""``model.json``: what a model is, what it takes, what it was made from and what was measured.

One object, read strictly: every field must be there, no other may be, and each has its range. The writer puts
its text through the reader, so a file that was written can be read.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING

from deid.core.errors import UsageError
from deid.core.json_fields import Fields, parse_json
from deid.core.model_files import LARGEST, open_file
from deid.core.models import MANIFEST, NAME

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

SCHEMA = 1
STRETCH = "stretch"
"""The geometry of every network input: each axis is scaled to the network's size."""
NETWORK_RANGE = "network-range"
"""The intensity rule of every network input: that of ``deid.pixels.network_range``."""

CODE = ("[A-Z0-9_][A-Z0-9_ ]{0,15}", "a DICOM code: 1 to 16 capital letters, digits, '_' and spaces")
"""Pattern of a DICOM code, and the words for it."""
_SHA256 = ("[0-9a-f]{64}", "a SHA-256 in hex, 64 digits")
_NAME = (NAME, "the name of a folder: letters, digits, '.', '_' and '-', the first a letter or a digit")
_COUNTS = (0, 10**15)
_SIZES = (1, 4096)
_LEAST_MIDDLE = 0.01
_LARGEST_ARGUMENT = 10_000
_DEEPEST_ARGUMENT = 4


class ModelKind(StrEnum):
    """What a model is for."""

    REID = "reid"
    CLASSIFIER = "classifier"
    ANONYMIZER = "anonymizer"
    ATTACKER = "attacker"


class AgeGroup(StrEnum):
    """Whose images a model was made for."""

    ADULT = "adult"
    CHILD = "child"
    ANY = "any"


class DataRole(StrEnum):
    """What images were used for."""

    TRAINING = "training"
    VALIDATION = "validation"
    TEST = "test"
    TEACHER = "teacher"


class WeightsType(StrEnum):
    """How matrices and kernels are stored; vectors are always stored as float32."""

    FLOAT32 = "float32"
    FLOAT16 = "float16"


@dataclass(frozen=True, slots=True)
class Intensity:
    """The rule that maps stored values to 0..1.

    Attributes:
        rule: Its name: :data:`NETWORK_RANGE`.
        parameters: Its numbers by name, as ``deid.pixels.network_range.IntensityRule.to_json`` gives them.
    """

    rule: str
    parameters: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Slices:
    """The slices of a volume that a network sees, as ``deid.pixels.slices.SliceRule`` takes them.

    Attributes:
        count: So many, evenly spaced.
        middle: Of this share of the span that is not empty, above 0 and up to 1.
    """

    count: int
    middle: float


@dataclass(frozen=True, slots=True)
class InputRange:
    """The images that a model was made for.

    Attributes:
        modalities: Values of Modality (0008,0060).
        photometric: Values of Photometric Interpretation (0028,0004).
        views: Values of View Position (0018,5101); none means any.
        body_parts: Values of Body Part Examined (0018,0015); none means any.
        age: Age group of the patients.
        size: Rows and columns of the network's input in pixels.
        geometry: How an image comes to that size: :data:`STRETCH`.
        intensity: How stored values become 0..1.
        slices: Which slices of a volume; None for a model that was made from no volume.
    """

    modalities: tuple[str, ...]
    photometric: tuple[str, ...]
    views: tuple[str, ...]
    body_parts: tuple[str, ...]
    age: AgeGroup
    size: tuple[int, int]
    geometry: str
    intensity: Intensity
    slices: Slices | None = None


@dataclass(frozen=True, slots=True)
class DataSource:
    """Images that a model was made from: where they are from, and how many there were."""

    source: str
    licence: str
    patients: int
    images: int
    role: DataRole


@dataclass(frozen=True, slots=True)
class Metric:
    """One measured figure.

    Attributes:
        name: What was measured, such as ``"ROC AUC"``.
        value: The figure.
        low: Lower end of its interval; None, with the two below, where there is none.
        high: Upper end.
        confidence: Of the interval, such as 0.95.
        images: Images that it was measured on.
        patients: Their patients.
        split: The part of the data, such as ``"test"``.
        source: The data.
    """

    name: str
    value: float
    low: float | None
    high: float | None
    confidence: float | None
    images: int
    patients: int
    split: str
    source: str


@dataclass(frozen=True, slots=True)
class Weights:
    """The file of weights: SHA-256 in hex, how numbers are stored, and how many parameters there are."""

    sha256: str
    dtype: WeightsType
    parameters: int


@dataclass(frozen=True, slots=True)
class ModelRecord:
    """All that ``model.json`` says.

    Attributes:
        name: The name of the folder.
        kind: What the model is for.
        architecture: A name in ``deid.networks.architectures``.
        arguments: What its constructor is given: JSON values, integers up to 10,000, strings without ``/``
            and ``:`` (with them timm would take a name for an address and download it), but in findings.
        findings: What the outputs of a classifier stand for, in their order.
        input: The images that it was made for.
        training: What it was made from.
        commands: The commands that made it.
        metrics: What was measured.
        licence: Its own licence.
        created_by: The program and version that wrote it.
        weights: None until the weights are written.
        companions: Names of the models that it was trained with: critics and classifier of an anonymizer, the
            anonymizer of an attacker, the teacher of a critic.
    """

    name: str
    kind: ModelKind
    architecture: str
    arguments: Mapping[str, object]
    findings: tuple[str, ...]
    input: InputRange
    training: tuple[DataSource, ...]
    commands: tuple[str, ...]
    metrics: tuple[Metric, ...]
    licence: str
    created_by: str
    weights: Weights | None = None
    companions: tuple[str, ...] = ()


def record_text(record: ModelRecord) -> str:
    """The text of ``model.json``: sorted JSON with a newline at its end.

    Raises:
        UsageError: Something in the record could not be read back.
    """
    text = json.dumps({"schema": SCHEMA} | asdict(record), indent=2, sort_keys=True, ensure_ascii=False)
    parse_record(text.encode("utf-8", "surrogatepass"))
    return text + "\n"


def read_record(folder: Path) -> ModelRecord:
    """The record of a model folder.

    Raises:
        UsageError: There is none, or something in it is wrong; the message names the field and what is
            allowed.
    """
    with open_file(folder, MANIFEST) as stream:
        return parse_record(stream.read(LARGEST[MANIFEST]))


def parse_record(data: bytes) -> ModelRecord:
    """The record in the bytes of a ``model.json``.

    Raises:
        UsageError: Something in it is wrong; the message names the field and what is allowed.
    """
    value = parse_json(data, MANIFEST)
    schema = value.get("schema") if isinstance(value, dict) else None
    if isinstance(schema, int) and schema > SCHEMA:
        raise UsageError(f"{MANIFEST} has schema {schema}, a newer one than {SCHEMA}; update mami-deid.")
    return _record(Fields(value, MANIFEST, "", ("schema", *_names(ModelRecord))))


def _record(record: Fields) -> ModelRecord:
    record.integer("schema", SCHEMA, SCHEMA)
    return ModelRecord(
        name=record.text("name", *_NAME),
        kind=record.member("kind", ModelKind),
        architecture=record.text("architecture"),
        arguments=_arguments(record.within("arguments")),
        findings=record.texts("findings"),
        input=_input(record.within("input", _names(InputRange), ("slices",))),
        training=tuple(map(_data_source, record.each("training", _names(DataSource)))),
        commands=record.texts("commands"),
        metrics=tuple(map(_metric, record.each("metrics", _names(Metric)))),
        licence=record.text("licence"),
        created_by=record.text("created_by"),
        weights=_weights(record.within("weights", _names(Weights))),
        companions=record.texts("companions", *_NAME),
    )


def _input(given: Fields) -> InputRange:
    rows, columns = given.integers("size", 2, *_SIZES)
    return InputRange(
        modalities=given.texts("modalities", *CODE, least=1),
        photometric=given.texts("photometric", *CODE, least=1),
        views=given.texts("views", *CODE),
        body_parts=given.texts("body_parts", *CODE),
        age=given.member("age", AgeGroup),
        size=(rows, columns),
        geometry=given.text("geometry", STRETCH, f'"{STRETCH}"'),
        intensity=_intensity(given.within("intensity", _names(Intensity))),
        slices=None if given.is_null("slices") else _slices(given.within("slices", _names(Slices))),
    )


def _slices(given: Fields) -> Slices:
    return Slices(given.integer("count", *_SIZES), given.number("middle", _LEAST_MIDDLE, 1))


def _intensity(given: Fields) -> Intensity:
    parameters = given.within("parameters")
    rule = given.text("rule", NETWORK_RANGE, f'"{NETWORK_RANGE}"')
    return Intensity(rule, {name: parameters.number(name) for name in parameters})


def _data_source(given: Fields) -> DataSource:
    return DataSource(
        source=given.text("source"),
        licence=given.text("licence"),
        patients=given.integer("patients", *_COUNTS),
        images=given.integer("images", *_COUNTS),
        role=given.member("role", DataRole),
    )


def _metric(given: Fields) -> Metric:
    low, high, confidence = _interval(given)
    return Metric(
        name=given.text("name"),
        value=given.number("value"),
        low=low,
        high=high,
        confidence=confidence,
        images=given.integer("images", *_COUNTS),
        patients=given.integer("patients", *_COUNTS),
        split=given.text("split"),
        source=given.text("source"),
    )


def _interval(given: Fields) -> tuple[float, float, float] | tuple[None, None, None]:
    """Ends and confidence: numbers, or all three null."""
    if all(given.is_null(name) for name in ("low", "high", "confidence")):
        return None, None, None
    low = given.number("low")
    return low, given.number("high", low), given.number("confidence", 0, 1)


def _weights(given: Fields) -> Weights:
    return Weights(
        sha256=given.text("sha256", *_SHA256),
        dtype=given.member("dtype", WeightsType),
        parameters=given.integer("parameters", *_COUNTS),
    )


def _arguments(given: Fields) -> dict[str, object]:
    return {name: given.checked(name, _CHECKS.get(name, _argument_problem)) for name in given}


def _findings_problem(value: object) -> str:
    """As below, for the names of findings: they are shown and compared, and no name of a network."""
    fits = isinstance(value, list) and len(value) <= 1000 and all(map(_is_line, value))
    return "" if fits else "a list of up to 1000 texts of one line, up to 200 characters each"


def _is_line(value: object) -> bool:
    return isinstance(value, str) and len(value) <= 200 and value.isprintable()


def _argument_problem(value: object, depth: int = 0) -> str:
    """What is allowed instead of a value inside ``arguments``; empty where it may stand."""
    match value:
        case None | bool():
            return ""
        case int():
            fits = abs(value) <= _LARGEST_ARGUMENT
            return "" if fits else f"an integer up to {_LARGEST_ARGUMENT}"
        case float():
            return "" if math.isfinite(value) else "a finite number"
        case str():
            fits = _is_line(value) and not set(value) & set("/:\\")
            return "" if fits else "a text of up to 200 characters without '/', ':' and backslash"
        case list() if depth < _DEEPEST_ARGUMENT and len(value) <= 1000:
            return next(filter(None, (_argument_problem(item, depth + 1) for item in value)), "")
        case dict() if depth < _DEEPEST_ARGUMENT and len(value) <= 1000:
            parts = (part for pair in value.items() for part in pair)
            return next(filter(None, (_argument_problem(part, depth + 1) for part in parts)), "")
    return f"JSON that is nested {_DEEPEST_ARGUMENT} deep at most, with 1000 entries in a list at most"


_CHECKS = {"findings": _findings_problem}


def _names(kind: type[DataclassInstance]) -> tuple[str, ...]:
    return tuple(field.name for field in fields(kind))
