"""Audits of the shards of one release as one audit.

Counts are added; they are exact, as shards have no patient in common. Areas, rates and intervals cannot be
computed anew without the images: :mod:`deid.audit.pooling` averages them by patients. Every shard was
searched by itself, so links across shards were not tried, galleries are those of the shards, and groups of
patients that look alike can only be larger in the whole release.

A verdict is never milder than that of any shard. "No link found" needs it from every shard; and where the
attackers' pooled excess over chance is more than chance explains, the release is linkable even if no shard
alone could show it.
"""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from deid.audit.assessment import standard_error
from deid.audit.belonging import check_alike, check_apart
from deid.audit.digests import upper_bound
from deid.audit.numerals import finite, is_assessed, part
from deid.audit.pooled_plane import pooled_plane
from deid.audit.pooled_verdict import is_bounded, is_linkable, no_link_words
from deid.audit.pooling import (
    Section,
    marker,
    mean,
    pooled_attack,
    pooled_link,
    pooled_measure,
    reasons,
    unassessed,
)
from deid.audit.verdict import LINKABLE, NO_LINK, NOT_ASSESSED, match_error

THREATS = ("reid", "linkage", "inversion", "header")
RULE = (
    "Counts are sums over shards. Other figures are means over shards, weighted by patients; the distance to "
    "an end of an interval is the root of the summed squares of the shards' weighted distances. Lowest and "
    "highest are those of the shards. Links across shards were not tried; galleries and groups of patients "
    "who look alike are those within a shard. A verdict is never milder than that of any shard."
)
_KINDS = ("ceiling", "frozen", "training_free", "adaptive", "scrubbed_scrubbed")


def merge(results: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """One result of several; of one it is that one, unless it is of a shard. The order does not matter.

    Args:
        results: What the ``audit.json`` of each shard holds.

    Returns:
        The result, whose gates are still to be checked.

    Raises:
        ValueError: There is no result.
        UsageError: They do not belong together, or share patients.
    """
    if not results:
        raise ValueError("there is nothing to merge")
    check_alike(results)
    shards = check_apart(results)
    if len(results) == 1 and shards < 2:
        return {**results[0], "gates": []}
    return _Merger(sorted(results, key=lambda each: json.dumps(each, sort_keys=True)), shards).result()


class _Merger:
    """Audits that belong together, in an order of their own."""

    def __init__(self, results: Sequence[Mapping[str, Any]], known_shards: int) -> None:
        self._results = results
        self._known = known_shards
        self._shards = known_shards or len(results)
        self._patients = [float(result["release"]["patients"]) for result in results]

    def result(self) -> dict[str, Any]:
        """The merged result."""
        makers: dict[str, Callable[[list[Section]], Section]] = {
            "reid": self._reid,
            "linkage": self._linkage,
            "inversion": self._inversion,
            "header": self._header,
        }
        sections = {name: self._threat(name, make) for name, make in makers.items()}
        first = self._results[0]
        return {
            "schema": first["schema"],
            "tool": dict(first["tool"]),
            "manifest": _manifest([result["manifest"] for result in self._results]),
            "release": self._release(),
            **sections,
            "text": self._others("text"),
            "face": self._others("face"),
            "utility": self._utility(),
            **self._plane(),
            "merged": self._merged(),
            "gates": [],
            "verdict": self._overall(sections),
        }

    def _of(self, name: str) -> list[Section]:
        return [part(result, name) for result in self._results]

    def _release(self) -> Section:
        found = self._of("release")
        keys = ("patients", "patients_with_several_studies", "images", "pairs")
        counts = {key: sum(int(each[key]) for each in found) for key in keys}
        by_name: dict[str, dict[str, int]] = {}
        for name in ("modalities", "left_out"):
            total: Counter[str] = Counter()
            for each in found:
                total.update(part(each, name))
            by_name[name] = dict(sorted(total.items()))
        return {"mode": found[0]["mode"], **counts, **by_name}

    def _merged(self) -> Section:
        return {
            "audits": len(self._results),
            "shards": self._shards,
            "apart": "by their shards" if self._known else "not checked",
            "rule": RULE,
            "verdicts": {
                name: dict(sorted(Counter(_verdict(each) for each in self._of(name)).items()))
                for name in THREATS
            },
        }

    def _overall(self, sections: Mapping[str, Section]) -> str:
        """That of the sections, or of the shards where one was less mild."""
        own = [section["verdict"] for section in sections.values()]
        judged = LINKABLE if LINKABLE in own else NO_LINK if NO_LINK in own else NOT_ASSESSED
        given = [judged, *(str(result["verdict"]) for result in self._results)]
        return self._least_mild(given)

    def _least_mild(self, verdicts: Sequence[str]) -> str:
        complete = len(self._results) == self._shards
        if LINKABLE in verdicts:
            return LINKABLE
        return NO_LINK if complete and set(verdicts) == {NO_LINK} else NOT_ASSESSED

    def _threat(self, name: str, make: Callable[[list[Section]], Section]) -> Section:
        """The section of a threat: its figures, and a verdict that is not milder than that of any shard."""
        sections = self._of(name)
        known = [section for section in sections if is_assessed(section)]
        if not known:
            return unassessed(sections) | {"verdict": NOT_ASSESSED, "words": NOT_ASSESSED}
        found = make(sections)
        excess = bool(found.pop("linkable", False))
        verdicts = [_verdict(section) for section in sections]
        verdict = LINKABLE if excess else self._least_mild(verdicts)
        said = reasons([each for each in sections if _verdict(each) == NOT_ASSESSED or each.get("reason")])
        linked = verdicts.count(LINKABLE)
        words = {
            LINKABLE: f"linkable in {linked} of {self._shards} shards" if linked else LINKABLE,
            NO_LINK: found.pop("words"),
            NOT_ASSESSED: NOT_ASSESSED,
        }[verdict]
        found.pop("words", None)
        if len(known) < self._shards:
            lacking = f"assessed in {len(known)} of {self._shards} shards"
            said = f"{lacking}; {said}" if said else lacking
        return {
            "status": "assessed",
            "reason": said,
            "verdict": verdict,
            "words": words,
            **found,
            "shards": marker(len(known), self._shards),
        }

    def _reid(self, sections: list[Section]) -> Section:
        found: Section = {
            key: pooled_attack([part(section, key) for section in sections], self._shards) for key in _KINDS
        }
        names = sorted({name for section in sections for name in part(section, "attackers")})
        found["attackers"] = {name: self._attacker(sections, name) for name in names}
        controls = [part(section, "controls") for section in sections]
        shuffled = [each.get("shuffled_labels") for each in controls]
        found["controls"] = {
            "shuffled_labels": pooled_measure(shuffled, self._patients, self._shards),
            "random_change": pooled_attack([part(each, "random_change") for each in controls], self._shards),
        }
        found["power"] = {"smallest_difference": self._smallest_difference(sections)}
        mode = self._results[0]["release"]["mode"]
        geometry = "original_scrubbed" if mode == "pairs" else "scrubbed_scrubbed"
        attacks = [[part(each, "attackers", name, geometry) for each in sections] for name in names]
        bounded = [part(each, "shuffled_labels") for each in controls]
        errors = [standard_error(each) if is_bounded(each) else 0.0 for each in bounded]
        found["linkable"] = is_linkable(attacks, self._patients, errors)
        pooled = [found["attackers"][name].get(geometry, {}) for name in names]
        number = f"{max(map(_people, pooled), default=0)} patients"
        return found | {"words": no_link_words(pooled, number, len(sections))}

    def _attacker(self, sections: list[Section], name: str) -> Section:
        given = [part(section, "attackers", name) for section in sections]
        geometries = sorted({geometry for each in given for geometry in each})
        return {
            geometry: pooled_attack([part(each, geometry) for each in given], self._shards)
            for geometry in geometries
        }

    def _smallest_difference(self, sections: list[Section]) -> float | None:
        """That of independent shards together; not known unless it is of all that were assessed."""
        known = [
            (finite(part(section, "power").get("smallest_difference")), weight)
            for section, weight in zip(sections, self._patients, strict=True)
            if is_assessed(section)
        ]
        differences = [value for value, _ in known if value is not None]
        if not differences or len(differences) < len(known):
            return None
        total = sum(weight for _, weight in known) or 1.0
        squares = ((w / total * value) ** 2 for value, (_, w) in zip(differences, known, strict=True))
        return round(math.sqrt(math.fsum(squares)), 6)

    def _linkage(self, sections: list[Section]) -> Section:
        names = sorted({name for section in sections for name in part(section, "methods")})
        given = {name: [part(section, "methods", name) for section in sections] for name in names}
        methods = {name: pooled_link(links, self._patients, self._shards) for name, links in given.items()}
        errors = [match_error(patients) for patients in self._patients]
        number = f"{sum(map(int, self._patients))} patients"
        return {
            "methods": methods,
            "linkable": is_linkable(list(given.values()), self._patients, errors),
            "words": no_link_words(list(methods.values()), number, len(sections)),
        }

    def _inversion(self, sections: list[Section]) -> Section:
        names = sorted({name for section in sections for name in part(section, "methods")})
        methods = {
            name: self._way_back([part(section, "methods", name) for section in sections]) for name in names
        }
        pooled = [part(method, "reid") for method in methods.values()]
        attacks = [[part(section, "methods", name, "reid") for section in sections] for name in names]
        links = [[part(section, "methods", name, "linkage") for section in sections] for name in names]
        none, errors = [0.0] * len(sections), [match_error(patients) for patients in self._patients]
        number = f"{max(map(_people, pooled), default=0)} patients"
        return {
            "methods": methods,
            "linkable": is_linkable(attacks, self._patients, none)
            or is_linkable(links, self._patients, errors),
            "words": no_link_words(pooled, number, len(sections)),
        }

    def _way_back(self, given: list[Section]) -> Section:
        pairs = [
            (each, weight) for each, weight in zip(given, self._patients, strict=True) if is_assessed(each)
        ]
        if not pairs:
            return unassessed(given)
        known, weights = [each for each, _ in pairs], [weight for _, weight in pairs]
        return {
            "status": "assessed",
            "error": pooled_measure([each.get("error") for each in known], weights, self._shards),
            "reid": pooled_attack([part(each, "reid") for each in known], self._shards),
            "linkage": pooled_link([part(each, "linkage") for each in known], weights, self._shards),
            "shards": marker(len(known), self._shards),
        }

    def _header(self, sections: list[Section]) -> Section:
        known = [section for section in sections if is_assessed(section)]
        found: Section = {
            key: sum(int(each[key]) for each in known) for key in ("certain", "possible", "values", "files")
        }
        found |= {key: _added([each[key] for each in known]) for key in ("by_form", "by_place")}
        digests = self._counted(known, "hash_dictionary", ("tried", "recovered"))
        if is_assessed(digests):
            digests["upper"] = upper_bound(digests["recovered"], digests["tried"])
        found["hash_dictionary"] = digests
        found["shift"] = self._counted(known, "shift", ("patients", "recovered"))
        found["uniqueness"] = self._uniqueness([part(each, "uniqueness") for each in known])
        bound = upper_bound(0, found["values"])
        found["linkable"] = any(_verdict(each) == LINKABLE for each in known)
        words = f"no link found by these attackers at N = {found['values']}, upper bound {bound:.2g}"
        return found | {"words": words}

    def _counted(self, sections: list[Section], name: str, keys: Sequence[str]) -> Section:
        given = [part(section, name) for section in sections]
        known = [each for each in given if is_assessed(each)]
        if not known:
            return unassessed(given)
        counts = {key: sum(int(each[key]) for each in known) for key in keys}
        return counts | {"shards": marker(len(known), self._shards)}

    def _uniqueness(self, given: list[Section]) -> Section:
        known = [each for each in given if is_assessed(each)]
        if not known:
            return unassessed(given)
        names = {name: None for each in known for name in each["quasi_identifiers"]}
        return {
            "quasi_identifiers": sorted(names),
            "k": _added([each["k"] for each in known]),
            "shards": marker(len(known), self._shards),
        }

    def _others(self, name: str) -> Section:
        """Threats that have no figures."""
        return unassessed(self._of(name))

    def _utility(self) -> Section:
        sections = self._of("utility")
        known = [(each, w) for each, w in zip(sections, self._patients, strict=True) if is_assessed(each)]
        if not known:
            return unassessed(sections)
        given, weights = [each for each, _ in known], [weight for _, weight in known]
        images = [
            float(result["release"]["images"]) for result in self._results if is_assessed(result["utility"])
        ]
        found: Section = {"status": "assessed", "reason": reasons(sections)}
        found["classifier"] = self._classifier([part(each, "classifier") for each in given], weights)
        for key in ("psnr", "ssim"):
            found[key] = pooled_measure([each.get(key) for each in given], weights, self._shards)
        shares = [finite(each.get("pixels_unchanged")) for each in given]
        kept = [(share, w) for share, w in zip(shares, images, strict=True) if share is not None]
        found["pixels_unchanged"] = (
            round(mean([share for share, _ in kept], [w for _, w in kept]), 6) if kept else None
        )
        return found | {"shards": marker(len(given), self._shards)}

    def _plane(self) -> Section:
        """Under its name; nothing where the audits are older than it."""
        if not all("plane" in result for result in self._results):
            return {}
        return {"plane": pooled_plane(self._of("plane"), self._finding, self._shards)}

    def _classifier(self, given: list[Section], weights: Sequence[float]) -> Section:
        pairs = [(each, w) for each, w in zip(given, weights, strict=True) if is_assessed(each)]
        if not pairs:
            return unassessed(given)
        known, own = [each for each, _ in pairs], [weight for _, weight in pairs]
        bases = {each.get("basis") for each in known}
        if len(bases) > 1:
            reason = "shards were measured in different ways: by labels, and by agreement"
            return {"status": "not assessed", "reason": reason}
        names = sorted({name for each in known for name in part(each, "findings")})
        found: Section = {"status": "assessed"} | ({"basis": bases.pop()} if None not in bases else {})
        found["retained"] = pooled_measure([each.get("retained") for each in known], own, self._shards)
        found["findings"] = {name: self._finding(known, name) for name in names}
        return found | {"shards": marker(len(known), self._shards)}

    def _finding(self, classifiers: Sequence[Mapping[str, Any]], name: str) -> Section:
        given = [part(each, "findings", name) for each in classifiers]
        known = [each for each in given if each]
        images = [float(each["images"]) for each in known]
        found: Section = {
            key: pooled_measure([each.get(key) for each in known], images, self._shards)
            for key in ("before", "after", "difference")
        }
        return found | {key: sum(int(each[key]) for each in known) for key in ("positives", "images")}


def _verdict(section: Mapping[str, Any]) -> str:
    return str(section.get("verdict", NOT_ASSESSED)) if is_assessed(section) else NOT_ASSESSED


def _people(attack: Mapping[str, Any]) -> int:
    return int(attack.get("patients", 0))


def _added(counts: Sequence[Mapping[str, int]]) -> dict[str, int]:
    names = {name: None for each in counts for name in each}
    return {name: sum(each.get(name, 0) for each in counts) for name in names}


def _manifest(given: Sequence[Mapping[str, Any]]) -> Section:
    found: Section = {}
    if made := [str(each["created"]) for each in given if each.get("created")]:
        found["created"] = max(made)
    for key in ("python", "torch"):
        versions = sorted({str(each[key]) for each in given if each.get(key)})
        if any(key in each for each in given):
            found[key] = ", ".join(versions) if versions else None
    names = {name: None for each in given for name in each["options"]}
    found["options"] = {name: _option([each["options"].get(name) for each in given]) for name in names}
    models: dict[str, str] = {}
    seconds: Counter[str] = Counter()
    for each in given:
        models |= each.get("models", {})
        seconds.update(each.get("seconds", {}))
    found["models"] = dict(sorted(models.items()))
    if any("recipe" in each for each in given):
        found["recipe"] = given[0].get("recipe")
    found["seconds"] = {name: round(value, 3) for name, value in sorted(seconds.items())}
    if "editions" in given[0]:
        found["editions"] = dict(given[0]["editions"])
    return found


def _option(values: Sequence[Any]) -> Any:
    """What all say, or a list of all that is said."""
    if all(type(value) is type(values[0]) and value == values[0] for value in values):
        return values[0]
    return sorted({str(each) for value in values for each in (value if isinstance(value, list) else [value])})
