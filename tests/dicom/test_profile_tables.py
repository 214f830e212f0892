"""The compiled tables against facts of the standard that are written down here by hand."""

import csv
import importlib.util
import subprocess
import sys
import time
from importlib.resources import files
from pathlib import Path

import pytest

from deid.dicom.profile import METHOD_CODES, Option, editions, preset_profile, table_row, table_rows
from deid.dicom.profile.iods import Need, need, sop_classes
from deid.dicom.profile.private import standard_entries, tcia_entries
from deid.dicom.profile.tables import concept_rows

DATA = files("deid.dicom") / "data"
SHARED = Path(__file__).resolve().parents[2] / "../shared/standard"
CT, ENHANCED_CT = "1.2.840.10008.5.1.4.1.1.2", "1.2.840.10008.5.1.4.1.1.2.1"
RT_STRUCTURE_SET, COMPREHENSIVE_SR = "1.2.840.10008.5.1.4.1.1.481.3", "1.2.840.10008.5.1.4.1.1.88.33"


def test_row_counts_are_those_of_the_published_tables():
    assert len(table_rows()) == 657
    assert len(concept_rows()) == 211
    lines = [
        line for line in (DATA / "ps315_e3_10_1.csv").read_text().splitlines() if not line.startswith("#")
    ]
    assert len(lines) == 479 + 1
    assert len(standard_entries()) == 479


def test_option_columns_hold_as_many_marks_as_published():
    marks = {option: [row.options.get(option) for row in table_rows()] for option in Option}
    counts = {option.key: (found.count("K"), found.count("C")) for option, found in marks.items()}
    assert counts == {
        "retain-safe-private": (0, 1),
        "retain-uids": (60, 0),
        "retain-device-identity": (48, 11),
        "retain-institution-identity": (10, 0),
        "retain-patient-characteristics": (14, 5),
        "retain-full-dates": (169, 0),
        "retain-modified-dates": (0, 169),
        "clean-descriptors": (0, 141),
        "clean-structured-content": (0, 4),
        "clean-graphics": (0, 4),
    }


@pytest.mark.parametrize(
    ("tag", "basic", "options"),
    [
        (0x00100010, "Z", {}),
        (0x00100020, "Z/D", {}),
        (0x00100030, "Z", {}),
        (0x00100040, "Z", {Option.RETAIN_PATIENT_CHARACTERISTICS: "K"}),
        (0x00080018, "U", {Option.RETAIN_UIDS: "K"}),
        (0x00081140, "X/Z/U*", {Option.RETAIN_UIDS: "K"}),
        (0x00181000, "X/Z/D", {Option.RETAIN_DEVICE_IDENTITY: "K"}),
        (0x00080080, "X/Z/D", {Option.RETAIN_INSTITUTION_IDENTITY: "K"}),
        (0x00104000, "X", {Option.CLEAN_DESCRIPTORS: "C"}),
        (0x00080020, "Z", {Option.RETAIN_FULL_DATES: "K", Option.RETAIN_MODIFIED_DATES: "C"}),
        (0x0040A730, "D", {Option.CLEAN_STRUCTURED_CONTENT: "C"}),
        (0x60003000, "X", {Option.CLEAN_GRAPHICS: "C"}),
        (0x60124000, "X", {Option.CLEAN_GRAPHICS: "C"}),
        (0x50023000, "X", {Option.CLEAN_GRAPHICS: "C"}),
        (0x00091010, "X", {Option.RETAIN_SAFE_PRIVATE: "C"}),
    ],
)
def test_rows_read_by_hand_from_the_standard(tag, basic, options):
    row = table_row(tag)
    assert row is not None
    assert (row.basic, dict(row.options)) == (basic, options)


def test_planes_are_covered_only_where_the_table_says_so():
    assert table_row(0x60000010) is None  # Overlay Rows: no row
    assert table_row(0x00080060) is None  # Modality: no row


def test_files_say_where_they_come_from():
    for name in ("ps315_e1_1.csv", "ps315_e3_10_1.csv", "ps315_e3_4_1.csv"):
        head = (DATA / name).read_text().splitlines()[:3]
        assert head[0].startswith("# source: DICOM PS3.15 Table E.")
        assert head[1].startswith("# edition: 202")
        assert "DICOM PS3.15 (c) NEMA" in head[2]
    assert editions()["DICOM PS3.15 Table E.1-1"] == "2026d"
    assert editions()["DICOM PS3.15 Table E.3.10-1"] == "2026d"
    assert editions()["DICOM PS3.15 Table E.3.4-1"] == "2025e"
    assert any("highdicom" in source for source in editions())
    assert sum(len((DATA / name.name).read_bytes()) for name in DATA.iterdir() if name.is_file()) < 300_000


def test_codes_are_those_of_cid_7050():
    from pydicom.sr._concepts_dict import concepts

    published = {
        code: meaning
        for entries in concepts["DCM"].values()
        for code, (meaning, cids) in entries.items()
        if 7050 in cids
    }
    assert dict(METHOD_CODES) == published
    assert all(
        METHOD_CODES[option.code].lower().split()[:2] == option.key.split("-")[:2]
        for option in Option
        if not option.key.endswith("dates")
    )
    assert "Full Dates" in METHOD_CODES[Option.RETAIN_FULL_DATES.code]
    assert "Modified Dates" in METHOD_CODES[Option.RETAIN_MODIFIED_DATES.code]


@pytest.mark.parametrize(
    ("sop_class", "parents", "tag", "expected"),
    [
        (CT, (), 0x00080020, Need.PRESENT),  # Study Date, type 2
        (CT, (), 0x00080023, Need.PRESENT),  # Content Date, type 2C
        (ENHANCED_CT, (), 0x00080023, Need.VALUE),  # Content Date, type 1
        (ENHANCED_CT, (), 0x0008002A, Need.VALUE),  # Acquisition DateTime, type 1C
        (CT, (), 0x00181000, Need.OPTIONAL),  # Device Serial Number, type 3 in General Equipment
        (ENHANCED_CT, (), 0x00181000, Need.VALUE),  # type 1 in Enhanced General Equipment
        (RT_STRUCTURE_SET, (0x30060020,), 0x30060026, Need.PRESENT),  # ROI Name, type 2
        (RT_STRUCTURE_SET, (), 0x30060026, Need.OPTIONAL),  # not at this level
        (RT_STRUCTURE_SET, (), 0x30060002, Need.VALUE),  # Structure Set Label, type 1
        (CT, (0x00400275,), 0x00400009, Need.VALUE),  # Scheduled Procedure Step ID, type 1C
        (CT, (0x00400275, 0x00400008), 0x00080104, Need.VALUE),  # Code Meaning two levels down
        (COMPREHENSIVE_SR, (0x0040A730,) * 5, 0x0040A160, Need.VALUE),  # Text Value at any depth of the tree
        ("1.2.3", (), 0x00080020, Need.OPTIONAL),
        (CT, (0x00400275,), 0x00104000, Need.OPTIONAL),
    ],
)
def test_attribute_types_read_by_hand_from_ps3_3(sop_class, parents, tag, expected):
    assert need(sop_class, parents, tag) is expected


def test_iod_table_covers_every_sop_class_of_highdicom():
    assert len(sop_classes()) == 180
    assert CT in sop_classes() and "1.2.3" not in sop_classes()


def test_nothing_that_names_somebody_is_kept_from_the_knowledge_base():
    vrs = {entry.vr for entry in tcia_entries().values() if entry.letter != "X"}
    assert not vrs & {"PN", "AE"}
    institution_code = tcia_entries()["", (0x3F01, "INTELERAD MEDICAL SYSTEMS", 0x01)]
    assert institution_code.letter == "I" and not institution_code.holds(preset_profile().options)
    assert ("", (0x3F01, "INTELERAD MEDICAL SYSTEMS", 0x03)) not in tcia_entries()  # Source AE, "k"
    dates = {entry.vr for entry in tcia_entries().values() if entry.letter == "T"}
    assert dates == {"DA", "DT", "TM"}


@pytest.mark.shared
@pytest.mark.skipif(not SHARED.is_dir(), reason="tables as published are not beside the checkout")
def test_knowledge_base_never_keeps_what_the_source_deletes():
    deleted = set()
    with (SHARED / "tcia_private_tags.csv").open(encoding="utf-8-sig", newline="") as stream:
        for row in csv.DictReader(stream):
            if row["private_disposition"].strip().lower() in ("d", "na", "", "oi"):
                deleted.add(row["element_sig_pattern"].replace('"', "").lower())
    kept = {key for key, entry in tcia_entries().items() if entry.letter != "X"}
    for path, (group, creator, element) in kept:
        if not path:
            assert f"({group:04x},{creator.lower()},{element:02x})" not in deleted or any(
                key[1][1].lower() == creator.lower() and key[1][1] != creator for key in kept
            )


@pytest.mark.shared
@pytest.mark.skipif(not SHARED.is_dir(), reason="tables as published are not beside the checkout")
def test_shipped_files_are_what_the_script_makes_of_the_published_tables(tmp_path, monkeypatch):
    path = Path(__file__).resolve().parents[1] / "tools/compile_tables.py"
    spec = importlib.util.spec_from_file_location("compile_tables", path)
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    monkeypatch.setattr(script, "DATA", tmp_path)
    script.compile_attributes(SHARED)
    script.compile_safe_private(SHARED)
    script.compile_concepts(SHARED)
    script.compile_tcia(SHARED)
    for made in tmp_path.iterdir():
        assert made.read_bytes() == (DATA / made.name).read_bytes(), made.name
    assert len(list(tmp_path.iterdir())) == 4


def test_import_is_cheap_and_tables_load_fast():
    code = (
        "import sys; import deid.dicom.profile as p\n"
        "assert not {'pydicom', 'pydantic', 'yaml', 'highdicom'} & set(sys.modules), 'heavy import'\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=Path(__file__).resolve().parents[2])
    for read in (table_rows, concept_rows, standard_entries, tcia_entries):
        best = min(_seconds(read.__wrapped__) for _ in range(3))
        assert best < 0.05  # measured 2 to 12 ms; leaves room for busy machines


def _seconds(read):
    start = time.perf_counter()
    read()
    return time.perf_counter() - start
