"""Compile the tables of the standard into the data files of ``deid/dicom/data``.

For developers, run by hand when a new edition is out::

    python tests/tools/compile_tables.py ../shared/standard

It reads the CSV tables from that folder and the IOD tables (JSON) of the installed highdicom. What it writes
is shipped; nothing of this is needed at run time.
"""

from __future__ import annotations

import csv
import io
import json
import re
import sys
from collections import Counter, defaultdict
from collections.abc import Iterable
from importlib.metadata import version
from importlib.resources import files
from pathlib import Path

DATA = Path(__file__).resolve().parents[2] / "deid/dicom/data"
NEMA = "DICOM PS3.15 (c) NEMA; tags, names and action codes are facts"
ODD = "(gggg,eeee) where gggg is odd"

_PRIVATE = re.compile(r"\(([0-9a-f]{4}),(.+),([0-9a-f]{2})\)")
_STANDARD = re.compile(r"\(([0-9a-f]{4}),([0-9a-f]{4})\)")
_STEP = re.compile(r"\[<\d+>\]")
_IDENTIFYING = re.compile(
    r"institution|hospital|\bsite\b|department|station|\baet?\b|ae.?title|operator|physician|doctor|technolog"
    r"|radiographer|reader|owner|patient.?s?.?(name|id\b|ident|birth|addr|dob|lang)|birth|serial|\buser.?(name|id)\b"
    r"|login|\bhost\b|accession|study.?id\b|exam(ination)?.?(id\b|number)|phone|address|mail|file.?name|path\b"
    r"|directory|(project|trial) name|film annotation|identification label|completion time|year of|md ?5",
    re.IGNORECASE,
)
"""Names of private elements that the knowledge base keeps and that name somebody or some place."""
_OF_INSTITUTION = re.compile(r"institution|hospital|\bsite\b|department", re.IGNORECASE)
_OF_DEVICE = re.compile(r"identification label|station", re.IGNORECASE)
"""Of those the names of an institution and of a device, which an option of PS3.15 may retain."""
_DATE = re.compile(r"date", re.IGNORECASE)
_UID = re.compile(r"\buids?\b", re.IGNORECASE)
_TEXT_VRS = ("LT", "UT", "ST", "LO", "SH")
_DATE_VRS = ("DT", "DA", "TM")
_OPAQUE_VRS = ("OW", "OF", "OB", "UN", "")
_PREFERENCE = (
    "SQ",
    *_TEXT_VRS,
    "UI",
    *_DATE_VRS,
    "CS",
    "IS",
    "DS",
    "US",
    "SS",
    "UL",
    "SL",
    "FL",
    "FD",
    *_OPAQUE_VRS,
)


def write_csv(name: str, meta: dict[str, str], columns: list[str], rows: Iterable[Iterable[str]]) -> None:
    """Write a table with its metadata as ``# key: value`` lines above the header."""
    out = io.StringIO()
    for key, value in meta.items():
        out.write(f"# {key}: {value}\n")
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows(rows)
    (DATA / name).write_text(out.getvalue(), encoding="utf-8")
    print(name, (DATA / name).stat().st_size, "bytes")


def read(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8-sig", newline="") as stream:
        return list(csv.DictReader(stream))


def compile_attributes(source: Path) -> None:
    """Table E.1-1: tag or special row, name, basic action, ten option columns."""
    rows = read(source / "ps315_table_e1_1.csv")
    columns = [name for name in rows[0] if name not in ("retired", "iod")]
    write_csv(
        "ps315_e1_1.csv",
        {"source": "DICOM PS3.15 Table E.1-1", "edition": "2026d", "rights": NEMA},
        columns,
        ([row[column] for column in columns] for row in rows),
    )


def compile_safe_private(source: Path) -> None:
    """Table E.3.10-1: group, element, creator, VR; empty VR means that the table names none."""
    rows = []
    for row in read(source / "ps315_safe_private.csv"):
        match = re.fullmatch(r"\(([0-9a-f]{4}),xx([0-9a-f]{2})\)", row["tag"].lower())
        assert match, "a safe private tag that is not (gggg,xxee)"
        rows.append([match[1], match[2], row["private_creator"].strip(), row["vr"].split("/")[0]])
    write_csv(
        "ps315_e3_10_1.csv",
        {"source": "DICOM PS3.15 Table E.3.10-1", "edition": "2026d", "rights": NEMA},
        ["group", "element", "creator", "vr"],
        rows,
    )


def compile_concepts(source: Path) -> None:
    """Table E.3.4-1: code, scheme, value type, actions."""
    rows = read(source / "ps315_table_e3_4_1_2025e.csv")
    columns = [name for name in rows[0] if name not in ("retired", "in_std_template")]
    write_csv(
        "ps315_e3_4_1.csv",
        {"source": "DICOM PS3.15 Table E.3.4-1", "edition": "2025e", "rights": NEMA},
        columns,
        ([row[column].strip() for column in columns] for row in rows),
    )


def parse_pattern(pattern: str) -> tuple[str, tuple[str, str, str]] | None:
    """Split an element signature into its path of sequences and (group, creator, element).

    The quotes around creators are irregular as published and carry nothing. None: not a private element
    with a creator, or a path that is not understood.
    """
    *steps, leaf = _STEP.split(pattern.replace('"', "").strip())
    path = []
    for step in steps:
        private = _PRIVATE.fullmatch(step.lower())
        standard = _STANDARD.fullmatch(step.lower())
        if private and int(private[1], 16) % 2:
            path.append(f"{private[1]}xx{private[3]}")
        elif standard and int(standard[1], 16) % 2 == 0:
            path.append(standard[1] + standard[2])
        else:
            return None
    match = _PRIVATE.fullmatch(leaf.strip())
    match = match or re.fullmatch(r"(?i)\(([0-9a-f]{4}),(.+),([0-9a-f]{2})\)", leaf.strip())
    if match is None or int(match[1], 16) % 2 == 0 or not match[2].strip():
        return None
    return ">".join(path), (match[1].lower(), match[2].strip(), match[3].lower())


def other_kind(pattern: str) -> str:
    """What a row is that names no private element: nothing of these needs an entry."""
    leaf = _STEP.split(pattern.replace('"', "").strip())[-1].strip().lower()
    standard = _STANDARD.fullmatch(leaf)
    if standard and int(standard[1], 16) % 2 == 0:
        return "rows of standard attributes in private sequences (decided by Table E.1-1 and by VR)"
    if standard or re.fullmatch(r"\([0-9a-f]{4}, *,[0-9a-f]{2}\)", leaf):
        return "rows of private creators or without one (such elements never stay)"
    return "rows not understood"


def judge(dispositions: set[str], names: set[str], vrs: set[str]) -> tuple[str, str]:
    """One action for all rows of an element; the letters of ``elements`` below, empty to remove."""
    vr = next(name for name in _PREFERENCE if name in vrs or name == "")
    if not dispositions <= {"k", "h", "o"} or vrs & {"PN", "AE"}:
        return "", vr
    if any(_IDENTIFYING.search(name) for name in names):
        for letter, pattern in (("I", _OF_INSTITUTION), ("V", _OF_DEVICE)):
            if dispositions == {"k"} and all(pattern.search(name) for name in names):
                return letter, vr
        return "", vr
    dates = [name for name in _DATE_VRS if name in vrs]
    if "o" in dispositions or dates or (vr in _TEXT_VRS and any(_DATE.search(name) for name in names)):
        return "T", dates[0] if dates else "DT"
    if "h" in dispositions or "UI" in vrs or (vr in _TEXT_VRS and any(_UID.search(name) for name in names)):
        return (
            ("U", "UI" if vr in ("UI", *_OPAQUE_VRS) else vr)
            if vr in ("UI", *_TEXT_VRS, *_OPAQUE_VRS)
            else ("", vr)
        )
    return "K", vr


def compile_tcia(source: Path) -> None:
    """The knowledge base of The Cancer Imaging Archive, one line per place, group and creator."""
    counts: Counter[str] = Counter()
    found: dict[tuple[str, tuple[str, str, str]], list[dict[str, str]]] = defaultdict(list)
    for row in read(source / "tcia_private_tags.csv"):
        key = parse_pattern(row["element_sig_pattern"])
        if key is None:
            counts[other_kind(row["element_sig_pattern"])] += 1
        else:
            found[key].append(row)
    judged = {}
    for key, rows in found.items():
        action, vr = judge(
            {row["private_disposition"].strip().lower() for row in rows},
            {row["tag_name"].rsplit(":", 1)[-1] for row in rows},
            {row["vr"].strip() for row in rows},
        )
        judged[key] = (action, vr)
        kept = "elements kept" if action not in ("I", "V") else "elements kept with an option only"
        counts[kept if action else "elements removed"] += 1
        published = {row["private_disposition"].strip().lower() for row in rows}
        if not action and published <= {"k", "h", "o"}:
            counts["elements that the source keeps and that are removed here (names, stations, PN, AE)"] += 1
    deleted_somewhere = {leaf for (_, leaf), (action, _) in judged.items() if not action}
    lines: dict[tuple[str, str, str], list[str]] = defaultdict(list)
    for (path, leaf), (action, vr) in sorted(judged.items()):
        if action:
            # what an element means does not depend on its place; the source says so where no place removes it
            anywhere = "*" if not path and leaf not in deleted_somewhere else ""
            lines[path, leaf[0], leaf[1]].append(f"{leaf[2]}:{vr or 'UN'}:{action}{anywhere}")
        elif path:
            lines[path, leaf[0], leaf[1]].append(f"{leaf[2]}:UN:X")
    meta = {
        "source": "The Cancer Imaging Archive, private tag knowledge base",
        "edition": "as retrieved for this project; dispositions k, h and o are kept, names of devices and "
        "institutions with the options that retain them only, all others removed",
        "counts": "; ".join(f"{name} {number}" for name, number in sorted(counts.items())),
        "elements": "element:VR:action; K keep, U replace UID, T shift date, X remove, V keep with Retain "
        "Device Identity, I keep with Retain Institution Identity; * at any place",
    }
    rows_out = ([path, group, creator, " ".join(e)] for (path, group, creator), e in sorted(lines.items()))
    write_csv("tcia_private.csv", meta, ["path", "group", "creator", "elements"], rows_out)
    print(dict(counts))


Node = dict[tuple[str, int], "str | Node"]


def module_tree(attributes: list[dict[str, object]]) -> Node:
    """Nested attribute types of one module: type 1 and 1C as ``1``, 2 and 2C as ``2``.

    A conditional attribute that is present stays present, so it needs what its unconditional type needs.
    Attributes of fixed-size binary VR and type 3 need no entry: the first are kept, the second may go.
    """
    from pydicom.datadict import dictionary_VR, tag_for_keyword

    numeric = {"US", "SS", "UL", "SL", "FL", "FD", "SV", "UV", "AT"}
    root: Node = {}
    for attribute in attributes:
        tag = tag_for_keyword(str(attribute["keyword"]))
        kind = str(attribute["type"])[0]
        path = [tag_for_keyword(step) for step in attribute["path"]]  # type: ignore[attr-defined]
        if tag is None or None in path or kind not in "12" or numeric & set(dictionary_VR(tag).split(" or ")):
            continue
        node = root
        for step in path:
            assert step is not None
            node = node.setdefault(("child", step), {})  # type: ignore[assignment]
        known = node.get(("type", tag))
        node["type", tag] = min(kind, str(known)) if known else kind
    return root


def compile_iods() -> None:
    """Attribute types per SOP class: equal parts of modules are stored once."""
    folder = files("highdicom") / "_standard"
    names = ("sop_class_iod_map", "iod_module_map", "module_attribute_map")
    sops, iods, modules = (json.loads((folder / f"{name}.json").read_text("utf-8")) for name in names)
    numbers: dict[str, int] = {}
    nodes: list[list[object]] = []

    def intern(node: Node) -> int | None:
        children: dict[str, int] = {}
        types: dict[str, list[str]] = {"1": [], "2": []}
        for (what, tag), value in sorted(node.items(), key=lambda item: item[0]):
            if what == "type":
                types[str(value)].append(f"{tag:08x}")
                continue
            number = intern(value)  # type: ignore[arg-type]
            if number is not None:
                children[f"{tag:08x}"] = number
        if not children and not types["1"] and not types["2"]:
            return None
        entry: list[object] = [" ".join(types["1"]), " ".join(types["2"]), children]
        text = json.dumps(entry)
        if text not in numbers:
            numbers[text] = len(nodes)
            nodes.append(entry)
        return numbers[text]

    roots = {name: intern(module_tree(attributes)) for name, attributes in modules.items()}
    used = sorted(set(sops.values()))
    table = {
        "source": f"highdicom {version('highdicom')} (MIT), _standard/*.json, derived from DICOM PS3.3",
        "edition": f"as packed in highdicom {version('highdicom')}, which names no edition",
        "rights": "DICOM PS3.3 and PS3.15 (c) NEMA; tags and types are facts",
        "sop_classes": {uid: used.index(name) for uid, name in sorted(sops.items())},
        "iods": [
            sorted({roots[m["key"]] for m in iods[name] if roots.get(m["key"]) is not None}) for name in used
        ],
        "nodes": nodes,
    }
    path = DATA / "iod_types.json"
    path.write_text(json.dumps(table, separators=(",", ":")) + "\n", encoding="utf-8")
    print(path.name, path.stat().st_size, "bytes")


def main() -> None:
    source = Path(sys.argv[1])
    DATA.mkdir(parents=True, exist_ok=True)
    compile_attributes(source)
    compile_safe_private(source)
    compile_concepts(source)
    compile_tcia(source)
    compile_iods()


if __name__ == "__main__":
    main()
