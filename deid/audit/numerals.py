"""Numbers of the result in words: rounded, with their interval, and said to be missing where they are."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

MISSING = "not estimated"


def finite(value: object) -> float | None:
    """A number that can be shown; None for what is missing, no number, infinite or not a number."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        return float(value) if math.isfinite(value) else None
    except OverflowError:  # an integer beyond the largest float
        return None


def decimal(value: object, digits: int = 2) -> str:
    """Such as "0.62"; a tiny or huge number in powers of ten."""
    number = finite(value)
    if number is None:
        return MISSING
    if number and not 10**-digits / 2 <= abs(number) < 1e6:
        return f"{number:.1e}"
    shown = f"{number:,.{digits}f}"
    return shown.removeprefix("-") if not float(shown.replace(",", "")) else shown


def share(value: object) -> str:
    """A share of one in percent, such as "8.3 %"; small ones keep a digit that counts."""
    number = finite(value)
    if number is None:
        return MISSING
    percent = 100 * number or 0.0
    if abs(percent) >= 10 or not percent:
        return f"{percent:,.0f} %"
    return f"{percent:.1f} %" if abs(percent) >= 0.1 else f"{percent:.2g} %"


def count(value: object) -> str:
    """Such as "1,234"."""
    number = finite(value)
    return MISSING if number is None else f"{number:,.0f}"


def of(measure: object, part: str = "value") -> float | None:
    """A part of a measure (`value`, `lower`, `upper`); a bare number is its own value, without bounds."""
    if isinstance(measure, Mapping):
        return finite(measure.get(part))
    return finite(measure) if part == "value" else None


def measured(measure: object, form: Callable[[object], str] = decimal) -> str:
    """A value with its interval, such as "0.62 (0.57 to 0.66)" or "41 % (38 to 44 %)"."""
    value, lower, upper = (of(measure, part) for part in ("value", "lower", "upper"))
    if value is None:
        return MISSING
    if lower is None or upper is None:
        return form(value)
    return f"{form(value)} ({form(lower).removesuffix(' %')} to {form(upper)})"


def is_assessed(part: object) -> bool:
    """Whether a part of the result holds figures: it is there and does not say that it was not assessed."""
    return isinstance(part, Mapping) and bool(part) and part.get("status", "assessed") == "assessed"


def part(result: object, *keys: str) -> dict[str, Any]:
    """An object inside the result; empty where it is missing, null or something else."""
    for key in keys:
        result = result.get(key) if isinstance(result, Mapping) else None
    return dict(result) if isinstance(result, Mapping) else {}
