"""The tables of the privacy-utility plane."""

from __future__ import annotations

from typing import Any

from deid.audit.numerals import count, decimal, is_assessed, measured, part
from deid.audit.tables import Result, Table
from deid.audit.words import BASES


def plane_strengths(result: Result) -> Table:
    """Every point of the plane."""
    rows = []
    for name, point in _plane_points(result):
        figures = [measured(point.get(key), lambda x: decimal(x, 3)) for key in ("retained", "ssim")]
        reached = measured(point.get("auc"))
        similar = measured(point.get("psnr"), lambda x: decimal(x, 1))
        rows.append((name, reached, str(point.get("attacker") or "-"), figures[0], similar, figures[1]))
    what = BASES.get(str(part(result, "plane").get("basis")), "retained")
    head = ("strength", "attacker's AUC", "strongest attacker", what, "PSNR (dB)", "SSIM")
    return Table("The points of the plane", head, tuple(rows))


def plane_attackers(result: Result) -> Table:
    """AUC of every attacker at every strength."""
    points = _plane_points(result)
    names = dict.fromkeys(name for _, point in points for name in part(point, "attackers"))
    rows = [(name, *(measured(part(point, "attackers").get(name)) for _, point in points)) for name in names]
    head = ("attacker", *(f"strength {name}" for name, _ in points))
    return Table("AUC of every attacker by strength", head, tuple(rows))


def plane_findings(result: Result) -> Table:
    """AUC of the classifier by finding and strength."""
    points = _plane_points(result)
    rows = []
    for finding in dict.fromkeys(name for _, point in points for name in part(point, "findings")):
        cells = [part(point, "findings", finding) for _, point in points]
        after = (measured(cell.get("after"), lambda x: decimal(x, 3)) for cell in cells)
        rows.append((finding, *after, count(cells[0].get("positives")), count(cells[0].get("images"))))
    head = ("finding", *(f"strength {name}" for name, _ in points), "positive", "images")
    return Table("AUC of the classifier by finding and strength", head, tuple(rows))


def _plane_points(result: Result) -> list[tuple[str, dict[str, Any]]]:
    """The points that were measured, with their names; the release's own says so."""
    strengths, own = part(result, "plane", "strengths"), part(result, "plane", "release").get("strength")
    points = [(name, part(strengths, name)) for name in strengths]
    return [
        (f"{name} (this release)" if own is not None and point.get("strength") == own else name, point)
        for name, point in points
        if is_assessed(point)
    ]
