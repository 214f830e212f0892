"""Manifests and what their labels mean."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from deid.core.errors import UsageError
from deid.training.manifest import read_manifest
from deid.training.samples import (
    MISSING,
    NEGATIVE,
    POSITIVE,
    Sample,
    label_matrix,
    parse_labels,
)

FULL = """path,patient_id,source,modality,study,view,labels,licence,width
a/1.png,P1,kids,DX,S1,AP,Pneumonia;virus,CC0,7
/abs/2.png,P1,kids,DX,S2,AP,Normal,CC0,7
3.png,P2,nih,DX,S1,PA,Effusion; Edema,CC0,7
4.png,P3,nih,DX,S1,PA,No Finding,CC0,7
5.png,P4,nih,DX,S1,PA,,CC0,7
"""


def manifest(tmp_path, text):
    path = tmp_path / "manifest.csv"
    path.write_text(text, encoding="utf-8")
    return path


def test_all_columns_are_read_and_relative_paths_are_relative_to_the_file(tmp_path):
    table = read_manifest(manifest(tmp_path, "\ufeff" + FULL))
    first = table[0]
    assert first == Sample(
        tmp_path / "a/1.png", "P1", "kids", "DX", "S1", "AP", ("Pneumonia", "virus"), "CC0"
    )
    assert str(table[1].path) == "/abs/2.png"
    assert [sample.findings for sample in table] == [
        ("Pneumonia", "virus"),
        (),
        ("Effusion", "Edema"),
        (),
        None,
    ]
    assert len(table.only(sources=["nih"])) == 3 and len(table.only(modalities=["MR"])) == 0
    assert table.finding_names == ("Edema", "Effusion", "Pneumonia", "virus")


def test_two_columns_are_enough(tmp_path):
    (sample,) = read_manifest(manifest(tmp_path, "patient_id,path\nP1,x.png\n"))
    assert sample == Sample(tmp_path / "x.png", "P1")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("path\nx.png\n", "no column patient_id"),
        ("", "no column path and no column patient_id"),
        ("path,patient_id\n", "holds no image"),
        ("path,patient_id\nx.png,P1\n,P2\n", "line 3 has no path"),
        ("path,patient_id\nx.png,P1\ny.png,\n", "line 3 has no patient_id"),
        ("path,patient_id\nx.png,P1,more\n", "line 2 has another number of fields"),
        ("path,patient_id,labels\nx.png,P1,Mass;normal\n", "line 2 names a finding beside Normal"),
        ("path,patient_id\nx.png,P1\ny.png,P1\nx.png,P1\n", "as its images 1 and 3"),
        ('path,patient_id\n"x.png"y,P1\n', "no CSV file"),
    ],
)
def test_a_bad_manifest_is_refused_by_its_line_and_without_its_values(tmp_path, text, message):
    with pytest.raises(UsageError) as caught:
        read_manifest(manifest(tmp_path, text))
    assert message in str(caught.value)
    assert "x.png" not in str(caught.value) and "P2" not in str(caught.value)


def test_no_file_and_no_text(tmp_path):
    with pytest.raises(UsageError, match="cannot be read"):
        read_manifest(tmp_path / "none.csv")
    (tmp_path / "b.csv").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(UsageError, match="UTF-8"):
        read_manifest(tmp_path / "b.csv")


def test_a_source_says_nothing_of_findings_it_does_not_look_for(tmp_path):
    samples = read_manifest(manifest(tmp_path, FULL)).samples
    spec = {
        "pneumonia": ["Pneumonia"],
        "viral": ["Pneumonia;virus"],
        "fluid": ["Effusion", "Edema"],
        "viral or fluid": ["virus", "Effusion"],
    }
    expected = [
        [POSITIVE, POSITIVE, MISSING, POSITIVE],
        [NEGATIVE, NEGATIVE, NEGATIVE, NEGATIVE],
        [MISSING, MISSING, POSITIVE, POSITIVE],
        [NEGATIVE, NEGATIVE, NEGATIVE, NEGATIVE],
        [MISSING, MISSING, MISSING, MISSING],
    ]
    np.testing.assert_array_equal(label_matrix(samples, spec), expected)
    np.testing.assert_array_equal(label_matrix(samples, ["Effusion"])[:, 0], [MISSING, 0, 1, 0, MISSING])


def test_a_finding_its_source_knows_is_absent_where_it_is_not_named():
    samples = [Sample(f"{i}", "P", "a", findings=f) for i, f in enumerate([("x",), ("y",), ("x", "y")])]
    np.testing.assert_array_equal(label_matrix(samples, ["x", "y"]), [[1, 0], [0, 1], [1, 1]])
    np.testing.assert_array_equal(
        label_matrix(samples, {"both": ["x;y"], "z": ["x;z"]}), [[0, -1], [0, 0], [1, -1]]
    )


@given(st.text())
def test_any_labels_text_gives_findings_or_is_refused(text):
    try:
        findings = parse_labels(text)
    except ValueError:
        assert "normal" in text.lower() or "no finding" in text.lower()
        return
    if findings is not None:
        assert all(name == name.strip() and name and ";" not in name for name in findings)
        assert len(set(findings)) == len(findings)
