"""The private annex of an audit: its worst cases, by keyed references that only the operator can resolve.

The report is shared and names nobody. Who is to mend a release needs to know where it leaks: the annex says
it by the references of ``mami-deid show``, and lies in the state folder.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

Scores = NDArray[np.floating]
Indices = NDArray[np.integer]

MOST = 50
"""Pairs, images or patients that are noted of each attacker."""


@dataclass
class Annex:
    """Collects what the attacks found worst.

    Attributes:
        pairs: Most alike pairs of one patient by attacker, two references each and the score.
        links: Images that their own original was found by, by method, with the score.
        header: Of each hit of the header attack: reference, element, form and whether it is certain.
        rare: Patients that few others look like by what was kept: attributes, how many, references.
    """

    pairs: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    links: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    header: list[dict[str, Any]] = field(default_factory=list)
    rare: list[dict[str, Any]] = field(default_factory=list)

    def note_pairs(
        self,
        attacker: str,
        refs: Sequence[str],
        first: Indices,
        second: Indices,
        scores: Scores,
    ) -> None:
        """Keep the pairs with the highest scores; of several trainings of one attacker the highest of all.

        Args:
            attacker: Its name.
            refs: Of all images.
            first: Index of an image, `[pair]`.
            second: Index of another image of the same patient, `[pair]`.
            scores: How alike they look, `[pair]`.
        """
        known = self.pairs.setdefault(attacker, [])
        known += [
            {"score": round(float(scores[i]), 4), "refs": [refs[first[i]], refs[second[i]]]}
            for i in np.argsort(-scores, kind="stable")[:MOST]
            if refs[first[i]] and refs[second[i]]
        ]
        known.sort(key=lambda pair: -float(pair["score"]))
        del known[MOST:]

    def note_links(self, method: str, refs: Sequence[str], found: Indices, scores: Scores) -> None:
        """Keep the images whose own original was the first that was found, the most alike of them.

        Args:
            method: Its name.
            refs: Of all images.
            found: Index of those images, `[found]`.
            scores: Of each with its original, `[found]`.
        """
        self.links[method] = [
            {"score": round(float(scores[i]), 4), "ref": refs[found[i]]}
            for i in np.argsort(-scores, kind="stable")[:MOST]
            if refs[found[i]]
        ]

    def note_header(self, ref: str, element: str, place: str, form: str, *, certain: bool) -> None:
        """Keep one hit of the header attack."""
        if ref:
            hit = {"ref": ref, "element": element, "place": place, "form": form, "certain": certain}
            if hit not in self.header[-MOST:]:
                self.header.append(hit)

    def note_rare(self, attributes: Iterable[str], patients: int, refs: Iterable[str]) -> None:
        """Keep patients that look alike, one reference of each."""
        known = sorted(ref for ref in refs if ref)
        if known:
            self.rare.append({"attributes": sorted(attributes), "patients": patients, "refs": known})

    def to_json(self) -> dict[str, Any]:
        """As JSON types; certain hits first, patients that stand alone first."""
        return {
            "reid": self.pairs,
            "linkage": self.links,
            "header": sorted(self.header, key=lambda hit: not hit["certain"]),
            "uniqueness": sorted(self.rare, key=lambda group: int(group["patients"])),
        }
