"""The JSON schema of ``audit.json`` (draft 2020-12), the one place that says what the result may hold.

It has no field for a value of the source, a pseudonym, a path or a picture. Texts are single lines in which
no path can stand, attacks speak of five patients or more, and a ROC curve of twenty genuine pairs or more.
"""

from __future__ import annotations

from typing import Any

VERSION = 2
"""Of what is written; 2 added ``plane``."""
READABLE = (1, 2)
MEASURES = (
    "auc",
    "eer",
    "tpr_at_fpr_1e-2",
    "tpr_at_fpr_1e-3",
    "rank_1",
    "rank_5",
    "rank_10",
    "mean_average_precision",
)
"""Figures of an attack that have an interval."""
LEAST_PATIENTS = 5
LEAST_GENUINE = 20

_CONTROL = r"(?![\s\S]*[\u0000-\u001f\u007f-\u009f\u2028\u2029\u202a-\u202e\u2066-\u2069\\])"
# A slash before a word, two slashes in one word, or a slash in a word with an ending.
_PATH = r"""(?!.*(?:^|[\s'"(=:,<\[])(?:/[^\s/]|~[^\s/]*/))(?!.*/\S*/)(?!.*\S/\S*\.[A-Za-z])"""
_PROMISE = r"(?!.*\b(?:[Aa]nonym(?:ous|ised|ized)|[Ss]afe|HIPAA)\b)"
STRENGTH_PATTERN = r"^(?:0(?:\.[0-9]{1,2})?|1)$"
TEXT_PATTERN = f"^{_CONTROL}{_PATH}"

VERDICTS = ("linkable", "no link found", "not assessed")
FORMS = ("as it is", "case or spacing", "date format", "base64", "UTF-16", "hex")
PLACES = ("standard text", "private", "uid", "file name", "pixel group")
ATTACKS = ("ceiling", "frozen", "training_free", "adaptive", "scrubbed_scrubbed")

Schema = dict[str, Any]


def schema() -> Schema:
    """The schema, as a new dict of JSON types."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "audit.json of mami-deid",
        **_object(
            {
                "schema": {"enum": list(READABLE)},
                "tool": _object({"name": _ref("text"), "version": _ref("text")}),
                "manifest": _manifest(),
                "release": _release(),
                "reid": _section(_reid(), optional=(*ATTACKS, "attackers", "controls", "power")),
                "linkage": _section({"methods": _named(_ref("linkage"))}),
                "inversion": _section({"methods": _named(_either(_inversion_method()))}),
                "header": _section(_header(), optional=("hash_dictionary", "shift", "uniqueness")),
                "text": _section({}),
                "face": _section({}),
                "utility": _section(_utility(), tuple(_utility()), judged=False),
                "plane": _section(_plane(), judged=False),
                "merged": _merged(),
                "gates": {"type": "array", "maxItems": 1000, "items": _gate()},
                "verdict": {"enum": list(VERDICTS)},
            },
            optional=("plane", "merged"),
        ),
        "$defs": _definitions(),
    }


def _definitions() -> dict[str, Schema]:
    return {
        "text": {"type": "string", "maxLength": 1000, "pattern": TEXT_PATTERN},
        "words": {"type": "string", "maxLength": 2000, "pattern": f"{TEXT_PATTERN}{_PROMISE}"},
        "name": {"type": "string", "minLength": 1, "maxLength": 100, "pattern": TEXT_PATTERN},
        "count": {"type": "integer", "minimum": 0},
        "number": {"type": ["number", "null"]},
        "share": {"type": ["number", "null"], "minimum": 0, "maximum": 1},
        "not_assessed": _object({"status": {"const": "not assessed"}, "reason": _ref("text")}),
        "measured": _object(
            {
                "value": {"type": ["number", "null"]},
                "lower": {"type": ["number", "null"]},
                "upper": {"type": ["number", "null"]},
                "confidence": {"type": "number", "minimum": 0, "maximum": 1},
                "shards": _shards("lowest", "highest", "lower", "upper"),
            },
            optional=("shards",),
        ),
        "measure": {
            "description": "value, lower, upper and confidence; null; or what was not assessed and why",
            "anyOf": [_ref("measured"), {"type": "null"}, _ref("not_assessed")],
        },
        "attack": _either(_attack()),
        "linkage": _either(
            _object(
                {
                    "status": {"const": "assessed"},
                    "rank_1": _ref("measure"),
                    "auc": _ref("measure"),
                    "gallery": _ref("count"),
                    "chance_rank_1": _ref("share"),
                    "shards": _shards(),
                },
                optional=("status", "auc", "shards"),
            )
        ),
    }


def _ref(name: str) -> Schema:
    return {"$ref": f"#/$defs/{name}"}


def _object(fields: dict[str, Schema], optional: tuple[str, ...] = ()) -> Schema:
    """An object of these fields and no others."""
    required = [name for name in fields if name not in optional]
    return {"type": "object", "properties": fields, "required": required, "additionalProperties": False}


def _named(value: Schema) -> Schema:
    """An object whose keys are names of models, methods, findings or modalities."""
    return {"type": "object", "propertyNames": _ref("name"), "additionalProperties": value}


def _counts(names: tuple[str, ...]) -> Schema:
    return _object({name: _ref("count") for name in names}, optional=names)


def _either(assessed: Schema) -> Schema:
    """What was assessed, or the reason why it was not."""
    return {
        "type": "object",
        "if": {"properties": {"status": {"const": "not assessed"}}, "required": ["status"]},
        "then": _ref("not_assessed"),
        "else": assessed,
    }


def _section(fields: dict[str, Schema], optional: tuple[str, ...] = (), *, judged: bool = True) -> Schema:
    """A threat: the fields may be missing where it was not assessed, and then need no verdict either."""
    common = {
        "status": {"enum": ["assessed", "not assessed"]},
        "reason": _ref("text"),
        "shards": _shards(),
    }
    said = {"verdict": {"enum": list(VERDICTS)}, "words": _ref("words")} if judged else {}
    everything = {**common, **said, **fields}
    unassessed = {"status": {"const": "not assessed"}}
    return {
        "type": "object",
        "required": ["status"],
        "if": {"properties": unassessed, "required": ["status"]},
        "then": _object(
            {**everything, **unassessed} | ({"verdict": {"const": "not assessed"}} if judged else {}),
            optional=tuple(name for name in everything if name not in ("status", "reason")),
        ),
        "else": _object(everything, optional=("reason", "words", "shards", *optional)),
    }


def _manifest() -> Schema:
    option = {
        "description": "a number, a word, true, false, null or a list of words and numbers",
        "anyOf": [
            {"type": ["number", "boolean", "null"]},
            _ref("text"),
            {
                "type": "array",
                "maxItems": 200,
                "items": {
                    "description": "a word or a number",
                    "anyOf": [{"type": "number"}, _ref("text")],
                },
            },
        ],
    }
    digest = {"type": "string", "pattern": "^(?:sha256:)?[0-9a-f]{64}$"}
    fields = {
        "created": _ref("text"),
        "python": _ref("text"),
        "torch": {"description": "a version or null", "anyOf": [_ref("text"), {"type": "null"}]},
        "options": _named(option),
        "models": _named(digest),
        "recipe": {"description": "a SHA-256 digest or null", "anyOf": [digest, {"type": "null"}]},
        "seconds": _named({"type": "number", "minimum": 0}),
        "editions": _named(_ref("text")),
    }
    return _object(fields, optional=tuple(name for name in fields if name != "options"))


def _release() -> Schema:
    counts = ("patients", "patients_with_several_studies", "images", "pairs")
    return _object(
        {
            "mode": {"enum": ["pairs", "release"]},
            **{name: _ref("count") for name in counts},
            "modalities": _named(_ref("count")),
            "left_out": {
                "description": "files and images that were not audited, by reason",
                "type": "object",
                "propertyNames": _ref("text"),
                "additionalProperties": _ref("count"),
            },
            "part": _object(
                {
                    "number": _positive(),
                    "of": _positive(),
                    "split": {"type": "string", "pattern": "^[0-9a-f]{16}$"},
                }
            ),
        },
        optional=("left_out", "part"),
    )


def _positive() -> Schema:
    return {"type": "integer", "minimum": 1}


def _shards(*more: str) -> Schema:
    """In how many shards of a merged audit something was assessed, and numbers of single shards."""
    counts = {"assessed": _ref("count"), "of": _positive()}
    return _object(counts | {name: _ref("number") for name in more})


def _merged() -> Schema:
    verdicts = _object({name: _ref("count") for name in VERDICTS}, optional=VERDICTS)
    return _object(
        {
            "audits": {"type": "integer", "minimum": 1},
            "shards": {"type": "integer", "minimum": 2},
            "apart": {"enum": ["by their shards", "not checked"]},
            "rule": _ref("text"),
            "verdicts": _named(verdicts),
        }
    )


def _attack() -> Schema:
    fields = {
        "status": {"const": "assessed"},
        "attacker": _ref("text"),
        **{name: _ref("measure") for name in MEASURES},
        "gallery": {"type": ["integer", "null"], "minimum": 0},
        "chance_rank_1": _ref("share"),
        "genuine": _ref("count"),
        "impostors": _ref("count"),
        "patients": {"type": "integer", "minimum": LEAST_PATIENTS},
        "restarts": _object({"mean": _ref("number"), "maximum": _ref("number"), "count": _ref("count")}),
        "roc": _object({"fpr": _shares(200), "tpr": _shares(200)}),
        "cmc": _shares(1000),
        "histogram": _object(
            {
                "edges": {"type": "array", "maxItems": 101, "items": {"type": "number"}},
                "genuine": _shares(100),
                "impostors": _shares(100),
            }
        ),
        "shards": _shards(),
    }
    needed = ("auc", "genuine", "impostors", "patients")
    made = _object(fields, optional=tuple(name for name in fields if name not in needed))
    enough = {"properties": {"genuine": {"minimum": LEAST_GENUINE}}}
    return {**made, "dependentSchemas": {"roc": enough, "histogram": enough}}


def _shares(most: int) -> Schema:
    return {"type": "array", "maxItems": most, "items": {"type": "number", "minimum": 0, "maximum": 1}}


def _reid() -> dict[str, Schema]:
    geometries = ("original_original", "original_scrubbed", "scrubbed_scrubbed")
    controls = {"shuffled_labels": _ref("measure"), "random_change": _ref("attack")}
    return {
        **{name: _ref("attack") for name in ATTACKS},
        "attackers": _named(_object({name: _ref("attack") for name in geometries}, optional=geometries)),
        "controls": _object(controls, optional=tuple(controls)),
        "power": _object({"smallest_difference": _ref("number")}),
    }


def _inversion_method() -> Schema:
    fields = {
        "status": {"const": "assessed"},
        "error": _ref("measure"),
        "reid": _ref("attack"),
        "linkage": _ref("linkage"),
        "shards": _shards(),
    }
    return _object(fields, optional=tuple(fields))


def _header() -> dict[str, Schema]:
    return {
        **{name: _ref("count") for name in ("certain", "possible", "values", "files")},
        "by_form": _counts(FORMS),
        "by_place": _counts(PLACES),
        "hash_dictionary": _either(
            _object(
                {
                    "status": {"const": "assessed"},
                    "tried": _ref("count"),
                    "recovered": _ref("count"),
                    "upper": _ref("share"),
                    "shards": _shards(),
                },
                optional=("status", "shards"),
            )
        ),
        "shift": _either(
            _object(
                {
                    "status": {"const": "assessed"},
                    "patients": _ref("count"),
                    "recovered": _ref("count"),
                    "shards": _shards(),
                },
                optional=("status", "shards"),
            )
        ),
        "uniqueness": _either(
            _object(
                {
                    "status": {"const": "assessed"},
                    "quasi_identifiers": {"type": "array", "maxItems": 50, "items": _ref("name")},
                    "k": _counts(("1", "2-4", "5+")),
                    "shards": _shards(),
                },
                optional=("status", "shards"),
            )
        ),
    }


def _findings() -> Schema:
    finding = {
        "before": _ref("measure"),
        "after": _ref("measure"),
        "difference": _ref("measure"),
        "positives": {"type": "integer", "minimum": LEAST_PATIENTS},
        "images": _ref("count"),
    }
    return _named(_object(finding))


def _utility() -> dict[str, Schema]:
    classifier = {
        "status": {"const": "assessed"},
        "basis": _ref("text"),
        "retained": _ref("measure"),
        "findings": _findings(),
        "shards": _shards(),
    }
    return {
        "classifier": _either(_object(classifier, optional=("status", "basis", "findings", "shards"))),
        "psnr": _ref("measure"),
        "ssim": _ref("measure"),
        "pixels_unchanged": _ref("share"),
    }


def _plane() -> dict[str, Schema]:
    point = _either(
        _object(
            {
                "status": {"const": "assessed"},
                "strength": {"type": "number", "minimum": 0, "maximum": 1},
                "attacker": _ref("text"),
                "auc": _ref("measure"),
                "attackers": _named(_ref("measure")),
                "retained": _ref("measure"),
                "findings": _findings(),
                "psnr": _ref("measure"),
                "ssim": _ref("measure"),
            }
        )
    )
    return {
        "basis": _ref("text"),
        **{name: _ref("count") for name in ("images", "genuine", "impostors")},
        "patients": {"type": "integer", "minimum": LEAST_PATIENTS},
        "strengths": _named(point) | {"propertyNames": {"type": "string", "pattern": STRENGTH_PATTERN}},
        "release": point,
    }


def _gate() -> Schema:
    return _object(
        {
            "expression": _ref("text"),
            "found": _ref("number"),
            "passed": {"type": "boolean"},
            "reason": _ref("text"),
        },
        optional=("reason",),
    )
