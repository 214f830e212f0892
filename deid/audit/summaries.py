"""The verdict of each threat in one row: who attacks, what he reaches, against chance and ceiling."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from deid.audit.numerals import MISSING, count, is_assessed, measured, of, part, share
from deid.audit.words import (
    THREATS,
    Verdict,
    headline,
    method_name,
    strongest_inversion,
    strongest_link,
    verdict,
    who,
)


@dataclass(frozen=True)
class Summary:
    """A row of the first table.

    Attributes:
        threat: What may happen.
        verdict: One of three.
        who: Who attacks.
        reaches: What he reaches, with intervals.
        chance: What guessing reaches.
        ceiling: What the same attack reaches where nothing was removed.
        number: Of patients, images or files that it was tried on.
    """

    threat: str
    verdict: Verdict
    who: str
    reaches: str
    chance: str
    ceiling: str
    number: str


def summary(threat: str, section: Mapping[str, Any]) -> Summary:
    """The row of a threat in the first table; arguments as in `sentence`."""
    none = Summary(THREATS[threat], verdict(section), "-", "-", "-", "-", "-")
    if not is_assessed(section):
        return none
    if threat == "reid" and (pair := headline(section)):
        return _reid_summary(section, *pair)
    if threat == "linkage" and (best := strongest_link(section)):
        return _linkage_summary(section, *best)
    if threat == "inversion" and (way := strongest_inversion(section)):
        return _inversion_summary(section, *way)
    return _header_summary(section) if threat == "header" else none


def _reid_summary(reid: Mapping[str, Any], key: str, attack: Mapping[str, Any]) -> Summary:
    reaches, chance = [f"AUC {measured(attack['auc'])}"], ["AUC 0.50"]
    ceiling = part(reid, "ceiling")
    best = [f"AUC {measured(ceiling['auc'])}"] if of(ceiling.get("auc")) is not None else []
    if of(attack.get("rank_1")) is not None:
        reaches.append(f"rank 1: {measured(attack['rank_1'], share)}")
        chance.append(f"rank 1: {share(attack.get('chance_rank_1'))}")
        if of(ceiling.get("rank_1")) is not None:
            best.append(f"rank 1: {measured(ceiling['rank_1'], share)}")
    return Summary(
        THREATS["reid"],
        verdict(reid),
        who(key, attack),
        "; ".join(reaches),
        "; ".join(chance),
        "; ".join(best) or MISSING,
        f"{count(attack.get('patients'))} patients, {count(attack.get('genuine'))} genuine pairs",
    )


def _linkage_summary(linkage: Mapping[str, Any], key: str, link: Mapping[str, Any]) -> Summary:
    return Summary(
        THREATS["linkage"],
        verdict(linkage),
        f"Whoever holds the original itself ({method_name(key)})",
        f"rank 1: {measured(link['rank_1'], share)}",
        f"rank 1: {share(link.get('chance_rank_1'))}",
        "rank 1: 100 % (a copy)",
        f"{count(link.get('gallery'))} originals",
    )


def _inversion_summary(inversion: Mapping[str, Any], key: str, method: Mapping[str, Any]) -> Summary:
    reid, link = part(method, "reid"), part(method, "linkage")
    reaches, chance, number = [], [], []
    if of(reid.get("auc")) is not None:
        reaches.append(f"AUC {measured(reid['auc'])}")
        chance.append("AUC 0.50")
        number.append(f"{count(reid.get('patients'))} patients")
    if of(link.get("rank_1")) is not None:
        reaches.append(f"own original first: {measured(link['rank_1'], share)}")
        chance.append(share(link.get("chance_rank_1")))
        number.append(f"{count(link.get('gallery'))} originals")
    return Summary(
        THREATS["inversion"],
        verdict(inversion),
        f"Whoever holds the anonymizer ({method_name(key)})",
        "; ".join(reaches) or MISSING,
        "; ".join(chance) or "-",
        "as for the threats above",
        ", ".join(number) or "-",
    )


def _header_summary(header: Mapping[str, Any]) -> Summary:
    return Summary(
        THREATS["header"],
        verdict(header),
        "Whoever knows the source's identifiers and reads every byte of the headers",
        f"{count(header.get('certain'))} certain, {count(header.get('possible'))} possible hits",
        "0 hits",
        f"{count(header.get('values'))} values searched for",
        f"{count(header.get('files'))} files",
    )
