"""Whether a value is what a JSON schema allows, for the keywords that the schema of ``audit.json`` uses.

A full validator is needed by the tests only; they show that both agree.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeGuard

_TYPES: dict[str, Callable[[object], bool]] = {
    "object": lambda value: isinstance(value, dict),
    "array": lambda value: isinstance(value, list),
    "string": lambda value: isinstance(value, str),
    "boolean": lambda value: isinstance(value, bool),
    "null": lambda value: value is None,
    "number": lambda value: _is_number(value),
    "integer": lambda value: _is_number(value) and (isinstance(value, int) or float(value).is_integer()),
}
KEYWORDS = frozenset(
    {
        "$schema",
        "$defs",
        "$ref",
        "title",
        "description",
        "type",
        "const",
        "enum",
        "anyOf",
        "if",
        "then",
        "else",
    }
    | {"minimum", "maximum", "minLength", "maxLength", "pattern", "items", "maxItems", "properties"}
    | {"required", "additionalProperties", "propertyNames", "dependentSchemas"}
)


def violation(value: object, schema: Mapping[str, Any]) -> str:
    """The first place where a value is not what a schema allows.

    Args:
        value: Of JSON types.
        schema: Of the keywords in `KEYWORDS`.

    Returns:
        Such as "reid.ceiling.auc is missing"; "" where there is none. Values are never part of it.
    """
    return next(_violations(value, schema, schema, ""), "")


def _violations(value: object, schema: Mapping[str, Any], root: Mapping[str, Any], at: str) -> Iterator[str]:
    if "$ref" in schema:
        schema = root["$defs"][schema["$ref"].rpartition("/")[2]]
    kinds = schema.get("type", [])
    kinds = [kinds] if isinstance(kinds, str) else kinds
    if kinds and not any(_TYPES[kind](value) for kind in kinds):
        yield f"{at or 'the whole'} is not of type {' or '.join(kinds)}"
        return
    if "anyOf" in schema and not any(_conforms(value, one, root) for one in schema["anyOf"]):
        yield f"{at} is not {schema['description']}"
    yield from _choices(value, schema, at)
    if isinstance(value, dict):
        yield from _of_object(value, schema, root, at)
    elif isinstance(value, list):
        yield from _of_list(value, schema, root, at)
    elif isinstance(value, str):
        yield from _of_text(value, schema, at)
    elif _is_number(value):
        yield from _of_number(value, schema, at)
    if "if" in schema:
        branch = "then" if _conforms(value, schema["if"], root) else "else"
        yield from _violations(value, schema[branch], root, at)


def _conforms(value: object, schema: Mapping[str, Any], root: Mapping[str, Any]) -> bool:
    return next(_violations(value, schema, root, ""), None) is None


def _choices(value: object, schema: Mapping[str, Any], at: str) -> Iterator[str]:
    allowed = [schema["const"]] if "const" in schema else schema.get("enum")
    if allowed is not None and not any(type(value) is type(one) and value == one for one in allowed):
        yield f"{at} is not {' or '.join(map(str, allowed))}"


def _of_object(
    value: dict[str, object], schema: Mapping[str, Any], root: Mapping[str, Any], at: str
) -> Iterator[str]:
    known = schema.get("properties", {})
    for name in schema.get("required", ()):
        if name not in value:
            yield f"{_below(at, name)} is missing"
    for name, dependent in schema.get("dependentSchemas", {}).items():
        if name in value:
            yield from _violations(value, dependent, root, at)
    for name, child in value.items():
        if "propertyNames" in schema and not _conforms(name, schema["propertyNames"], root):
            yield f"{at} has a key that is no name: it is empty, long, or could be a path"
        if name in known:
            yield from _violations(child, known[name], root, _below(at, name))
            continue
        others = schema.get("additionalProperties", True)
        if others is False:
            yield f"{_below(at, name)} is not a known field"
        elif others is not True:
            yield from _violations(child, others, root, _below(at, name))


def _of_list(
    value: list[object], schema: Mapping[str, Any], root: Mapping[str, Any], at: str
) -> Iterator[str]:
    if len(value) > schema.get("maxItems", len(value)):
        yield f"{at} has more than {schema['maxItems']} items"
    for place, child in enumerate(value):
        yield from _violations(child, schema.get("items", {}), root, f"{at}[{place}]")


def _of_text(value: str, schema: Mapping[str, Any], at: str) -> Iterator[str]:
    if not schema.get("minLength", 0) <= len(value) <= schema.get("maxLength", len(value)):
        yield f"{at} is not {schema.get('minLength', 0)} to {schema.get('maxLength')} characters long"
    if "pattern" in schema and not re.search(schema["pattern"], value):
        yield f"{at} is a text that is not allowed: a line without paths, and words that promise nothing"


def _of_number(value: Any, schema: Mapping[str, Any], at: str) -> Iterator[str]:
    if value < schema.get("minimum", value):
        yield f"{at} is below {schema['minimum']}"
    if value > schema.get("maximum", value):
        yield f"{at} is above {schema['maximum']}"


def _is_number(value: object) -> TypeGuard[int | float]:
    """Whether it is a number that JSON can write: neither infinite nor "not a number"."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return isinstance(value, int) or math.isfinite(value)


def _below(at: str, name: str) -> str:
    """A place in the result; names that are not plain words might be anything and are not repeated."""
    shown = name if re.fullmatch(r"[A-Za-z0-9_ +-]{1,40}", name) else "(a name)"
    return f"{at}.{shown}" if at else shown
