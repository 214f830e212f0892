"""What the numbers say, in sentences: who attacks, what he reaches, against chance and ceiling.

A threat has one of three verdicts. None of them promises anything: an attack that fails shows only that this
attacker, with these images, failed.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Any

from deid.audit.numerals import count, decimal, finite, is_assessed, measured, of, part, share

WEAK_CEILING = 0.70
"""AUC on originals below which an attacker that fails on scrubbed images shows nothing."""

THREATS = {
    "reid": "Same person in another study",
    "linkage": "Scrubbed image to its own original",
    "inversion": "Undoing the change",
    "header": "Identifiers left in the files",
    "text": "Text burned into the pixels",
    "face": "Recognisable face",
}
GEOMETRIES = {
    "ceiling": "originals only (ceiling)",
    "adaptive": "re-trained on scrubbed images",
    "frozen": "trained on originals, used as is",
    "training_free": "without any training",
    "scrubbed_scrubbed": "scrubbed against scrubbed",
}
"""The kinds of identity attack, in the order in which they are shown."""

_WHO = {
    "adaptive": "an attacker re-trained on scrubbed images",
    "frozen": "an attacker trained on originals",
    "training_free": "an attacker who trains nothing",
    "scrubbed_scrubbed": "an attacker who holds scrubbed images only",
}
_METHODS = {
    "fixed_point": "fixed-point iteration with the anonymizer's own weights",
    "gradient_descent": "gradient descent with the anonymizer's own weights",
    "trained_restorer": "a restorer trained on pairs",
    "perceptual_hash": "perceptual hash",
    "pixels": "pixel correlation",
    "keypoints": "keypoint matching",
}


BASES = {
    "labels": "the classifier's mean AUC, as a share of that before",
    "agreement of the classifier with itself": "the classifier's agreement with itself",
    "structural similarity": "structural similarity (SSIM)",
}
"""What stands for utility in the plane, by how it was measured."""


_RETAINED = {
    "labels": (
        "The mean AUC of a disease classifier is {} of what it was before: 1 is no loss, and a classifier "
        "that only guesses still has half or more."
    ),
    "agreement of the classifier with itself": (
        "What a disease classifier says correlates with what it said before by {}: 1 is the same. Whether it "
        "is right is not known, as there were no labels."
    ),
}
"""What is said of utility, by how it was measured."""


class Verdict(StrEnum):
    """All that is ever said of a threat."""

    LINKABLE = "linkable"
    NO_LINK = "no link found"
    NOT_ASSESSED = "not assessed"


def verdict(section: object) -> Verdict:
    """The verdict of a threat; whatever is not clearly one of the others is "not assessed"."""
    said = section.get("verdict") if isinstance(section, Mapping) and is_assessed(section) else None
    return Verdict(said) if said in (Verdict.LINKABLE, Verdict.NO_LINK) else Verdict.NOT_ASSESSED


def method_name(key: str) -> str:
    """How a method is called in sentences and tables."""
    return _METHODS.get(key, short_name(key))


def short_name(key: str) -> str:
    """How a method is called in pictures, where there is little room."""
    return key.replace("_", " ")


def sentence(threat: str, section: Mapping[str, Any]) -> str:
    """What a threat came to, in one to three sentences.

    Args:
        threat: A key of `THREATS`.
        section: That part of the result.
    """
    found = verdict(section)
    if not is_assessed(section):
        return f"Not assessed: {str(section.get('reason') or 'no reason was recorded').rstrip('.')}."
    body = {"reid": _reid_sentence, "linkage": _linkage_sentence, "inversion": _inversion_sentence}
    if threat == "header":
        return _header_sentence(section)
    said = body[threat](section) if threat in body else ""
    return (
        said
        or {
            Verdict.LINKABLE: "Linkable.",
            Verdict.NO_LINK: "No link found by these attackers.",
            Verdict.NOT_ASSESSED: "Not assessed: none of the attacks could be measured.",
        }[found]
    )


def headline(reid: Mapping[str, Any]) -> tuple[str, dict[str, Any]] | None:
    """The kind of attack that reaches most with an original of another study in hand, and its figures.

    Where no original was there, the attack among scrubbed images stands in.
    """
    for kinds in (("adaptive", "frozen", "training_free"), ("scrubbed_scrubbed",)):
        known = [(key, part(reid, key)) for key in kinds if of(part(reid, key).get("auc")) is not None]
        if known:
            return max(known, key=lambda pair: of(pair[1]["auc"]) or 0)
    return None


def strongest_link(linkage: Mapping[str, Any]) -> tuple[str, dict[str, Any]] | None:
    """The method that finds most originals, and its figures."""
    methods = part(linkage, "methods")
    known = [(key, part(methods, key)) for key in methods if of(part(methods, key).get("rank_1")) is not None]
    return max(known, key=lambda pair: of(pair[1]["rank_1"]) or 0) if known else None


def strongest_inversion(inversion: Mapping[str, Any]) -> tuple[str, dict[str, Any]] | None:
    """The method whose restored images are recognised best, and its figures."""
    methods = part(inversion, "methods")
    known = [(key, part(methods, key)) for key in methods if is_assessed(methods[key])]
    return max(known, key=lambda pair: _reached(pair[1])) if known else None


def _reached(method: Mapping[str, Any]) -> float:
    return max(of(part(method, "reid").get("auc")) or 0, of(part(method, "linkage").get("rank_1")) or 0)


def utility_sentence(section: Mapping[str, Any]) -> str:
    """How much of the medical content a classifier still reads."""
    if not is_assessed(section):
        return f"Not assessed: {str(section.get('reason') or 'no reason was recorded').rstrip('.')}."
    said = []
    if of(part(section, "classifier").get("retained")) is not None:
        kept = measured(section["classifier"]["retained"], lambda x: decimal(x, 3))
        basis = str(section["classifier"].get("basis", "labels"))
        said.append(_RETAINED.get(basis, "What is retained is {}.").format(kept))
    unchanged = finite(section.get("pixels_unchanged"))
    if unchanged is not None:
        said.append(f"{share(unchanged)} of the pixels are unchanged.")
    if of(section.get("psnr")) is not None:
        similar = measured(section.get("ssim"))
        said.append(f"PSNR is {measured(section['psnr'], lambda x: decimal(x, 1))} dB, SSIM {similar}.")
    return " ".join(said) or "Not assessed: nothing could be measured."


def plane_sentence(section: Mapping[str, Any]) -> str:
    """What the strength of the anonymizer buys and costs, from attackers that were not trained for it."""
    if not is_assessed(section):
        return f"Not assessed: {str(section.get('reason') or 'no reason was recorded').rstrip('.')}."
    strengths, own = part(section, "strengths"), part(section, "release")
    untouched, basis = part(strengths, "0"), BASES.get(str(section.get("basis")), "what is retained")
    said = []
    if of(own.get("auc")) is not None:
        said.append(
            f"At the release's own strength, {decimal(own.get('strength'))}, the strongest attacker tried "
            f"({own.get('attacker')}) reaches an AUC of {measured(own['auc'])}; chance is 0.50."
        )
    else:
        said.append(f"The release's own strength: {own.get('reason') or 'not assessed'}.")
    if of(own.get("retained")) is not None:
        kept = measured(own["retained"], lambda x: decimal(x, 3))
        said.append(f"{basis[0].upper()}{basis[1:]} is then {kept}; 1 would be no loss.")
    if of(untouched.get("auc")) is not None:
        said.append(f"On originals the AUC is {measured(untouched['auc'])}.")
    said.append("No attacker was trained for these points, so another may reach more.")
    return " ".join(said)


def _opening(section: Mapping[str, Any], number: str, upper: float | None, what: str, form: Any) -> str:
    if verdict(section) is Verdict.LINKABLE:
        return "Linkable."
    if verdict(section) is Verdict.NOT_ASSESSED:
        # Figures without a verdict, such as those of an attacker that is too weak.
        return f"Not assessed: {str(section.get('reason') or 'no verdict was reached').rstrip('.')}."
    return f"No link found by these attackers at N = {number}, upper bound {form(upper)} of {what}."


def _reid_sentence(reid: Mapping[str, Any]) -> str:
    found = headline(reid)
    if not found:
        return ""
    key, attack = found
    compared = [part(reid, name) for name in _WHO if name == key or key != "scrubbed_scrubbed"]
    uppers = [bound for each in compared if (bound := of(each.get("auc"), "upper")) is not None]
    number = f"{count(attack.get('patients'))} patients"
    said = [_opening(reid, number, max(uppers, default=None), "the AUC", decimal)]
    said.append(
        f"{who(key, attack)} tells two studies of one patient from studies of two patients with an AUC of "
        f"{measured(attack['auc'])}; chance is 0.50{_ceiling_clause(reid)}."
    )
    if of(attack.get("rank_1")) is not None:
        said.append(
            f"The right patient comes first for {measured(attack['rank_1'], share)} of the queries among "
            f"{count(attack.get('gallery'))} candidates; chance is {share(attack.get('chance_rank_1'))}."
        )
    return " ".join(said)


def _ceiling_clause(reid: Mapping[str, Any]) -> str:
    ceiling = part(reid, "ceiling").get("auc")
    value = of(ceiling)
    if value is None:
        return ", and what he would reach on originals is not known"
    weak = " (too weak to conclude)" if value < WEAK_CEILING else ""
    return f", and on originals the AUC is {measured(ceiling)}{weak}"


def who(key: str, attack: Mapping[str, Any]) -> str:
    """Who makes an attack of ``reid``, by its key and its figures."""
    words, name = _WHO[key], attack.get("attacker")
    return (words[0].upper() + words[1:]) + (f" ({name})" if name else "")


def _linkage_sentence(linkage: Mapping[str, Any]) -> str:
    found = strongest_link(linkage)
    if not found:
        return ""
    key, link = found
    opening = _opening(
        linkage,
        f"{count(link.get('gallery'))} originals",
        _largest_upper(linkage, "rank_1"),
        "the share of scrubbed images that are found",
        share,
    )
    return (
        f"{opening} Whoever holds the original itself finds it with {method_name(key)} for "
        f"{measured(link['rank_1'], share)} of the scrubbed images; chance is "
        f"{share(link.get('chance_rank_1'))}."
    )


def _largest_upper(section: Mapping[str, Any], figure: str) -> float | None:
    methods = part(section, "methods")
    bounds = [of(part(methods, key).get(figure), "upper") for key in methods]
    return max((bound for bound in bounds if bound is not None), default=None)


def _inversion_sentence(inversion: Mapping[str, Any]) -> str:
    found = strongest_inversion(inversion)
    if not found:
        return ""
    key, method = found
    reid, link = part(method, "reid"), part(method, "linkage")
    number = f"{count(reid.get('patients') if is_assessed(reid) else link.get('gallery'))}"
    known = of(reid.get("auc"), "upper")
    what, form = ("the AUC", decimal) if known is not None else ("the share that is found", share)
    upper = known if known is not None else of(link.get("rank_1"), "upper")
    said = [_opening(inversion, number, upper, what, form)]
    said.append(f"The strongest way back is {method_name(key)}.")
    if of(reid.get("auc")) is not None:
        said.append(
            f"On restored images an attacker reaches an AUC of {measured(reid['auc'])}; chance is 0.50."
        )
    if of(link.get("rank_1")) is not None:
        said.append(
            f"The own original comes first for {measured(link['rank_1'], share)} of them; chance is "
            f"{share(link.get('chance_rank_1'))}."
        )
    return " ".join(said)


def _header_sentence(header: Mapping[str, Any]) -> str:
    certain, possible, files = (count(header.get(key)) for key in ("certain", "possible", "files"))
    opening = {
        Verdict.LINKABLE: "Linkable.",
        Verdict.NO_LINK: f"No link found by this search at N = {files} files.",
        Verdict.NOT_ASSESSED: _opening(header, files, None, "", count),
    }[verdict(header)]
    said = [
        opening,
        f"{count(header.get('values'))} source values were searched for in {files} files, in several "
        f"spellings: {certain} certain and {possible} possible hits.",
    ]
    tried, shift = part(header, "hash_dictionary"), part(header, "shift")
    if finite(tried.get("tried")):
        bound = (
            f" (95 % upper bound {share(tried['upper'])})" if finite(tried.get("upper")) is not None else ""
        )
        said.append(
            f"{count(tried['tried'])} released UIDs and ids were tried as unkeyed hashes of source values: "
            f"{count(tried.get('recovered'))} recovered{bound}."
        )
    if finite(shift.get("patients")):
        said.append(
            f"The date shift was recovered for {count(shift.get('recovered'))} of "
            f"{count(shift['patients'])} patients."
        )
    return " ".join(said)
