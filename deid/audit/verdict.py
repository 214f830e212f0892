"""What figures of several attackers come to: linkable, no link found, or not assessed.

One rule for all sections, which compares with chance and with the ceiling and never without an interval:

- *linkable*: some attacker's AUC lies above one half by more than chance explains, at 95 % confidence over
  all attackers tried together (Bonferroni, both directions). The error is the larger of the attacker's own
  and that of the shuffled-label control, so that a few lucky patients prove nothing. A weak attacker who
  finds a link has found it.
- *not assessed* else, where the ceiling on originals is under 0.70 (the attacker is too weak to conclude),
  the smallest excess over one half that these patients could show is more than half the ceiling's, or
  no attacker was adapted to the scrubbed images: a frozen one proves a leak but never its absence.
- *no link found* otherwise.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist

from deid.audit.assessment import Section, standard_error

LINKABLE, NO_LINK, NOT_ASSESSED = "linkable", "no link found", "not assessed"
WEAK_CEILING = 0.70
TOO_WEAK = "attacker too weak to conclude"
TOO_FEW = "too few patients to conclude"
NOT_ADAPTED = "no attacker was adapted to the scrubbed images: a frozen one proves no absence"

_CHANCE, _POWER = 0.5, 0.8
_UNIFORM = math.sqrt(1 / 12)


@dataclass(frozen=True)
class Evidence:
    """What a verdict is made of.

    Attributes:
        attacks: Sections of all attackers on scrubbed images, assessed or not.
        tried: How many attackers that was, every restart counted.
        ceiling: The strongest on originals.
        chance_error: Standard error of an AUC at chance, from the shuffled-label control.
        adapted: Whether an attacker adapted to the scrubbed images was among them.
    """

    attacks: Sequence[Section]
    tried: int
    ceiling: Section
    chance_error: float
    adapted: bool = True

    @property
    def smallest_difference(self) -> float:
        """Excess of an AUC over one half that is found four times in five."""
        return (self._quantile + NormalDist().inv_cdf(_POWER)) * self.chance_error

    @property
    def _quantile(self) -> float:
        return quantile(self.tried)

    def is_linkable(self) -> bool:
        """Whether some attacker does better than chance explains."""
        found = [attack["auc"] for attack in self.attacks if attack.get("auc")]
        return any(
            auc["value"] - _CHANCE > self._quantile * max(self.chance_error, standard_error(auc))
            for auc in found
        )


def match_error(patients: float) -> float:
    """Standard error of the AUC at which own originals are found at chance, each share even in 0 to 1."""
    return _UNIFORM / math.sqrt(max(1.0, patients))


def quantile(tried: int) -> float:
    """How many standard errors chance explains in either direction, at 95 % over all that was tried."""
    return NormalDist().inv_cdf(1 - 0.05 / (2 * max(1, tried)))


def judge(evidence: Evidence) -> tuple[str, str]:
    """The verdict and, where nothing can be concluded, the reason."""
    if evidence.is_linkable():
        return LINKABLE, ""
    ceiling = evidence.ceiling.get("auc")
    if not ceiling or ceiling["value"] < WEAK_CEILING:
        return NOT_ASSESSED, TOO_WEAK
    if evidence.smallest_difference > (ceiling["value"] - _CHANCE) / 2:
        return NOT_ASSESSED, TOO_FEW
    return (NO_LINK, "") if evidence.adapted else (NOT_ASSESSED, NOT_ADAPTED)


def words(verdict: str, attacks: Sequence[Section]) -> str:
    """The verdict in plain words: the patients that the strongest was tried on, the largest upper bound."""
    best = strongest(attacks)
    if verdict != NO_LINK or best is None:
        return verdict
    upper, patients = max(each["auc"]["upper"] for each in attacks if each.get("auc")), best["patients"]
    return f"no link found by these attackers at N = {patients} patients, upper bound AUC {upper:.2f}"


def strongest(attacks: Sequence[Section]) -> Section | None:
    """The assessed attack with the highest AUC."""
    known = [attack for attack in attacks if attack.get("auc")]
    return max(known, key=lambda attack: attack["auc"]["value"]) if known else None
