"""Recipes: a YAML file that chooses the profile and makes exceptions.

Example::

    preset: research
    private: [standard]
    keep_times: false
    overrides:
      - attribute: StudyDescription
        action: remove
        modality: [US, ES]
      - attribute: 'RequestAttributesSequence > ScheduledProcedureStepID'
        action: empty
      - attribute: '(0019,"SIEMENS MR HEADER",0c)'
        action: keep
"""

from __future__ import annotations

import difflib
import hashlib
import json
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    WithJsonSchema,
    model_validator,
)

from deid.core.errors import UsageError
from deid.core.files import strerror
from deid.core.yaml_text import explained, read_yaml
from deid.dicom.profile import (
    PRESETS,
    Option,
    Override,
    Profile,
    Step,
    Wish,
    editions,
    parse_step,
    preset_profile,
)
from deid.dicom.profile.overrides import MANAGED
from deid.dicom.profile.unlisted import BULK_VRS, TEXT_VRS, dictionary_vrs

_MAXIMUM = {"SH": 16, "LO": 64, "CS": 16, "AE": 16, "ST": 1024, "LT": 10240, "DS": 16, "IS": 12, "UI": 64}


def _as_list(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


_ONE_OR_MORE = {"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}]}
Strings = Annotated[tuple[str, ...], BeforeValidator(_as_list), WithJsonSchema(_ONE_OR_MORE)]
OptionKey = Literal[
    "retain-safe-private",
    "retain-uids",
    "retain-device-identity",
    "retain-institution-identity",
    "retain-patient-characteristics",
    "retain-full-dates",
    "retain-modified-dates",
    "clean-descriptors",
    "clean-structured-content",
    "clean-graphics",
]


class OverrideEntry(BaseModel):
    """One exception: what happens to an attribute, perhaps only for some modalities or SOP classes."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    attribute: str = Field(
        description="Keyword (StudyDescription), tag ((0008,1030), x for any digit), private tag "
        '((gggg,"creator",ee)), or a path of these joined with ">"; matches at every level'
    )
    action: Wish = Field(description="keep cleans text all the same; keep-verbatim does not")
    value: str | None = Field(default=None, description="the constant for replace")
    modality: Strings = Field(default=(), description="only for these values of Modality (0008,0060)")
    sop_class: Strings = Field(default=(), description="only for these SOP classes, by UID or keyword")

    @model_validator(mode="after")
    def _complete(self) -> OverrideEntry:
        self.override()
        return self

    def override(self) -> Override:
        """The exception in the form that the profile uses.

        Raises:
            ValueError: Something in it is not possible.
        """
        path = tuple(_step(part.strip()) for part in self.attribute.split(">"))
        _check(path, self.action, self.value)
        if path[-1].creator is not None and self.sop_class:
            raise ValueError(
                "exceptions for private attributes can be limited to a modality, not to a SOP class"
            )
        return Override(
            label=self.attribute,
            path=path,
            wish=self.action,
            value=self.value or "",
            modalities=frozenset(name.strip().upper() for name in self.modality),
            sop_classes=frozenset(_sop_class(name) for name in self.sop_class),
        )


class Recipe(BaseModel):
    """What a de-identification is to do."""

    model_config = ConfigDict(extra="forbid", frozen=True, title="mami-deid recipe")

    preset: Literal["basic", "research"] | None = Field(
        default=None, description="named set of options; research if neither preset nor options are given"
    )
    options: tuple[OptionKey, ...] | None = Field(
        default=None, description="options of PS3.15 on top of the Basic Profile, instead of a preset"
    )
    private: tuple[Literal["standard", "tcia"], ...] | None = Field(
        default=None, description="lists of safe private attributes; needs retain-safe-private"
    )
    references: Literal["replace", "by-type"] | None = Field(
        default=None,
        description="Referenced and Source Image Sequence: keep them with replaced UIDs, or only where the "
        "IOD needs them; replace in the preset research, otherwise by-type",
    )
    keep_times: bool = Field(default=False, strict=True, description="shift days only, not times of day")
    overrides: tuple[OverrideEntry, ...] = Field(default=(), description="exceptions; later ones win")

    @model_validator(mode="after")
    def _consistent(self) -> Recipe:
        if self.preset is not None and self.options is not None:
            raise ValueError("preset and options exclude each other; leave one out")
        return self

    def profile(self) -> Profile:
        """The profile that carries this recipe out.

        Raises:
            UsageError: Options contradict each other.
        """
        plain = self._plain()
        return Profile(
            name=plain.name,
            options=plain.options,
            private_sources=plain.private_sources,
            overrides=tuple(entry.override() for entry in self.overrides),
            keep_times=self.keep_times,
            replace_references=plain.replace_references,
            digest=self.digest(),
        )

    def _plain(self) -> Profile:
        if self.options is None:
            found = preset_profile(self.preset or "research", self.private)
        else:
            options = frozenset(option for option in Option if option.key in self.options)
            default = ("standard",) if Option.RETAIN_SAFE_PRIVATE in options else ()
            sources = default if self.private is None else self.private
            found = Profile("custom", options, tuple(sorted(set(sources))))
        if self.references is None:
            return found
        return Profile(
            found.name,
            found.options,
            found.private_sources,
            replace_references=self.references == "replace",
        )

    def digest(self) -> str:
        """SHA-256, in hex, of what the recipe means and of the editions of all tables.

        Recipes that mean the same have the same digest: order of options, spelling of tags and defaults do
        not count.
        """
        plain = self._plain()
        meaning = {
            "options": sorted(option.key for option in plain.options),
            "private": sorted(plain.private_sources),
            "references": plain.replace_references,
            "keep_times": self.keep_times,
            "overrides": [_canonical(entry.override()) for entry in self.overrides],
            "tables": sorted(editions().items()),
        }
        return hashlib.sha256(json.dumps(meaning, sort_keys=True).encode()).hexdigest()


def _canonical(override: Override) -> list[Any]:
    return [
        [[step.mask, step.value, step.creator] for step in override.path],
        override.wish.value,
        override.value,
        sorted(override.modalities),
        sorted(override.sop_classes),
    ]


def _step(text: str) -> Step:
    """Parse one part of a path: a keyword or a tag."""
    from pydicom.datadict import keyword_dict, tag_for_keyword

    step = parse_step(text)
    if step is not None:
        if step.is_exact and step.value & 0x10000:
            raise ValueError('a private attribute is written with its creator: (gggg,"creator",ee)')
        return step
    # the dictionary has attributes without a keyword
    tag = tag_for_keyword(text) if text else None
    if tag is not None:
        return Step(0xFFFFFFFF, tag)
    near = difflib.get_close_matches(text, keyword_dict, 1)
    hint = f"; did you mean {near[0]}?" if near else ""
    raise ValueError(
        f'attribute: not a keyword of the data dictionary, a tag (gggg,eeee) or (gggg,"creator",ee){hint}'
    )


def _check(path: tuple[Step, ...], wish: Wish, value: str | None) -> None:
    """Refuse what cannot be done to an attribute."""
    leaf = path[-1]
    if (wish is Wish.REPLACE) != (value is not None):
        raise ValueError("value: is needed with action replace, and only there")
    if wish is Wish.KEEP_VERBATIM and not leaf.is_exact:
        raise ValueError(
            "action: keep-verbatim needs one standard attribute, not a wildcard or a private one"
        )
    if not leaf.is_exact:
        if wish is Wish.REPLACE:
            raise ValueError("action: replace needs one standard attribute, not a wildcard or a private one")
        return
    if len(path) == 1 and leaf.value in MANAGED:
        raise ValueError(f"attribute: cannot be overridden, {MANAGED[leaf.value]}")
    if leaf.value & 0xFFFF == 0 or leaf.value >> 16 <= 0x0002 or leaf.value >> 24 in (0x50, 0x60):
        raise ValueError("attribute: group lengths, file meta, curves and overlays cannot be overridden")
    vrs = dictionary_vrs(leaf.value)
    if wish is Wish.UID and vrs and not vrs & {"UI", "SQ"}:
        raise ValueError("action: uid is for attributes that hold UIDs or sequences")
    if wish is Wish.CLEAN and vrs and vrs <= BULK_VRS | {"UN", "UR"}:
        raise ValueError("action: bytes cannot be cleaned; remove them or keep them")
    if wish is Wish.REPLACE and value is not None:
        _check_value(value, vrs)


def _check_value(value: str, vrs: frozenset[str]) -> None:
    from pydicom import config
    from pydicom.valuerep import validate_value

    if (
        not vrs
        or vrs & (BULK_VRS | {"SQ", "AT", "UN", "PN"})
        or not vrs & (TEXT_VRS | set(_MAXIMUM) | _PLAIN)
    ):
        raise ValueError("action: replace is for texts, codes, numbers in text, dates and UIDs")
    vr = next(iter(vrs))
    if (
        not value.isascii()
        or "\\" in value
        or not value.isprintable()
        or len(value) > _MAXIMUM.get(vr, 10240)
    ):
        raise ValueError(f"value: one printable ASCII value that fits into VR {vr} is allowed")
    try:
        validate_value(vr, value, config.RAISE)
    except ValueError:
        # pydicom's message repeats the value
        raise ValueError(f"value: does not follow the rules of VR {vr} (PS3.5 6.2)") from None


_PLAIN = {"DA", "TM", "DT", "AS", "UR"}


def _sop_class(name: str) -> str:
    from pydicom._uid_dict import UID_dictionary

    text = name.strip()
    if text and text.replace(".", "").isdigit():
        return text
    for uid, entry in UID_dictionary.items():
        if entry[4] == text and entry[1] == "SOP Class":
            return uid
    raise ValueError("sop_class: not a UID and not a keyword of PS3.6 such as CTImageStorage")


def parse_recipe(text: str, source: str = "recipe") -> Recipe:
    """Read a recipe from YAML.

    Args:
        text: The YAML text.
        source: How messages call it.

    Raises:
        UsageError: Not YAML, empty, unknown keys, or something that is not allowed; says where and what is.
    """
    document, lines = read_yaml(text, source)
    if document is not None and not isinstance(document, dict):
        raise UsageError(
            f"{source}: a recipe is a mapping of keys and values; allowed keys are {_KEYS[False]}"
        )
    if not document or all(value is None for value in document.values()):
        raise UsageError(
            f"{source}: the recipe is empty; the shortest one is the line 'preset: research' (or basic), "
            f"and the allowed keys are {_KEYS[False]}"
        )
    try:
        recipe = Recipe.model_validate(document)
    except ValidationError as error:
        raise UsageError(explained(error, source, lines, _KEYS)) from None
    try:
        recipe.profile()
    except UsageError as error:
        raise UsageError(f"{source}: {error}") from None
    return recipe


_KEYS = {True: ", ".join(OverrideEntry.model_fields), False: ", ".join(Recipe.model_fields)}


def load_recipe(path: Path) -> Recipe:
    """Read a recipe from a YAML file.

    Raises:
        UsageError: The file cannot be read or is not a recipe.
    """
    try:
        text = path.read_text("utf-8")
    except OSError as error:
        raise UsageError(
            f"the recipe cannot be read: {strerror(error)}; give a YAML file in UTF-8."
        ) from None
    except UnicodeDecodeError:
        raise UsageError(f"{path.name}: the recipe is not text in UTF-8; save it as such.") from None
    return parse_recipe(text, path.name)


def recipe_schema() -> dict[str, Any]:
    """JSON Schema of recipes, for editors and other validators."""
    schema = Recipe.model_json_schema()
    schema["$schema"] = "https://json-schema.org/draft/2020-12/schema"
    return schema


def preset_recipe(preset: str) -> Recipe:
    """The recipe that is nothing but a preset.

    Raises:
        UsageError: There is no such preset.
    """
    if preset not in PRESETS:
        raise UsageError(f"--preset takes one of: {', '.join(PRESETS)}.")
    return Recipe.model_validate({"preset": preset})
