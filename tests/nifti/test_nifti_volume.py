"""NIfTI volumes: text gone, voxels and geometry bit for bit, lies held."""

import gzip
import hashlib
import io
import struct
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from nifti_builders import assert_no_canary, extension, gzip_named, nifti1, write

from deid.core.errors import Held
from deid.nifti.context import Context
from deid.nifti.faces import face_risk
from deid.nifti.header import cleaned, is_nifti, parse_header
from deid.nifti.kinds import FileKind, classify
from deid.nifti.scrub import Output, face_risk_of, scrub_file, verify_outputs
from deid.nifti.stream import Limits, SourceStream, gzip_chunks
from deid.nifti.volume import read_prefix

DATA = np.arange(4 * 5 * 6, dtype=np.int16).reshape(4, 5, 6)
EXTENSIONS = (
    extension(6, b"Mustermann")
    + extension(0, b'{"PatientName": "Mustermann^Erika"}')
    + extension(32, b"<x/>")
)


def scrub(
    source: Path, relative: str, context: Context, out: Path, limits: Limits | None = None
) -> list[Path]:
    kind = classify(source, relative, source.read_bytes()[:4096])
    assert kind is not None
    outputs = scrub_file(kind, source, relative, context, limits)
    written = [write(out / output.relative, b"".join(output.chunks)) for output in outputs]
    verify_outputs(outputs, written, context)
    return written


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("compressed", [False, True])
def test_text_is_removed_and_voxels_stay(
    order: str, compressed: bool, tmp_path: Path, context: Context
) -> None:
    raw = nifti1(DATA, order, extensions=EXTENSIONS if order == "<" else b"", tail=b"Mustermann trailing")
    name = "sub-01_T1w.nii.gz" if compressed else "sub-01_T1w.nii"
    source = write(tmp_path / "in" / name, gzip_named(raw) if compressed else raw)
    (out,) = scrub(source, f"sub-01/anat/{name}", context, tmp_path / "out")
    stored = out.read_bytes()
    assert_no_canary(stored)
    plain = gzip.decompress(stored) if compressed else stored
    assert_no_canary(plain)
    assert len(plain) == 352 + DATA.nbytes
    before, after = nib.Nifti1Image.from_bytes(raw), nib.Nifti1Image.from_bytes(plain)
    assert np.array_equal(before.affine, after.affine)
    assert np.array_equal(before.get_fdata(), after.get_fdata())
    assert before.header.get_data_dtype() == after.header.get_data_dtype()
    assert (after.dataobj.slope, after.dataobj.inter) == (0.5, 10.25)
    for field in ("dim", "pixdim", "quatern_b", "srow_x", "qform_code", "sform_code", "xyzt_units"):
        used = 4 if field in {"dim", "pixdim"} else None
        assert np.array_equal(before.header[field].flat[:used], after.header[field].flat[:used])
    assert not after.header.extensions
    if compressed:
        assert stored[3] == 0 and stored[4:8] == bytes(4)


def test_statistic_names_stay_and_others_go() -> None:
    raw = bytearray(nifti1(DATA))
    raw[328:344] = b"ZSCORE\0hidden\0\0\0"
    assert cleaned(parse_header(bytes(raw)), 352)[328:344] == b"ZSCORE".ljust(16, b"\0")
    raw[328:344] = b"Erika".ljust(16, b"\0")
    assert cleaned(parse_header(bytes(raw)), 352)[328:344] == bytes(16)


def test_nifti2_of_nibabel(tmp_path: Path, context: Context) -> None:
    image = nib.Nifti2Image(DATA.astype(np.float32), np.diag([2, 2, 2, 1]))
    image.header["descrip"] = b"Erika Mustermann"
    image.header.extensions.append(nib.nifti1.Nifti1Extension("comment", b"Mustermann"))
    source = tmp_path / "scan.nii"
    nib.save(image, source)
    (out,) = scrub(source, "Mustermann/scan.nii", context, tmp_path / "out")
    assert_no_canary(out.read_bytes())
    assert "Mustermann" not in str(out.relative_to(tmp_path))
    after = nib.load(out)
    assert np.array_equal(after.get_fdata(), image.get_fdata())
    assert struct.unpack_from("<q", out.read_bytes(), 168)[0] == 544


@pytest.mark.parametrize("suffix", ["", ".gz"])
def test_pairs_and_their_trailing_bytes(suffix: str, tmp_path: Path, context: Context) -> None:
    def pack(data: bytes) -> bytes:
        return gzip_named(data) if suffix else data

    header = write(tmp_path / f"a.hdr{suffix}", pack(nifti1(DATA, magic=b"ni1\0", extensions=EXTENSIONS)))
    image = write(tmp_path / f"a.img{suffix}", pack(DATA.tobytes("F") + b"Mustermann"))
    written = scrub(header, header.name, context, tmp_path / "out")
    assert [path.name.split(".", 1)[1] for path in written] == [f"hdr{suffix}", f"img{suffix}"]
    assert len({path.name.split(".")[0] for path in written}) == 1
    for path in written:
        data = path.read_bytes()
        assert_no_canary(gzip.decompress(data) if suffix else data)
    assert np.array_equal(nib.load(written[0]).dataobj.get_unscaled(), DATA)
    assert classify(image, image.name, image.read_bytes()[:4096]) is FileKind.PAIR_DATA
    assert scrub_file(FileKind.PAIR_DATA, image, image.name, context) == []


def test_analyze_keeps_the_spm_origin_and_loses_the_patient(tmp_path: Path, context: Context) -> None:
    raw = bytearray(nifti1(DATA)[:348])
    raw[252:348] = bytes(96)
    struct.pack_into("<f", raw, 108, 0.0)
    struct.pack_into("<5h", raw, 253, 2, 3, 3, 0, 0)
    raw[283:293] = b"4711-0815\0"
    raw[293:303] = b"19470311\0\0"
    source = write(tmp_path / "a.hdr", bytes(raw))
    write(tmp_path / "a.img", DATA.tobytes("F"))
    header, image = scrub(source, "a.hdr", context, tmp_path / "out")
    after = header.read_bytes()
    assert_no_canary(after)
    assert len(after) == 348
    assert struct.unpack_from("<5h", after, 253) == (2, 3, 3, 0, 0)
    assert image.read_bytes() == DATA.tobytes("F")


def test_output_is_the_same_every_time(tmp_path: Path, context: Context) -> None:
    source = write(tmp_path / "a.nii.gz", gzip_named(nifti1(DATA, extensions=EXTENSIONS)))
    other = write(tmp_path / "b" / "a.nii.gz", gzip_named(nifti1(DATA), name="other"))
    first, second, third = (
        scrub(path, "a.nii.gz", context, tmp_path / f"out{at}")[0].read_bytes()
        for at, path in enumerate((source, source, other))
    )
    assert first == second == third


def held(source: Path, context: Context, limits: Limits | None = None) -> str:
    with pytest.raises(Held) as caught:
        for output in scrub_file(FileKind.VOLUME, source, source.name, context, limits):
            for _ in output.chunks:
                pass
    return caught.value.reason


@pytest.mark.parametrize(
    ("offset", "code", "value", "reason"),
    [
        (40, "<h", 0, "dimensions"), (40, "<h", 9, "dimensions"), (42, "<h", -4, "dimensions"),
        (46, "<h", 32000, "truncated"), (70, "<h", 5, "data type"), (72, "<h", 32, "bits per voxel"),
        (108, "<f", 100.0, "offset"), (108, "<f", float("nan"), "offset"), (108, "<f", 1e9, "truncated"),
        (0, "<i", 12, "size field"), (344, "4s", b"ni1\0", "another file"),
    ],
)  # fmt: skip
def test_lying_headers_are_held(
    offset: int, code: str, value: object, reason: str, tmp_path: Path, context: Context
) -> None:
    raw = bytearray(nifti1(DATA))
    struct.pack_into(code, raw, offset, value)
    assert reason in held(write(tmp_path / "Mustermann.nii", bytes(raw)), context)


def test_truncation_at_every_boundary_is_held(tmp_path: Path, context: Context) -> None:
    raw = nifti1(DATA, extensions=EXTENSIONS)
    for size in (0, 3, 347, 348, 351, 360, 352 + len(EXTENSIONS), len(raw) - 1):
        assert "unreadable" in held(write(tmp_path / "a.nii", raw[:size]), context)
    packed = gzip_named(raw)
    for size in (2, 12, 60, len(packed) // 2, len(packed) - 9):
        assert "unreadable" in held(write(tmp_path / "a.nii.gz", packed[:size]), context)
    damaged = bytearray(packed)
    damaged[-6] ^= 255
    assert held(write(tmp_path / "a.nii.gz", bytes(damaged)), context) == "unreadable: gzip damaged"
    assert "ENOENT" in held(tmp_path / "gone.nii", context)


def test_decompression_limit(tmp_path: Path, context: Context) -> None:
    raw = nifti1(np.zeros((128, 128, 128), dtype=np.uint8))
    source = write(tmp_path / "a.nii.gz", gzip.compress(raw))
    assert (
        held(source, context, Limits(free_bytes=1 << 20, ratio=100)) == "decompression ratio over the limit"
    )
    assert sum(map(len, scrub_file(FileKind.VOLUME, source, "a.nii.gz", context)[0].chunks)) > 0


def test_gzip_stream_reads_members_and_ignores_what_follows() -> None:
    body = b"".join(gzip_chunks([b"abc", b"", b"def" * 1000]))
    assert gzip.decompress(body) == b"abc" + b"def" * 1000
    stream = SourceStream(io.BytesIO(body + gzip.compress(b"ghi") + b"\0\0junk"), Limits())
    assert stream.read(1 << 20) == b"abc" + b"def" * 1000 + b"ghi"
    assert stream.read(1) == b""


def test_verification_sees_what_was_not_cleaned(tmp_path: Path, context: Context) -> None:
    source = write(tmp_path / "a.nii", nifti1(DATA))
    outputs: list[Output] = scrub_file(FileKind.VOLUME, source, "a.nii", context)
    good = b"".join(outputs[0].chunks)
    for offset, value, reason in (
        (150, b"x", "not clean"), (348, b"\1", "not clean"), (len(good), b"x", "after"),
        (400, b"xx", "data differs"), (280, b"xx", "geometry"),
    ):  # fmt: skip
        bad = good[:offset] + value + good[offset + len(value) :]
        with pytest.raises(Held, match=reason):
            verify_outputs(outputs, [write(tmp_path / "bad.nii", bad)], context)
    assert hashlib.sha256(good[352:]).hexdigest() == outputs[0].volume.evidence.data_sha256


def test_sniffing() -> None:
    raw = nifti1(DATA)
    assert is_nifti(raw, "anything") and is_nifti(gzip.compress(raw), "x")
    assert is_nifti(nifti1(DATA, ">"), "x")
    analyze = raw[:344] + bytes(4)
    assert is_nifti(analyze, "a.hdr") and not is_nifti(analyze, "a.dat")
    assert not is_nifti(b"ENVI header text", "a.hdr") and not is_nifti(b"", "a.nii")


def test_face_risk(tmp_path: Path) -> None:
    head = parse_header(nifti1(np.zeros((64, 64, 32), dtype=np.int16)))
    few = parse_header(nifti1(np.zeros((64, 64, 3), dtype=np.int16)))
    assert face_risk("sub-01/anat/sub-01_T1w.nii.gz", head) == "face: structural head volume"
    assert face_risk("sub-01/anat/sub-01_desc-brain_T1w.nii.gz", head) is not None
    assert face_risk("scan.nii", head) == "face: volume of unknown content"
    assert face_risk("scan.nii", head, "CHEST") is None
    assert face_risk("scan.nii", few) is None
    assert face_risk("sub-01/func/sub-01_task-rest_bold.nii.gz", head) is None
    fine = bytearray(head.raw)
    struct.pack_into("<3f", fine, 80, 0.8, 0.8, 0.8)
    assert face_risk("sub-01/func/sub-01_task-rest_bold.nii.gz", parse_header(bytes(fine))) is not None
    source = write(tmp_path / "a.nii", nifti1(np.zeros((64, 64, 32), dtype=np.int16)))
    assert face_risk_of(source, "a.nii") is not None
    write(tmp_path / "a.json", '{"BodyPartExamined": "KNEE"}')
    assert face_risk_of(source, "a.nii") is None


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    edits=st.lists(st.tuples(st.integers(0, 700), st.binary(min_size=1, max_size=8)), max_size=6),
    cut=st.integers(0, 2000),
    order=st.sampled_from("<>"),
    two=st.booleans(),
)
def test_any_bytes_are_cleaned_or_held(
    edits: list[tuple[int, bytes]], cut: int, order: str, two: bool
) -> None:
    raw = bytearray(_nifti2() if two else nifti1(DATA, order, extensions=extension(6, b"x", order)))
    for at, value in edits:
        raw[at : at + len(value)] = value
    try:
        prefix = read_prefix(SourceStream(io.BytesIO(bytes(raw[:cut] if cut < 1500 else raw)), Limits()))
        first = prefix.encode(str)
    except Held as reason:
        assert reason.reason
        return
    again = parse_header(first)
    assert cleaned(again, again.vox_offset) == first[: len(again.raw)]


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=800))
def test_random_bytes_never_break_the_reader(data: bytes) -> None:
    is_nifti(data, "a.hdr")
    for candidate in (data, b"\x1f\x8b" + data, struct.pack("<i", 540) + b"n+2\0\r\n\x1a\n" + data):
        try:
            read_prefix(SourceStream(io.BytesIO(candidate), Limits())).encode(str)
        except Held as reason:
            assert reason.reason


def _nifti2() -> bytes:
    return nib.Nifti2Image(DATA, np.eye(4)).to_bytes()
