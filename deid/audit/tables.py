"""The tables of the report: every figure of the result, with its interval."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from deid.audit.numerals import count, decimal, finite, is_assessed, measured, of, part, share
from deid.audit.words import GEOMETRIES, method_name

Result = Mapping[str, Any]
_GEOMETRY_WORDS = {
    "original_original": "originals",
    "original_scrubbed": "original to scrubbed",
    "scrubbed_scrubbed": "scrubbed to scrubbed",
}
_RETAINED = {
    "labels": "mean AUC, as a share of that before",
    "agreement of the classifier with itself": "correlation with what it said before",
}
_COMPARED = frozenset({"auc", "rank 1", "retained", "difference", "psnr", "ssim", "error"})
_ATTACK_HEAD = (
    "AUC",
    "EER",
    "TPR at FPR 1 %",
    "TPR at FPR 0.1 %",
    "rank 1",
    "rank 5",
    "rank 10",
    "mAP",
    "tried on",
)


@dataclass(frozen=True)
class Table:
    """A table; the first cell of a row names it.

    Attributes:
        caption: What it shows.
        head: Names of the columns.
        rows: Cells; a row of two cells where more are expected is a name and a remark across the others.
    """

    caption: str
    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


def reid_kinds(result: Result) -> Table:
    """Every kind of identity attack."""
    reid = part(result, "reid")
    rows = [
        _attack_row(
            f"{name} ({attack['attacker']})" if (attack := part(reid, key)).get("attacker") else name, attack
        )
        for key, name in GEOMETRIES.items()
        if key in reid
    ]
    return Table(
        "The kinds of attack, each by its strongest attacker", ("attack", *_ATTACK_HEAD), tuple(rows)
    )


def reid_attackers(result: Result) -> Table:
    """Every attacker in every geometry."""
    attackers = part(result, "reid", "attackers")
    rows = [
        _attack_row(f"{attacker}: {words}", part(attackers, attacker, geometry))
        for attacker in attackers
        for geometry, words in _GEOMETRY_WORDS.items()
        if part(attackers, attacker, geometry)
    ]
    return Table("Every attacker", ("attacker", *_ATTACK_HEAD), tuple(rows))


def reid_controls(result: Result) -> Table:
    """Controls and power."""
    reid = part(result, "reid")
    controls = part(reid, "controls")
    rows = []
    if of(controls.get("shuffled_labels")) is not None:
        rows.append(
            (
                "patients shuffled: AUC",
                measured(controls["shuffled_labels"]),
                "0.50 if the measurement is sound",
            )
        )
    random = part(controls, "random_change")
    if random:
        shown = measured(random.get("auc")) if is_assessed(random) else _remark(random)
        rows.append(
            (
                "random change of equal strength: AUC",
                shown,
                "what any change would do; the anonymizer should do more",
            )
        )
    smallest = finite(part(reid, "power").get("smallest_difference"))
    if smallest is not None:
        rows.append(
            (
                "power: smallest AUC above chance that this audit can see",
                decimal(smallest),
                "more patients make it smaller",
            )
        )
    return Table("Controls", ("control", "found", "expected"), tuple(rows))


def linkage_methods(result: Result) -> Table:
    """Every linkage method."""
    methods = part(result, "linkage", "methods")
    rows = [_link_row(method_name(key), part(methods, key)) for key in methods]
    return Table("Every method", ("method", "rank 1", "chance of rank 1", "AUC", "gallery"), tuple(rows))


def inversion_methods(result: Result) -> Table:
    """Every inversion method, with both attacks on what it restores."""
    methods = part(result, "inversion", "methods")
    rows: list[tuple[str, ...]] = []
    for key in methods:
        method = part(methods, key)
        if not is_assessed(method):
            rows.append((method_name(key), _remark(method)))
            continue
        reid, link = part(method, "reid"), part(method, "linkage")
        rows.append(
            (
                method_name(key),
                measured(method.get("error"), lambda x: decimal(x, 3)),
                measured(reid.get("auc")) if is_assessed(reid) else "not assessed",
                measured(reid.get("rank_1"), share) if is_assessed(reid) else "not assessed",
                measured(link.get("rank_1"), share) if is_assessed(link) else "not assessed",
                share(link.get("chance_rank_1")) if is_assessed(link) else "-",
            )
        )
    head = (
        "method",
        "error left (of 0..1)",
        "other study: AUC",
        "other study: rank 1",
        "own original: rank 1",
        "chance",
    )
    return Table("Every way back, and what is reached on the restored images", head, tuple(rows))


def header_hits(result: Result) -> Table:
    """Hits by form and place."""
    header = part(result, "header")
    rows = [(f"form: {name}", count(number)) for name, number in part(header, "by_form").items()]
    rows += [(f"place: {name}", count(number)) for name, number in part(header, "by_place").items()]
    return Table(
        "Hits by form and by place (each hit counts in both)", ("form or place", "hits"), tuple(rows)
    )


def header_other(result: Result) -> Table:
    """Dictionary attack, date shift and uniqueness."""
    header = part(result, "header")
    rows: list[tuple[str, ...]] = []
    tried = part(header, "hash_dictionary")
    if tried:
        bound = f"of {count(tried.get('tried'))} released UIDs and ids"
        bound += f"; 95 % upper bound {share(tried.get('upper'))}"
        rows.append(_row_or_remark("unkeyed hashes recovered", tried, count(tried.get("recovered")), bound))
    shift = part(header, "shift")
    if shift:
        of_all = f"of {count(shift.get('patients'))} patients"
        rows.append(_row_or_remark("date shifts recovered", shift, count(shift.get("recovered")), of_all))
    unique = part(header, "uniqueness")
    if unique and not is_assessed(unique):
        rows.append(("uniqueness", _remark(unique)))
    names = ", ".join(str(name) for name in unique.get("quasi_identifiers") or ())
    for key, number in part(unique, "k").items():
        label = "patients who stand alone" if key == "1" else f"patients in groups of {key}"
        rows.append((label, count(number), f"by {names}" if names else ""))
    return Table("Other ways through the header", ("attack", "found", "of"), tuple(rows))


def utility_figures(result: Result) -> Table:
    """Similarity of the pixels."""
    utility = part(result, "utility")
    rows = [
        (name, shown)
        for name, shown, known in (
            (
                f"classifier: {_RETAINED.get(str(part(utility, 'classifier').get('basis')), 'retained')}",
                measured(part(utility, "classifier").get("retained"), lambda x: decimal(x, 3)),
                of(part(utility, "classifier").get("retained")),
            ),
            ("PSNR (dB)", measured(utility.get("psnr"), lambda x: decimal(x, 1)), of(utility.get("psnr"))),
            ("SSIM", measured(utility.get("ssim"), lambda x: decimal(x, 3)), of(utility.get("ssim"))),
            (
                "pixels that are unchanged",
                share(utility.get("pixels_unchanged")),
                finite(utility.get("pixels_unchanged")),
            ),
        )
        if known is not None
    ]
    return Table("Utility", ("figure", "found"), tuple(rows))


def utility_findings(result: Result) -> Table:
    """The classifier by finding."""
    findings = part(result, "utility", "classifier", "findings")
    rows = []
    for name in findings:
        finding = part(findings, name)
        figures = [
            measured(finding.get(key), lambda x: decimal(x, 3)) for key in ("before", "after", "difference")
        ]
        rows.append((name, *figures, count(finding.get("positives")), count(finding.get("images"))))
    head = ("finding", "AUC before", "AUC after", "difference", "positive", "images")
    return Table("The classifier by finding", head, tuple(rows))


def gates(result: Result) -> Table:
    """Every gate."""
    rows = []
    for gate in result.get("gates") or ():
        mark = "✓ passed" if gate.get("passed") is True else "✗ failed"
        rows.append(
            (
                str(gate.get("expression", "")),
                mark,
                _found(gate.get("found")),
                str(gate.get("reason") or ""),
            )
        )
    return Table("Every requirement", ("requirement", "outcome", "found", "remark"), tuple(rows))


def release(result: Result) -> Table:
    """What was audited."""
    known = part(result, "release")
    modes = {"pairs": "originals and their scrubbed images", "release": "scrubbed images alone"}
    rows = [("audited", modes.get(str(known.get("mode")), "not stated"))]
    for key in ("patients", "patients_with_several_studies", "images", "pairs"):
        if key in known:
            rows.append((key.replace("_", " "), count(known[key])))
    rows += [(f"modality {name}", count(number)) for name, number in part(known, "modalities").items()]
    rows += [(f"left out: {reason}", count(number)) for reason, number in part(known, "left_out").items()]
    return Table("Counts", ("", "number"), tuple(rows))


def manifest(result: Result) -> Table:
    """Versions, digests, options and times."""
    known, tool = part(result, "manifest"), part(result, "tool")
    rows = [(str(tool.get("name", "tool")), str(tool.get("version", "not stated")))]
    rows += [(key, str(known[key])) for key in ("created", "python", "torch") if known.get(key)]
    rows += [(name, str(edition)) for name, edition in part(known, "editions").items()]
    rows.append(("recipe", str(known.get("recipe") or "none")))
    rows += [(f"model {name}", str(digest)) for name, digest in part(known, "models").items()]
    rows += [
        (f"option {name.replace('_', ' ')}", _option(value)) for name, value in part(known, "options").items()
    ]
    rows += [(f"time for {name}", f"{decimal(value, 1)} s") for name, value in part(known, "seconds").items()]
    return Table("The run", ("", "value"), tuple(rows))


def merged(result: Result) -> Table:
    """How a merged audit was made, and the verdicts of its shards."""
    known = part(result, "merged")
    if not known:
        return Table("Merged", ("", ""), ())
    apart = {
        "by their shards": "no patient is in two of them, by their shard numbers",
        "not checked": "that no patient is in two of them was not checked",
    }
    rows = [
        ("audits merged", f"{count(known.get('audits'))} of {count(known.get('shards'))} shards"),
        ("patients", apart.get(str(known.get("apart")), "not stated")),
        ("how", str(known.get("rule", ""))),
    ]
    for name, verdicts in part(known, "verdicts").items():
        said = ", ".join(f"{count(number)} {verdict}" for verdict, number in verdicts.items())
        rows.append((f"verdicts of shards: {name}", said))
    return Table("How the shards were merged", ("", "value"), tuple(rows))


def shards_apart(result: Result) -> Table:
    """The lowest and the highest shard beside each merged figure."""
    rows = [
        (
            ", ".join(path),
            measured(measure, lambda x: decimal(x, 3)),
            decimal(shards.get("lowest"), 3),
            decimal(shards.get("highest"), 3),
            decimal(shards.get("lower"), 3),
            decimal(shards.get("upper"), 3),
            f"{count(shards.get('assessed'))} of {count(shards.get('of'))}",
        )
        for path, measure in _spread((), result)
        if (shards := part(measure, "shards"))
    ]
    head = ("figure", "all shards", "lowest", "highest", "least lower bound", "largest upper bound", "shards")
    return Table("Each figure beside the lowest and the highest shard", head, tuple(rows))


def _spread(path: tuple[str, ...], here: Mapping[str, Any]) -> Iterator[tuple[tuple[str, ...], Result]]:
    """Measures of several shards, with the names that lead to them."""
    if "lowest" in part(here, "shards"):
        if path[-1] in _COMPARED:
            yield path, here
        return
    for name, value in here.items():
        if isinstance(value, Mapping):
            yield from _spread((*path, name.replace("_", " ")), value)


def _found(value: object) -> str:
    return count(value) if isinstance(value, int) and not isinstance(value, bool) else decimal(value, 4)


def _option(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
        return ", ".join(map(str, value)) or "none"
    return "not set" if value is None else str(value)


def _row_or_remark(name: str, section: Mapping[str, Any], *cells: str) -> tuple[str, ...]:
    return (name, *cells) if is_assessed(section) else (name, _remark(section))


def _remark(section: Mapping[str, Any]) -> str:
    return f"not assessed: {section.get('reason') or 'no reason was recorded'}"


def _attack_row(name: str, attack: Mapping[str, Any]) -> tuple[str, ...]:
    if not is_assessed(attack):
        return (name, _remark(attack))
    in_percent = ("eer", "tpr_at_fpr_1e-2", "tpr_at_fpr_1e-3", "rank_1", "rank_5", "rank_10")
    return (
        name,
        measured(attack.get("auc")),
        *(measured(attack.get(key), share) for key in in_percent),
        measured(attack.get("mean_average_precision")),
        _tried_on(attack),
    )


def _tried_on(attack: Mapping[str, Any]) -> str:
    said = [
        f"{count(attack.get('patients'))} patients",
        f"{count(attack.get('genuine'))} genuine and {count(attack.get('impostors'))} impostor pairs",
    ]
    if finite(attack.get("gallery")):
        said.append(
            f"gallery of {count(attack['gallery'])}, rank 1 by chance {share(attack.get('chance_rank_1'))}"
        )
    restarts = part(attack, "restarts")
    if restarts:
        mean, maximum = (decimal(restarts.get(key)) for key in ("mean", "maximum"))
        said.append(f"{count(restarts.get('count'))} restarts: mean {mean}, maximum {maximum}")
    return "; ".join(said)


def _link_row(name: str, link: Mapping[str, Any]) -> tuple[str, ...]:
    if not is_assessed(link):
        return (name, _remark(link))
    found, chance = measured(link.get("rank_1"), share), share(link.get("chance_rank_1"))
    return (name, found, chance, measured(link.get("auc")), count(link.get("gallery")))
