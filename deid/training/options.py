"""Options that all trainings share, and how flags and one YAML file become one frozen value."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, TypeVar

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from deid.core.errors import UsageError
from deid.core.model_card import CODE
from deid.core.models import NAME
from deid.core.yaml_text import explained, read_yaml

OF_THE_RUN = frozenset(
    {"options.json", "checkpoints", "log.jsonl", "log.csv", "sheets", "tensorboard", "attackers"}
)
"""What a run folder holds beside models."""

_LONGEST = 200
_LONGEST_NAME = 90  # a name with -attacker must be one, too

Options = TypeVar("Options", bound="LoopOptions")


class LoopOptions(BaseModel):
    """How long, where and how carefully to train.

    A job's options extend this: their fields are the keys of its YAML file and, with ``--`` and hyphens, its
    flags.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    # May differ when a run is resumed: none of them changes what a step computes.
    FREE: ClassVar[frozenset[str]] = frozenset(
        {"minutes", "device", "workers", "save_every", "log_every", "tensorboard", "resume"}
    )

    # Of these, what a card tells of the command, for without it another model comes out.
    TOLD: ClassVar[frozenset[str]] = frozenset({"minutes"})

    # Name models, each by its name or folder.
    MODELS: ClassVar[frozenset[str]] = frozenset()

    epochs: int = Field(default=20, ge=1, description="epochs at most")
    steps: int = Field(default=0, ge=0, description="steps at most; 0: no limit but epochs")
    minutes: float = Field(
        default=0.0,
        ge=0,
        description="minutes at most, over all resumptions; the rate then follows the clock; 0: no limit",
    )
    patience: int = Field(
        default=0,
        ge=0,
        description="stop after so many epochs without a better validation score; 0: never",
    )
    seed: int = Field(default=0, ge=0, description="seed of everything that is random")
    device: Literal["auto", "cuda", "mps", "cpu"] = Field(
        default="auto", description="auto: cuda, mps or cpu"
    )
    precision: Literal["auto", "float32", "bfloat16", "float16"] = Field(
        default="auto", description="of forward passes; auto: mixed on cuda, float32 elsewhere"
    )
    warmup: float = Field(
        default=0.05, ge=0, lt=1, description="share of the training in which the rate rises"
    )
    final_rate: float = Field(
        default=0.01, ge=0, le=1, description="rate at the end, as a share of the full rate"
    )
    clip: float = Field(default=1.0, ge=0, description="longest gradient of an optimizer; 0 for no clipping")
    workers: int = Field(default=2, ge=1, le=64, description="threads that prepare batches ahead")
    save_every: int = Field(default=500, ge=1, description="steps between checkpoints within an epoch")
    log_every: int = Field(default=20, ge=1, description="steps between lines of the log")
    tensorboard: bool = Field(default=False, description="also write event files for TensorBoard")
    resume: Literal["auto", "force", "never"] = Field(
        default="auto",
        description="auto: go on with the run in the folder if it had these options; force: in any case; "
        "never: start anew and delete that run",
    )


def _listed(value: Any) -> Any:
    """A list that a flag gives as words between commas."""
    if not isinstance(value, str):
        return value
    return tuple(filter(None, (word.strip() for word in value.split(","))))


def _named(value: str) -> str:
    """A name that a folder beside what a run keeps can have."""
    if not re.fullmatch(NAME, value) or len(value) > _LONGEST_NAME:
        raise ValueError(
            "must be the name of a folder: letters, digits, '.', '_' and '-', the first a letter or a digit, "
            f"at most {_LONGEST_NAME} of them"
        )
    if value.lower() in OF_THE_RUN:
        raise ValueError(f"must not be that of a file or folder of the run: {', '.join(sorted(OF_THE_RUN))}")
    return value


def _codes(values: tuple[str, ...]) -> tuple[str, ...]:
    codes = tuple(dict.fromkeys(value.upper() for value in values))
    if not all(re.fullmatch(CODE[0], code) for code in codes):
        raise ValueError(f"each must be {CODE[1]}")
    return codes


def _line(value: str) -> str:
    if not value.isprintable() or not 0 < len(value) <= _LONGEST:
        raise ValueError(f"must be a text of one line, 1 to {_LONGEST} characters")
    return value


Name = Annotated[str, AfterValidator(_named)]
Codes = Annotated[tuple[str, ...], BeforeValidator(_listed), AfterValidator(_codes)]
Words = Annotated[tuple[str, ...], BeforeValidator(_listed)]
Shares = Annotated[tuple[Annotated[float, Field(gt=0, le=1)], ...], BeforeValidator(_listed)]


class ModelOptions(LoopOptions):
    """What is common to trainings on images that end in a model folder."""

    TOLD: ClassVar[frozenset[str]] = LoopOptions.TOLD | {"name", "licence", "age", "half"}
    FREE: ClassVar[frozenset[str]] = LoopOptions.FREE | TOLD | {"jobs", "cache"}

    name: Name = Field(description="name of the model and of its folder in RUN")
    labels: Path | None = Field(
        default=None, description="CSV with path or patient_id, and labels, of images in a folder"
    )
    size: int = Field(default=128, ge=16, le=1024, description="side of the network's input, in pixels")
    low_pass: int = Field(
        default=0,
        ge=0,
        description="first reduce images to this side, against blur that betrays a source; 0: no",
    )
    minimum_side: int = Field(default=0, ge=0, description="leave out images with a smaller side, in pixels")
    sources: Words = Field(
        default=(),
        description="only these sources, between commas; of a DICOM tree device 1, device 2 ...; empty: all",
    )
    test_sources: Words = Field(
        default=(),
        description="measure on the test patients of these in place of --sources, from which alone it learns",
    )
    modalities: Words = Field(default=(), description="only these modalities, between commas; empty: all")
    batch: int = Field(default=32, ge=2, description="images in a batch")
    rate: float = Field(default=1e-3, gt=0, description="full learning rate")
    weight_decay: float = Field(default=0.05, ge=0, description="decay of matrices and kernels")
    augment: bool = Field(
        default=True, strict=True, description="change exposure, crop and markers of the images"
    )
    age: Literal["adult", "child", "any"] = Field(
        default="any", description="whose images they are, for the card"
    )
    body_parts: Codes = Field(default=(), description="what they show, such as CHEST, for the card")
    licence: Annotated[str, AfterValidator(_line)] = Field(
        default="Apache-2.0", description="licence of the model, for the card"
    )
    half: bool = Field(default=False, strict=True, description="store weights in half the space (float16)")
    jobs: int = Field(default=4, ge=1, le=256, description="threads that read images")
    cache: Path | None = Field(
        default=None, description="private folder for finished images, for a faster start"
    )


def read_options(model: type[Options], config: Path | None, flags: Mapping[str, object]) -> Options:
    """One value from a YAML file and the flags of the command line, which win.

    Args:
        model: The options of the job.
        config: The YAML file, or None.
        flags: By field; None where a flag was not given.

    Raises:
        UsageError: The file cannot be read, has unknown keys, or a value is not allowed; says which and what
            is.
    """
    written, lines = ({}, {}) if config is None else _read_file(model, config)
    given = {name: value for name, value in flags.items() if value is not None}
    source = config.name if config else "options"
    try:
        if written:  # alone first, so that a message says in which line of the file the fault is
            model.model_validate(written)
        source, lines = ("options", {}) if given else (source, lines)
        return model.model_validate(written | given)
    except ValidationError as error:
        raise UsageError(explained(error, source, lines, {False: ", ".join(model.model_fields)})) from None


def _read_file(model: type[Options], config: Path) -> tuple[dict[str, Any], Mapping[Any, int]]:
    try:
        text = config.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(
            f"--config: cannot read the file ({type(error).__name__}); give a YAML file in UTF-8."
        ) from None
    document, lines = read_yaml(text, config.name)
    if document is not None and not isinstance(document, dict):
        raise UsageError(
            f"{config.name}: options are a mapping of keys and values; allowed keys are "
            f"{', '.join(model.model_fields)}."
        )
    return document or {}, lines


def option_text(value: Any) -> str:
    """The value of an option as a flag takes it, a switch as ``on`` or ``off``; empty for none."""
    if value is None or isinstance(value, bool):
        return {None: "", True: "on", False: "off"}[value]
    if isinstance(value, Mapping):
        return ",".join(k if v == (k,) else f"{k}={'|'.join(v)}" for k, v in value.items())
    if isinstance(value, tuple):
        return ",".join(map(str, value))
    return str(value)


def differing(old: Mapping[str, object], options: LoopOptions) -> list[str]:
    """Names of the options, sorted, in which a run differs and that must not change on the way.

    Args:
        old: The other run's options, as read from JSON.
        options: Those of now.
    """
    now = options.model_dump(mode="json")
    names = (old.keys() | now.keys()) - options.FREE
    return sorted(name for name in names if _text(old.get(name)) != _text(now.get(name)))


def _text(value: object) -> str:
    """A value as JSON, for the order of findings counts and is lost on a comparison of mappings."""
    return json.dumps(value)
