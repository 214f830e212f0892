"""Images with new pixel data: what the last look finds, and what is held."""

from __future__ import annotations

import io
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pydicom
import pytest
from derived_bench import (
    DERIVATION,
    SYNTAXES,
    Bench,
    burdened,
    cr,
    dx,
    enhanced,
    noise,
)
from dicom_files import PSEUDONYMS, release
from pydicom.dataset import Dataset
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    RLELossless,
)

from deid.core.errors import Held
from deid.core.identifiers import KnownIdentifiers
from deid.dicom.claims import claims_of, expectation_of
from deid.dicom.derived import Derivation, derived_type, described
from deid.dicom.index import index_part10
from deid.dicom.part10 import IN_MEMORY, open_part10, parse_part10
from deid.dicom.recipe import parse_recipe
from deid.dicom.release import PatientRelease
from deid.dicom.values import Patient


@pytest.mark.parametrize("name", SYNTAXES)
def test_a_flipped_bit_of_the_pixels_is_found(bench: Bench, name: str) -> None:
    data_set = dx()
    data_set.file_meta.TransferSyntaxUID = SYNTAXES[name]
    with pytest.raises(Held, match="verification: pixel data differs"):
        bench.release(data_set, bench.change(data_set, noise(data_set)), tamper=-7)


def test_old_pixels_and_untrue_headers_are_found(bench: Bench) -> None:
    data_set = dx()
    data_set.PixelData = noise(data_set, seed=1).tobytes()
    change = bench.change(data_set, noise(data_set))
    stale = bench.change(data_set, noise(data_set, seed=1))
    pixels = change.pixels
    wrong = {
        "pixel data differs": replace(stale.pixels, sha256=pixels.sha256),
        "verification: pixel data differs": replace(pixels, sha256="0" * 64),
    }
    for message, made in wrong.items():
        with pytest.raises(Held, match=message):
            bench.release(data_set, replace(change, pixels=made))
    source = bench.folder / "source.dcm"
    with open_part10(source) as opened:
        record = index_part10(opened)
        profile = parse_recipe("preset: research").profile()
        patient = Patient("x", "LABEL", PSEUDONYMS.shift("x"), KnownIdentifiers([]))
        one = PatientRelease(profile, patient, PSEUDONYMS, expectation_of(profile, keep_times=False))
        claims = claims_of(profile, record.sop_class, record.modality, released_unseen=False)
        written = one.prepare(opened, record, claims, change).to_bytes()
        unchanged = one.prepare(opened, record, claims).to_bytes()
        one.verify(opened, written, change=change)
        for message, data in {
            "does not describe": written.replace(b"MONOCHROME2", b"MONOCHROME1"),
            "tells of the old": written.replace(b"DERIVED\\PRIMARY", b"ORIGINA\\PRIMARY"),
            "pixel data differs": unchanged,
        }.items():
            with pytest.raises(Held, match=message):
                one.verify(opened, data, change=change)
        with pytest.raises(Held, match="pixel data differs"):
            one.verify(opened, written)
        jpeg = replace(change, pixels=replace(pixels, syntax=ExplicitVRBigEndian))
        with pytest.raises(Held, match="does not describe"):
            one.verify(opened, written, change=jpeg)


@pytest.mark.parametrize(
    ("source", "fields"),
    [
        (ImplicitVRLittleEndian, {"syntax": ExplicitVRLittleEndian}),
        (ExplicitVRLittleEndian, {"syntax": DeflatedExplicitVRLittleEndian}),
        (ExplicitVRLittleEndian, {"syntax": RLELossless}),
        (ImplicitVRLittleEndian, {"syntax": RLELossless, "encapsulated": True}),
        (ExplicitVRLittleEndian, {"encapsulated": True}),
    ],
)
def test_pixels_in_another_encoding_are_held(bench: Bench, source: str, fields: dict[str, object]) -> None:
    data_set = dx()
    data_set.file_meta.TransferSyntaxUID = source
    change = bench.change(data_set, noise(data_set))
    with pytest.raises(Held, match="cannot be written in the encoding"):
        bench.release(data_set, replace(change, pixels=replace(change.pixels, **fields)))  # type: ignore[arg-type]


def test_an_object_without_pixels_is_held(bench: Bench) -> None:
    data_set = dx()
    change = bench.change(data_set, noise(data_set))
    del data_set.PixelData
    with pytest.raises(Held, match="no pixel data that can be replaced"):
        bench.release(data_set, change)


def test_large_pixels_come_from_their_file(bench: Bench) -> None:
    data_set = dx()
    data_set.Rows, data_set.Columns = 1600, 1400
    data_set.PixelData = bytes(2 * 1600 * 1400)
    new = noise(data_set)
    assert new.nbytes > IN_MEMORY
    change = bench.change(data_set, new)
    written = bench.release(data_set, change)
    assert np.array_equal(written.pixel_array, new)
    with open_part10(bench.folder / "source.dcm", header=True) as opened:
        assert opened.is_header


def test_new_pixels_that_end_early_are_held(bench: Bench) -> None:
    data_set = dx()
    change = bench.change(data_set, noise(data_set))
    beyond = replace(change.pixels.value, length=change.pixels.value.length + 100)
    with pytest.raises(Held, match="unreadable: truncated"):
        bench.release(data_set, replace(change, pixels=replace(change.pixels, value=beyond)))


def test_a_second_scrub_knows_what_the_first_did(bench: Bench) -> None:
    data_set = dx()
    first = bench.release(data_set, bench.change(data_set, noise(data_set)))
    stream = io.BytesIO()
    first.save_as(stream)
    again = pydicom.dcmread(io.BytesIO(release(stream.getvalue())))
    codes = [(c.CodeValue, c.CodingSchemeDesignator) for c in again.DeidentificationMethodCodeSequence]
    assert ("ID_CUES_REMOVED", "99MAMIDEID") in codes
    assert again.ImageType[0] == "DERIVED"
    assert len(again.ContributingEquipmentSequence) == 1


def test_values_keep_to_what_their_vr_holds() -> None:
    assert derived_type(b"") == b"DERIVED\\SECONDARY"
    assert derived_type(b"ORIGINAL\\PRIMARY \\AXIAL ") == b"DERIVED\\PRIMARY\\AXIAL"
    ours = DERIVATION.description
    assert described(b"text ", DERIVATION) == b"text\r\n" + ours
    assert described(b"", DERIVATION) == described(b"x" * 1000, DERIVATION) == ours
    long = Derivation("m" * 100, "0" * 64)
    assert len(long.method) == len(long.equipment[0x00081090][1]) == 64


def test_the_walk_reads_what_was_written(bench: Bench) -> None:
    data_set = burdened(dx())
    written = bench.release(data_set, bench.change(data_set, noise(data_set)))
    stream = io.BytesIO()
    written.save_as(stream)
    tags = [element.tag for element in parse_part10(stream.getvalue()).elements]
    assert tags == sorted(set(tags))


@pytest.mark.skipif(shutil.which("dciodvfy") is None, reason="dciodvfy is not installed")
@pytest.mark.parametrize("make", [cr, dx, enhanced])
def test_a_changed_image_is_as_valid_as_an_unchanged_one(bench: Bench, make: Callable[[], Dataset]) -> None:
    data_set = make()
    bench.release(data_set, bench.change(data_set, noise(data_set))).save_as(bench.folder / "changed.dcm")
    (bench.folder / "same.dcm").write_bytes(release((bench.folder / "source.dcm").read_bytes()))
    errors = [_errors(bench.folder / name) for name in ("changed.dcm", "same.dcm")]
    assert errors[0] <= errors[1]


def _errors(path: Path) -> set[str]:
    done = subprocess.run(["dciodvfy", "-new", path], capture_output=True, text=True)
    return {line for line in (done.stdout + done.stderr).splitlines() if line.startswith("Error")}
