"""Values planted in every place of every kind of object: no byte of anything may hold one."""

import io

import pydicom
import pytest
from builders import KINDS, SYNTAXES, build, surviving, to_bytes

from deid.workflows.scrub.options import OnRisk

RELEASE = ("--on-risk", "release", "--encapsulated", "drop")
ENCAPSULATED_DOCUMENTS = {"pdf"}


def everything(tool):
    """All bytes that a run leaves outside the state folder."""
    return b"\n".join([tool.streams, *tool.tree().values(), *(n.encode() for n in tool.tree())])


@pytest.mark.parametrize("preset", ["research", "basic"])
def test_no_canary_survives_in_any_kind_of_object(tool, tmp_path, preset):
    canaries = set()
    for kind in sorted(set(KINDS) - ENCAPSULATED_DOCUMENTS):
        built = build(kind, canaries=True)
        canaries |= set(built.canaries)
        (tmp_path / "in").mkdir(exist_ok=True)
        (tmp_path / "in" / f"{kind}.dcm").write_bytes(to_bytes(built.dataset))
    summary = tool.scrub(tmp_path / "in", *RELEASE, "--preset", preset)
    assert summary["held"] == 0, summary
    assert summary["released"] == len(set(KINDS) - ENCAPSULATED_DOCUMENTS)
    assert surviving(everything(tool), canaries) == []


@pytest.mark.parametrize("syntax", sorted(SYNTAXES))
def test_no_canary_survives_in_any_transfer_syntax(tool, tmp_path, syntax):
    built = build("ct", canaries=True)
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a").write_bytes(to_bytes(built.dataset, syntax))
    summary = tool.direct(tmp_path / "in", on_risk=OnRisk.RELEASE)
    assert summary.released == 1, summary
    (output,) = tool.outputs()
    assert surviving(everything(tool), built.canaries) == []
    before = pydicom.dcmread(io.BytesIO(to_bytes(built.dataset, syntax)))
    after = pydicom.dcmread(output)
    assert after.file_meta.TransferSyntaxUID == before.file_meta.TransferSyntaxUID
    assert after.PixelData == before.PixelData


def test_journal_and_index_hold_no_plain_value(tool, tmp_path):
    built = build("ct", canaries=True)
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "Xqpathcanary.dcm").write_bytes(to_bytes(built.dataset))
    tool.scrub(tmp_path / "in", *RELEASE)
    state = b"".join(p.read_bytes() for p in tool.state.rglob("*") if p.is_file())
    assert surviving(state, [*built.canaries, "Xqpathcanary"]) == []


def test_bad_values_are_not_told_on_any_stream(tool, tmp_path):
    (tmp_path / "in").mkdir()
    canaries = []
    for number, vr in enumerate(
        ["DA", "TM", "DT", "DS", "IS", "UI", "AS", "CS", "FD", "US", "PN", "LO", "AT"]
    ):
        canary = f"Xqbad{vr.lower()}canary"
        canaries.append(canary)
        dataset = build("ct").dataset
        raw = to_bytes(dataset)
        marker = b"\x08\x00\x60\x00CS\x02\x00CT"  # Modality; a bad element of the same group goes before it
        assert marker in raw
        value = canary.encode() + b" " * (len(canary) % 2)
        bad = b"\x08\x00\x5f\x00" + vr.encode() + len(value).to_bytes(2, "little") + value
        (tmp_path / "in" / f"{number}.dcm").write_bytes(raw.replace(marker, bad + marker))
    tool.scrub(tmp_path / "in", *RELEASE, status=None)
    assert surviving(everything(tool), canaries) == []


def test_pixels_pass_through_and_the_file_says_what_was_done(tool, tmp_path):
    built = build("ct", canaries=True)
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.dcm").write_bytes(to_bytes(built.dataset))
    tool.scrub(tmp_path / "in", "--on-risk", "release")
    after = pydicom.dcmread(tool.outputs()[0])
    assert after.PatientIdentityRemoved in ("YES", "NO")
    assert after.LongitudinalTemporalInformationModified == "MODIFIED"
    assert "mami-deid" in str(after.DeidentificationMethod)
    codes = {item.CodeValue for item in after.DeidentificationMethodCodeSequence}
    assert {"113100", "113105", "113107", "113108"} <= codes
    assert after.PatientID == after.PatientName == tool.outputs()[0].relative_to(tool.out).parts[0]
    assert after.SOPInstanceUID.startswith("2.25.")
    assert not {b"Xq"} & {after.preamble}
