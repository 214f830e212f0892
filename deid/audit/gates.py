"""Gates of ``--require``: conditions on ``audit.json`` that a release must meet.

``reid.adaptive.auc.upper<0.6``: a dotted path, a comparison, a number. A path that ends at a measure with
an interval takes the end of it that makes the gate harder to pass: upper for ``<`` and ``<=``, lower for
``>`` and ``>=``, the value itself for ``==``. What is missing or was not assessed fails,
unless it is allowed; so does a figure of a threat whose verdict is "not assessed" (attackers too weak, no
originals to search with) and, in a merged audit, what was not assessed in every shard.
"""

from __future__ import annotations

import math
import operator
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from deid.audit.schema import schema
from deid.core.errors import UsageError

_EXPRESSION = re.compile(
    r"\s*(?P<path>[^<>=!\s][^<>=!]*?)\s*(?P<sign><=|>=|==|<|>)\s*(?P<limit>[^<>=!]+?)\s*"
)
_COMPARISONS: Mapping[str, Callable[[float, float], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
    "==": operator.eq,
}
_END = {"<": "upper", "<=": "upper", ">": "lower", ">=": "lower", "==": "value"}
MISSING, NOT_ASSESSED, NO_NUMBER = "missing", "not assessed", "not a number"
PARTLY, UNJUDGED = "not assessed in every shard", "measured, but the threat was not assessed"
_HELP = "a gate is PATH<NUMBER (or <=, >, >=, ==) with a path of audit.json, such as header.certain==0"


@dataclass(frozen=True)
class Gate:
    """One condition.

    Attributes:
        path: Names from the outermost object of ``audit.json`` inwards.
        sign: ``<``, ``<=``, ``>``, ``>=`` or ``==``.
        limit: The number to compare with.
    """

    path: tuple[str, ...]
    sign: str
    limit: float

    @property
    def expression(self) -> str:
        """The gate as text that :func:`parse_gate` reads."""
        return f"{'.'.join(self.path)}{self.sign}{self.limit!r}"


@dataclass(frozen=True)
class GateResult:
    """How a gate ended; an entry of ``gates``."""

    expression: str
    found: float | None
    passed: bool
    reason: str

    def to_json(self) -> dict[str, Any]:
        """All attributes by name."""
        return asdict(self)


def parse_gate(text: str) -> Gate:
    """Read the text of one ``--require``.

    Raises:
        UsageError: It is no gate.
    """
    match = _EXPRESSION.fullmatch(text)
    if match is None:
        raise UsageError(f"--require: {_HELP}.")
    path = tuple(match["path"].split("."))
    try:
        limit = float(match["limit"])
    except ValueError:
        raise UsageError(f"--require: what stands right of {match['sign']} is no number; {_HELP}.") from None
    if not math.isfinite(limit) or not all(name == name.strip() and name for name in path):
        raise UsageError(f"--require: the number must be finite and no name of the path empty; {_HELP}.")
    return Gate(path, match["sign"], limit)


def check_gates(
    gates: Iterable[Gate], result: Mapping[str, Any], *, allow_not_assessed: bool = False
) -> list[GateResult]:
    """Compare a result with its gates.

    Args:
        gates: In the order of the command line.
        result: The document, of which ``gates`` itself is not looked at.
        allow_not_assessed: What was not assessed passes; what was in some shards, or belongs to a threat
            without a verdict, is compared all the same. What no section could ever hold does not pass.
    """
    return [_checked(gate, result, allow_not_assessed) for gate in gates]


def _checked(gate: Gate, result: Mapping[str, Any], allowed: bool) -> GateResult:
    found = _look_up(gate, result)
    if isinstance(found, str):
        return GateResult(gate.expression, None, allowed and found == NOT_ASSESSED, found)
    passed = _COMPARISONS[gate.sign](found, gate.limit)
    doubt = PARTLY if _is_partial(gate, result) else UNJUDGED if _is_unjudged(gate, result) else ""
    return GateResult(gate.expression, found, passed and (allowed or not doubt), doubt)


def _is_unjudged(gate: Gate, result: Mapping[str, Any]) -> bool:
    """Whether a number belongs to a threat of which nothing could be concluded."""
    section = result.get(gate.path[0])
    return isinstance(section, Mapping) and section.get("verdict") == NOT_ASSESSED


def _is_partial(gate: Gate, result: Mapping[str, Any]) -> bool:
    """Whether a number of a merged audit lies below something that some shard did not assess."""
    here: Any = result
    for name in _joined(gate.path, result):
        here = here.get(name) if isinstance(here, Mapping) else None
        shards = here.get("shards") if isinstance(here, Mapping) else None
        if isinstance(shards, Mapping) and shards["assessed"] < shards["of"]:
            return True
    return False


def _look_up(gate: Gate, result: Mapping[str, Any]) -> float | str:
    """The number at the end of the path, or why there is none."""
    here: Any = result
    assessed = True
    for name in _joined(gate.path, result):
        if not isinstance(here, Mapping):
            return MISSING
        assessed = assessed and here.get("status", "assessed") == "assessed"
        if name not in here:
            return MISSING if assessed else _unassessed(gate)
        here = here[name]
    if isinstance(here, Mapping):
        if here.get("status", "assessed") != "assessed" or not assessed:
            return _unassessed(gate)
        here = here.get(_END[gate.sign], here)
    if here is None:
        return _unassessed(gate)
    if isinstance(here, bool) or not isinstance(here, int | float) or not math.isfinite(here):
        return NO_NUMBER
    return float(here)


def _unassessed(gate: Gate) -> str:
    """Not assessed, if the place exists at all: a slip of the pen must not pass where that is allowed."""
    whole = schema()
    return NOT_ASSESSED if _has_place(gate.path, whole, whole) else MISSING


def _has_place(path: Sequence[str], node: Mapping[str, Any], whole: Mapping[str, Any]) -> bool:
    """Whether a part of the schema has a place for a path.

    A name with dots, such as that of a model, takes several parts of it, but not the last: else any end of
    a path would be part of a name.
    """
    if "$ref" in node:
        node = whole["$defs"][node["$ref"].rpartition("/")[2]]
    branches = [node[key] for key in ("then", "else") if key in node] + node.get("anyOf", [])
    if not path or any(_has_place(path, branch, whole) for branch in branches):
        return True
    for size in range(1, max(2, len(path))):
        name = ".".join(path[:size])
        child = node.get("properties", {}).get(name, node.get("additionalProperties"))
        if isinstance(child, Mapping) and _has_place(path[size:], child, whole):
            return True
    return False


def _joined(path: tuple[str, ...], result: Any) -> Iterable[str]:
    """The names of a path; one with a dot in it, such as that of a model, counts as one where it fits."""
    rest = list(path)
    while rest:
        names = result if isinstance(result, Mapping) else {}
        size = next((n for n in range(len(rest), 0, -1) if ".".join(rest[:n]) in names), 1)
        name = ".".join(rest[:size])
        yield name
        result = names.get(name)
        del rest[:size]
