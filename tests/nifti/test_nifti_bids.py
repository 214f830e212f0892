"""BIDS names, sidecars and tables: the layout stays, references resolve, the planted strings are gone."""

import gzip
import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from nifti_builders import assert_no_canary, gzip_named, nifti1, write

from deid.core.dates import shift_iso
from deid.core.errors import Held
from deid.core.pseudonyms import Pseudonyms
from deid.nifti.ages import cap_age
from deid.nifti.bids import PathMapper, identity_of, is_bids
from deid.nifti.context import Context
from deid.nifti.header import HEAD_BYTES
from deid.nifti.kinds import FileKind, classify
from deid.nifti.labels import is_plain_session, is_technical
from deid.nifti.scrub import scrub_file
from deid.nifti.sidecar import read_json, scrub_json
from deid.nifti.tables import scrub_table


def clean(path: Path, relative: str, context: Context) -> tuple[str, bytes]:
    kind = classify(path, relative, path.read_bytes()[:HEAD_BYTES])
    assert kind is not None
    (output,) = scrub_file(kind, path, relative, context)
    return output.relative, b"".join(output.chunks)


@pytest.mark.parametrize(
    "label", ["1", "01", "001", "baseline", "m12", "V01", "pre", "month06", "7T", "followup2"]
)
def test_plain_sessions_stay(label: str) -> None:
    assert is_plain_session(label)


@pytest.mark.parametrize(
    "label", ["20200101", "2020", "1234", "erika", "mustermann1", "JAN2020", "010119", "j1o2", "é"]
)
def test_sessions_that_may_be_a_date_or_a_name_go(label: str) -> None:
    assert not is_plain_session(label)


def test_technical_labels() -> None:
    for entity, label in (
        ("task", "rest"),
        ("task", "nback"),
        ("acq", "highres"),
        ("acq", "64dir"),
        ("acq", "0p8mm"),
        ("dir", "AP"),
        ("dir", "98"),
        ("acq", "b1000"),
        ("space", "MNI152NLin2009cAsym"),
        ("run", "01"),
        ("desc", "preproc"),
        ("acq", "MPRAGE"),
        ("desc", "smoothAROMAnonaggr"),
        ("res", "2"),
        ("rec", "norm"),
        ("acq", "T1wLowRes"),
    ):
        if label != "smoothAROMAnonaggr":
            assert is_technical(entity, label), label
    for label in (
        "Mustermann",
        "20200101",
        "b12345",
        "scan2020",
        "acqMustermann",
        "4711",
        "réf",
        "",
        "a1b2c3d4",
    ):
        assert not is_technical("acq", label), label


def test_layout_and_labels(pseudonyms: Pseudonyms) -> None:
    paths = PathMapper(pseudonyms)
    patient = pseudonyms.patient("bids::01")
    assert paths.map_path("sub-01/ses-01/anat/sub-01_ses-01_run-1_T1w.nii.gz") == (
        f"sub-{patient}/ses-01/anat/sub-{patient}_ses-01_run-1_T1w.nii.gz"
    )
    dated = paths.map_path("sub-01/ses-20200101/func/sub-01_ses-20200101_task-rest_bold.json").split("/")
    assert dated[1].removeprefix("ses-").isalnum() and dated[1] in dated[3] and "2020" not in "".join(dated)
    derived = paths.map_path(
        "derivatives/fmriprep-23.1.0/sub-01/func/sub-01_task-rest_desc-preproc_bold.nii.gz"
    )
    assert derived == (
        f"derivatives/fmriprep-23.1.0/sub-{patient}/func/sub-{patient}_task-rest_desc-preproc_bold.nii.gz"
    )
    assert paths.map_path("participants.tsv") == "participants.tsv"
    assert paths.map_path("task-rest_bold.json") == "task-rest_bold.json"
    odd = paths.map_path("Mustermann study/sub-01/anat/Erika.nii.gz")
    assert "usterman" not in odd and "Erika" not in odd and odd.endswith(".nii.gz") and "/anat/" in odd
    assert paths.map_path("a/x.nii").split("/")[1][:-4] == paths.map_path("b/x.json").split("/")[1][:-5]
    split = paths.map_path("sub-DOE_JOHN/anat/sub-DOE_JOHN_T1w.nii").split("/")
    assert split[2] == f"{split[0]}_T1w.nii" and "DOE" not in "".join(split)


@given(st.text(st.characters(exclude_characters="/\0", exclude_categories=("Cs",)), min_size=1, max_size=40))
def test_any_name_gives_a_plain_path(pseudonyms_of: PathMapper, name: str) -> None:
    if name in {".", ".."}:
        return
    mapped = pseudonyms_of.map_path(f"sub-{name}/{name}/{name}.nii.gz")
    assert mapped.isascii() and ".." not in mapped and mapped.count("/") == 2


@pytest.fixture(scope="module")
def pseudonyms_of(pseudonyms: Pseudonyms) -> PathMapper:
    return PathMapper(pseudonyms)


def test_identity() -> None:
    assert identity_of("sub-01/anat/sub-01_T1w.nii.gz", {}) == "bids::01"
    assert identity_of("derivatives/x/sub-01/anat/a.nii.gz", {}) == "bids::01"
    assert identity_of("A/sub-01/a.nii", {}) != identity_of("B/sub-01/a.nii", {})
    assert identity_of("x/a.nii.gz", {}) == identity_of("x/a.json", {}) == identity_of("x/a.bval", {})
    assert identity_of("x/a.nii", {}) != identity_of("x/b.nii", {})
    for key in ("01", "sub-01", "sub-01/anat", "sub-01/anat/sub-01_T1w.nii.gz"):
        assert identity_of("sub-01/anat/sub-01_T1w.nii.gz", {key: "PAT7"}) == "PAT7"


def test_subject_map_names_the_folder_too(pseudonyms: Pseudonyms) -> None:
    paths = PathMapper(pseudonyms, {"01": "PAT7"})
    name = f"sub-{pseudonyms.patient('PAT7')}"
    assert paths.map_path("sub-01/anat/sub-01_T1w.nii") == f"{name}/anat/{name}_T1w.nii"


@pytest.mark.parametrize(
    ("value", "target"),
    [
        ("ses-20200101/func/sub-01_ses-20200101_task-rest_bold.nii.gz", None),
        ("bids::sub-01/ses-20200101/func/sub-01_ses-20200101_task-rest_bold.nii.gz", "bids::"),
        ("sub-01/ses-20200101/func/sub-01_ses-20200101_task-rest_bold.nii.gz", ""),
    ],
)
def test_references_resolve(value: str, target: str | None, pseudonyms: Pseudonyms) -> None:
    paths = PathMapper(pseudonyms)
    full = paths.map_path("sub-01/ses-20200101/func/sub-01_ses-20200101_task-rest_bold.nii.gz")
    mapped = paths.map_reference(value, "sub-01/ses-20200101/fmap/sub-01_ses-20200101_epi.json")
    assert mapped == (full.split("/", 1)[1] if target is None else target + full)


def test_references_out_of_the_tree_are_dropped(pseudonyms: Pseudonyms) -> None:
    for value in ("/home/mustermann/a.nii", "../../a.nii", "file:///x/Erika", ""):
        assert PathMapper(pseudonyms).map_reference(value, "sub-01/anat/sub-01_T1w.json") is None


SIDECAR = {
    "RepetitionTime": 2.1,
    "SliceTiming": [0, 0.5, 1.0],
    "Manufacturer": "Siemens",
    "ImageType": ["ORIGINAL", "M"],
    "SeriesDescription": "T1 MPRAGE Mustermann sag",
    "PatientName": "Mustermann^Erika",
    "PatientID": "4711-0815",
    "PatientBirthDate": "1947-03-11",
    "AcquisitionDateTime": "2020-02-03T23:59:30.5",
    "PatientAge": "093Y",
    "AcquisitionDate": "2020-02-03",
    "AcquisitionTime": "23:59:30.500000",
    "InstitutionName": "Charite",
    "DeviceSerialNumber": "19470311",
    "StationName": "Charite1",
    "AccessionNumber": "4711-0815",
    "unknown": "Erika",
    "StudyInstanceUID": "1.2.3",
    "IntendedFor": ["ses-1/func/sub-01_ses-1_task-rest_bold.nii.gz", "/abs/Mustermann"],
    "TaskName": "rest",
    "PatientSex": "F",
    "EchoTime": float("nan"),
    "TracerName": "FDG",
    "global": {
        "const": {"FlipAngle": 9, "PatientName": "Erika", "StudyDate": "20200203", "x": {"y": "Erika"}},
        "slices": {"InstanceNumber": [1, 2]},
    },
    "Units": {"Erika": {"Mustermann": 1}},
    "SliceThickness": [[["Mustermann"]]],
    "ShimSetting": [1, "Erika", None],
}


def test_sidecar(tmp_path: Path, context: Context) -> None:
    path = write(tmp_path / "sub-01_T1w.json", "\ufeff" + json.dumps(SIDECAR))
    relative, data = clean(path, "sub-01/anat/sub-01_T1w.json", context)
    assert relative.endswith("_T1w.json")
    assert_no_canary(data)
    out = json.loads(data)
    for key in (
        "RepetitionTime",
        "SliceTiming",
        "Manufacturer",
        "ImageType",
        "TaskName",
        "PatientSex",
        "TracerName",
    ):
        assert out[key] == SIDECAR[key]
    assert out["SeriesDescription"] == "T1 MPRAGE sag"
    assert out["PatientAge"] == "090Y"
    assert out["StudyInstanceUID"] == context.pseudonyms.uid("1.2.3")
    moment = shift_iso("2020-02-03T23:59:30.5", context.shift)
    assert out["AcquisitionDateTime"] == moment
    assert f"{out['AcquisitionDate']}T{out['AcquisitionTime'][:10]}" == moment
    assert out["global"]["const"].keys() == {"FlipAngle", "StudyDate"}
    assert out["global"]["const"]["StudyDate"] == shift_iso("20200203", context.shift)
    assert len(out["IntendedFor"]) == 1 and len(out["ShimSetting"]) == 3
    assert not {"PatientName", "PatientID", "EchoTime", "unknown", "InstitutionName"} & out.keys()


def test_data_set_description(tmp_path: Path, context: Context) -> None:
    path = write(
        tmp_path / "dataset_description.json",
        json.dumps(
            {
                "Name": "Mustermann lab",
                "BIDSVersion": "1.8.0",
                "Authors": ["Erika Mustermann"],
                "License": "CC0",
                "Funding": ["Charite"],
                "DatasetDOI": "10.1/x",
                "GeneratedBy": [{"Name": "fmriprep", "Version": "23.1.0", "CodeURL": "http://mustermann"}],
                "DatasetType": "raw",
                "Acknowledgements": "Erika",
            }
        ),
    )
    relative, data = clean(path, "dataset_description.json", context)
    out = json.loads(data)
    assert_no_canary(data)
    assert relative == "dataset_description.json"
    assert out.keys() == {"Name", "BIDSVersion", "License", "GeneratedBy", "DatasetType"}
    assert out["GeneratedBy"] == [{"Name": "fmriprep", "Version": "23.1.0"}]


def test_other_files_are_of_no_kind(tmp_path: Path) -> None:
    for name in ("README", "CHANGES", "LICENSE", "package.json", "notes.tsv", "a.bval", "x.png", "b.img"):
        assert classify(write(tmp_path / name, "x"), name, b"x") is None
    write(tmp_path / "scan.nii", nifti1(np.zeros((2, 2, 2), np.uint8)))
    assert classify(write(tmp_path / "scan.json", "{}"), "scan.json", b"{}") is FileKind.SIDECAR
    assert classify(write(tmp_path / "scan.bval", "0"), "scan.bval", b"0") is FileKind.GRADIENTS
    assert not is_bids(tmp_path)
    write(tmp_path / "dataset_description.json", "{}")
    assert is_bids(tmp_path)


def test_participants(tmp_path: Path, context: Context) -> None:
    write(
        tmp_path / "participants.json",
        json.dumps(
            {
                "score": {"Units": "points"},
                "arm": {"Levels": {"A": "active", "B": "placebo"}},
                "city": {"Levels": {"X": "x"}},
            }
        ),
    )
    lines = [
        "participant_id\tage\tsex\tgroup\tname\tscan_date\tscore\tarm\tcity\tguess\tdob",
        "sub-01\t34\tF\tcontrol\tErika Mustermann\t2020-02-03\t12.5\tA\tX\tq\t1947-03-11",
        "sub-02\t91\tM\tpatient\tCharite\t2020-02-04\tErika\tErika\tX\tq\t19470311",
        'sub-03\tn/a\tM\t"ad"\tx\tlast year\t123456789\tB\tX\tq\t-',
        "\t1\tM\tMustermann\tx",
    ]
    path = write(tmp_path / "participants.tsv", b"\xef\xbb\xbf" + "\r\n".join(lines).encode())
    relative, data = clean(path, "participants.tsv", context)
    assert relative == "participants.tsv"
    assert_no_canary(data)
    header, *rows = [line.split("\t") for line in data.decode().splitlines()]
    assert header == ["participant_id", "age", "sex", "group", "scan_date", "score", "arm"]
    assert rows == sorted(rows) and len(rows) == 3
    by_id = {row[0]: row[1:] for row in rows}
    pseudonyms = context.pseudonyms
    for label, expected in (
        ("01", ["34", "F", "control", "2020-02-03", "12.5", "A"]),
        ("02", ["90", "M", "patient", "2020-02-04", "n/a", "n/a"]),
        ("03", ["n/a", "M", "ad", "n/a", "n/a", "B"]),
    ):
        identity = f"bids::{label}"
        expected[3] = shift_iso(expected[3], pseudonyms.shift(identity)) or "n/a"
        assert by_id[f"sub-{pseudonyms.patient(identity)}"] == expected


def test_scans_and_sessions(context: Context) -> None:
    table = b"filename\tacq_time\toperator\nfunc/sub-01_task-rest_bold.nii.gz\t2020-02-03T10:11:12\tErika\n"
    data, removed = scrub_table(table, "scans", "sub-01/sub-01_scans.tsv", context)
    name, moment = data.decode().splitlines()[1].split("\t")
    full = context.paths.map_path("sub-01/func/sub-01_task-rest_bold.nii.gz")
    assert name == full.split("/", 1)[1] and removed == 1
    assert moment == shift_iso("2020-02-03T10:11:12", context.shift)
    data, _ = scrub_table(
        b"session_id\tacq_time\nses-20200101\tn/a\n", "sessions", "sub-01/sub-01_sessions.tsv", context
    )
    label = data.decode().splitlines()[1].split("\t")[0]
    assert label == context.paths.map_path("sub-01/ses-20200101/anat/a.nii").split("/")[1]


def test_events_in_latin_1(context: Context) -> None:
    table = (
        "onset\tduration\ttrial_type\tstim_file\tcomments\trt\tn\xe9\n"
        "1.0\tn/a\tface Mustermann\tErika.png\tErika\t.5\tx\n"
        "2\t1\tm\xfcde\tn/a\tx\tabc\tx\n"
    ).encode("latin-1")
    data, _ = scrub_table(table, "events", "sub-01/func/sub-01_task-x_events.tsv", context)
    assert_no_canary(data)
    lines = [line.split("\t") for line in data.decode().splitlines()]
    assert lines[0] == ["onset", "duration", "trial_type", "stim_file", "rt"]
    assert lines[1][:3] == ["1.0", "n/a", "face"] and lines[1][3].endswith(".png") and lines[1][4] == ".5"
    assert lines[2] == ["2", "1", "m\xfcde", "n/a", "n/a"]


def test_physio_and_gradients(tmp_path: Path, context: Context) -> None:
    path = write(tmp_path / "sub-01_task-rest_physio.tsv.gz", gzip_named(b"1.5\t-2e3\nErika\t3\r\n"))
    relative, data = clean(path, "sub-01/func/sub-01_task-rest_physio.tsv.gz", context)
    assert relative.endswith("_task-rest_physio.tsv.gz") and data[3] == 0 and data[4:8] == bytes(4)
    assert gzip.decompress(data) == b"1.5\t-2e3\nn/a\t3\n"
    path = write(tmp_path / "sub-01_dwi.bval", "0  1000\t2000 \r\n")
    assert clean(path, "sub-01/dwi/sub-01_dwi.bval", context)[1] == b"0 1000 2000\n"
    path = write(tmp_path / "sub-01_dwi.bvec", "0 1 Erika\n")
    with pytest.raises(Held, match="not a number"):
        clean(path, "sub-01/dwi/sub-01_dwi.bvec", context)


def test_ages() -> None:
    assert [cap_age(a) for a in ("89", "90", "104.5", "12.25", "089Y", "095Y", "003M", "89+", "old")] == [
        "89",
        "90",
        "90",
        "12.25",
        "089Y",
        "090Y",
        "003M",
        "90",
        None,
    ]
    assert cap_age("95", 12) == "95" and cap_age("1200", 12) is None


def test_hostile_json_is_held(context: Context) -> None:
    for data in (b"[" * 100_000, b"{", b"[]", b'{"a": ' + b"9" * 5000 + b"}", b"\xff\xfe\x00"):
        with pytest.raises(Held):
            scrub_json(data, "sub-01/anat/sub-01_T1w.json", context)
    with pytest.raises(Held, match="nested"):
        scrub_json(b'{"ShimSetting": ' + b"[" * 60 + b"]" * 60 + b"}", "a.json", context)


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from([*SIDECAR, "const", "Levels", "BasedOn", "age"]), inner, max_size=4)
    ),
    max_leaves=20,
)


@given(
    st.dictionaries(st.sampled_from([*SIDECAR, "time", "Name", "GeneratedBy"]), _JSON, max_size=6),
    st.integers(0, 2),
)
def test_any_json_is_cleaned_or_held(fuzz_context: Context, document: dict[str, object], form: int) -> None:
    try:
        data, _ = scrub_json(
            json.dumps(document).encode(),
            "sub-01/anat/x.json",
            fuzz_context,
            [None, "events", "dataset_description"][form],
        )
    except Held:
        return
    assert isinstance(read_json(data), dict)


@given(st.binary(max_size=200), st.sampled_from(["participants", "scans", "events", "sessions"]))
def test_any_table_is_cleaned_or_held(fuzz_context: Context, data: bytes, suffix: str) -> None:
    header = b"participant_id\tage\tfilename\tacq_time"
    cleaned, removed = scrub_table(header + b"\n" + data, suffix, f"sub-1/sub-1_{suffix}.tsv", fuzz_context)
    rows = [line.split("\t") for line in cleaned.decode().split("\n")]
    assert rows.pop() == [""] and len({len(row) for row in rows}) == 1
    assert removed >= len(header.split(b"\t")) - len(rows[0])
    assert all(cell == cell.strip() and cell for row in rows for cell in row)


@pytest.fixture(scope="module")
def fuzz_context(pseudonyms: Pseudonyms) -> Context:
    from nifti_builders import PlantedCleaner

    return Context(pseudonyms, PlantedCleaner(), "bids::01")
