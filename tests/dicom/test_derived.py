"""Images with new pixel data: what is written of them, and what the last look finds."""

from __future__ import annotations

import copy
import hashlib
import io
import shutil
import subprocess
import zlib
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pydicom
import pytest
from builders.common import base, code, references
from builders.kinds import build
from dicom_files import PSEUDONYMS, ct, release
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    RLELossless,
)

from deid import __version__
from deid.core.errors import Held
from deid.core.identifiers import Identifier, Kind, KnownIdentifiers
from deid.core.staging import FileRange, Staging
from deid.dicom.claims import claims_of, expectation_of
from deid.dicom.derived import Derivation, PixelChange, derived_type, described
from deid.dicom.index import index_part10
from deid.dicom.new_pixels import NewPixels
from deid.dicom.part10 import IN_MEMORY, open_part10, parse_part10
from deid.dicom.recipe import parse_recipe
from deid.dicom.release import PatientRelease, map_file
from deid.dicom.values import Patient

DERIVATION = Derivation("chest-anonymizer", "5e" * 32)
PATIENT = "PAT-4711-77"
DX = "1.2.840.10008.5.1.4.1.1.1.1"
SYNTAXES = {
    "implicit": ImplicitVRLittleEndian,
    "explicit": ExplicitVRLittleEndian,
    "big endian": ExplicitVRBigEndian,
    "deflated": DeflatedExplicitVRLittleEndian,
}


class Bench:
    """Releases one file with new pixel data, as the workflow does."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.opened: list[io.BufferedReader] = []
        self.count = 0

    def change(self, data_set: Dataset, array: NDArray[np.generic], syntax: str | None = None) -> PixelChange:
        """New pixel data for an object, encoded by pydicom and put somewhere into a file."""
        source = str(data_set.file_meta.TransferSyntaxUID)
        native = syntax is None or syntax in SYNTAXES.values()
        if native:
            order = ">" if source == ExplicitVRBigEndian else "<"
            value = array.astype(array.dtype.newbyteorder(order)).tobytes()
            value += b"\0" * (len(value) % 2)
        else:
            encoded = copy.deepcopy(data_set)
            encoded.compress(syntax, array, encoding_plugin="pylibjpeg", generate_instance_uid=False)
            value = encoded.PixelData + bytes.fromhex("fe ff dd e0 00 00 00 00")
        self.count += 1
        path = self.folder / f"pixels{self.count}"
        path.write_bytes(b"before" + value + b"behind")
        self.opened.append(path.open("rb"))
        colour = data_set.SamplesPerPixel == 3
        pixels = NewPixels(
            syntax=syntax or source,
            vr="OB" if not native or array.dtype.itemsize == 1 else "OW",
            encapsulated=not native,
            value=FileRange(self.opened[-1].fileno(), 6, len(value)),
            sha256=hashlib.sha256(value).hexdigest(),
            photometric=data_set.PhotometricInterpretation,
            planar=0 if colour else None,
            smallest=None if colour else int(array.min()),
            largest=None if colour else int(array.max()),
        )
        return PixelChange(pixels, DERIVATION)

    def release(
        self, data_set: Dataset, change: PixelChange, recipe: str = "preset: research", *, tamper: int = 0
    ) -> Dataset:
        """What is written, read by pydicom; ``tamper`` flips a bit of that byte of it before."""
        source = self.folder / "source.dcm"
        pydicom.dcmwrite(source, data_set, enforce_file_format=True)
        profile = parse_recipe(recipe).profile()
        with open_part10(source, header=True) as opened, Staging(self.folder / "out") as staging:
            record = index_part10(opened)
            known = KnownIdentifiers(
                Identifier(Kind(kind), value) for kind, value in record.known(profile.options)
            )
            identity = record.patient or ""
            patient = Patient(identity, PSEUDONYMS.patient(identity), PSEUDONYMS.shift(identity), known)
            one = PatientRelease(profile, patient, PSEUDONYMS, expectation_of(profile, profile.keep_times))
            claims = claims_of(profile, record.sop_class, record.modality, released_unseen=False)
            prepared = one.prepare(opened, record, claims, change)
            assert prepared.tail is None
            assert not prepared.in_memory
            staging.write("x", prepared.chunks())
            with map_file(staging.staged_path("x")) as written:
                whole = written[:]
                assert whole == prepared.to_bytes()
                if tamper:
                    one.verify(opened, _flipped(whole, tamper), change=change)
                one.verify(opened, written, change=change)
        return pydicom.dcmread(io.BytesIO(whole))


def _flipped(data: bytes, at: int) -> bytes:
    """The file with a flipped bit in a byte of its data set, counted from the end."""
    with parse_part10(data) as walked:
        start, deflated = walked.meta[-1].stop, walked.deflated
        changed = bytearray(walked.body[walked.start :])
    changed[at] ^= 1
    if not deflated:
        return data[:start] + changed
    deflater = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return data[:start] + deflater.compress(changed) + deflater.flush()


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    made = Bench(tmp_path)
    yield made
    for stream in made.opened:
        stream.close()


def noise(data_set: Dataset, seed: int = 7) -> NDArray[np.uint16]:
    """New stored values `[row, column]`, with a leading `[frame]` where there are several, of 12 bits."""
    frames = int(data_set.get("NumberOfFrames", 1))
    shape = (data_set.Rows, data_set.Columns) if frames == 1 else (frames, data_set.Rows, data_set.Columns)
    return np.random.default_rng(seed).integers(5, 4000, shape).astype(np.uint16)


def cr() -> Dataset:
    return _enlarged(build("cr", patient=PATIENT).dataset)


def _enlarged(data_set: Dataset) -> Dataset:
    """The same object, large enough for every encoder."""
    data_set.Rows, data_set.Columns = 48, 64
    data_set.PixelData = bytes(2 * 48 * 64 * int(data_set.get("NumberOfFrames", 1)))
    return data_set


def dx() -> Dataset:
    data_set = base(DX, "DX", 1, PATIENT)
    data_set.Rows, data_set.Columns, data_set.SamplesPerPixel = 300, 200, 1
    data_set.BitsAllocated, data_set.BitsStored, data_set.HighBit = 16, 12, 11
    data_set.PixelRepresentation, data_set.PhotometricInterpretation = 0, "MONOCHROME2"
    data_set.ImageType, data_set.PixelPaddingValue = ["ORIGINAL", "PRIMARY", ""], 4095
    data_set["PixelPaddingValue"].VR = "US"
    data_set.PixelData = bytes(2 * 300 * 200)
    data_set["PixelData"].VR = "OW"
    return data_set


def enhanced() -> Dataset:
    """Enhanced MR of three frames; Frame Type stands in the shared and in the per-frame groups."""
    data_set = _enlarged(build("mr_enhanced", patient=PATIENT).dataset)
    groups = [*data_set.SharedFunctionalGroupsSequence, *data_set.PerFrameFunctionalGroupsSequence]
    for group in groups:
        kind = Dataset()
        kind.FrameType = ["ORIGINAL", "PRIMARY", "T1", "NONE"]
        group.MRImageFrameTypeSequence = references(kind)
    return data_set


def burdened(data_set: Dataset) -> Dataset:
    """Add what tells of the old pixels and of the patient."""
    icon = Dataset()
    icon.Rows = icon.Columns = 2
    icon.SmallestImagePixelValue, icon.PixelData = 0, bytes(4)
    icon["SmallestImagePixelValue"].VR, icon["PixelData"].VR = "US", "OB"
    data_set.IconImageSequence = references(icon)
    reference = Dataset()
    reference.ReferencedSOPClassUID, reference.ReferencedSOPInstanceUID = DX, "1.2.3.4"
    reference.IconImageSequence = references(icon)
    data_set.SourceImageSequence = references(reference)
    for keyword in ("Image", "PixelValueInSeries", "ImagePixelValueInPlane"):
        name = keyword if keyword != "Image" else "ImagePixelValue"
        for end in ("Smallest", "Largest"):
            setattr(data_set, end + name, 17)
            data_set[end + name].VR = "US"
    histogram = Dataset()
    histogram.HistogramNumberOfBins, histogram.HistogramData = 1, 9
    data_set.HistogramSequence = references(histogram)
    mac = Dataset()
    mac.MACIDNumber, mac.MACAlgorithm = 1, "SHA256"
    data_set.MACParametersSequence = references(mac)
    data_set.DerivationDescription = "Averaged for Anna Testperson on request"
    data_set.DerivationCodeSequence = references(
        code("113085", "Spatial resampling"), code("X1", "for Testperson", "99LOCAL")
    )
    equipment = Dataset()
    equipment.Manufacturer, equipment.ContributionDescription = "Acme", "checked with Testperson"
    equipment.PurposeOfReferenceCodeSequence = references(code("109102", "Processing Equipment"))
    data_set.ContributingEquipmentSequence = references(equipment)
    data_set.DeidentificationMethod = "Earlier tool"
    return data_set


OURS = (
    f"Identity cues removed from the pixels by mami-deid {__version__}, model chest-anonymizer; "
    "not for diagnosis"
)


@pytest.mark.parametrize("name", SYNTAXES)
def test_native_pixels_are_replaced_in_every_encoding(bench: Bench, name: str) -> None:
    data_set = ct(PATIENT)
    data_set.file_meta.TransferSyntaxUID = SYNTAXES[name]
    data_set.SmallestImagePixelValue = data_set.LargestImagePixelValue = 3
    if name == "big endian":
        data_set.PixelData = bytes(32)
    new = noise(data_set)
    written = bench.release(burdened(data_set), bench.change(data_set, new))
    assert np.array_equal(written.pixel_array, new)
    assert written.file_meta.TransferSyntaxUID == SYNTAXES[name]
    assert written.is_implicit_VR == (name == "implicit")
    assert (written.SmallestImagePixelValue, written.LargestImagePixelValue) == (new.min(), new.max())
    assert list(written.ImageType) == ["DERIVED", "PRIMARY", "AXIAL"]
    assert [item.CodeValue for item in written.DerivationCodeSequence][-1] == "ID_CUES_REMOVED"
    assert written.DerivationDescription.endswith(OURS)


@pytest.mark.parametrize("syntax", [RLELossless, JPEG2000Lossless], ids=["rle", "j2k"])
@pytest.mark.parametrize("make", [cr, dx, enhanced])
def test_encapsulated_pixels_are_replaced(bench: Bench, syntax: str, make: Callable[[], Dataset]) -> None:
    data_set = make()
    new = noise(data_set)
    change = bench.change(data_set, new, syntax)
    data_set.compress(
        syntax, noise(data_set, seed=1), encoding_plugin="pylibjpeg", generate_instance_uid=False
    )
    data_set.ExtendedOffsetTable = data_set.ExtendedOffsetTableLengths = bytes(8)
    written = bench.release(data_set, change)
    assert np.array_equal(written.pixel_array, new)
    assert written.file_meta.TransferSyntaxUID == syntax
    assert "ExtendedOffsetTable" not in written
    assert "ExtendedOffsetTableLengths" not in written
    assert written.SOPInstanceUID == written.file_meta.MediaStorageSOPInstanceUID


def test_compressed_pixels_may_become_native(bench: Bench) -> None:
    data_set = cr()
    new = noise(data_set)
    change = bench.change(data_set, new)
    data_set.compress(RLELossless, encoding_plugin="pylibjpeg", generate_instance_uid=False)
    written = bench.release(data_set, change)
    assert written.file_meta.TransferSyntaxUID == ExplicitVRLittleEndian
    assert np.array_equal(written.pixel_array, new)


def test_colour_is_described_as_encoded(bench: Bench) -> None:
    data_set = build("xc", patient=PATIENT).dataset
    data_set.PlanarConfiguration = 1
    data_set.SmallestImagePixelValue = 1
    new = np.random.default_rng(3).integers(0, 255, (data_set.Rows, data_set.Columns, 3)).astype(np.uint8)
    change = bench.change(data_set, new)
    written = bench.release(data_set, change)
    assert np.array_equal(written.pixel_array, new)
    assert written.PlanarConfiguration == 0
    assert "SmallestImagePixelValue" not in written
    ybr = replace(change, pixels=replace(change.pixels, photometric="YBR_FULL"))
    assert bench.release(data_set, ybr).PhotometricInterpretation == "YBR_FULL"


def test_what_is_added_joins_what_the_profile_leaves(bench: Bench) -> None:
    data_set = burdened(dx())
    written = bench.release(data_set, bench.change(data_set, noise(data_set)))
    theirs, ours = written.DerivationDescription.split("\r\n")
    assert ours == OURS
    assert theirs.startswith("Averaged for")
    assert "Testperson" not in str(written) and "Anna" not in str(written)
    codes = [(c.CodeValue, c.CodingSchemeDesignator) for c in written.DerivationCodeSequence]
    assert codes[0] == ("113085", "DCM")
    assert codes[-1] == ("ID_CUES_REMOVED", "99MAMIDEID")
    assert written.DerivationCodeSequence[-1].CodeMeaning == "Identity cues removed by a neural network"
    first, mine = written.ContributingEquipmentSequence
    assert first.Manufacturer == "Acme"
    assert mine.PurposeOfReferenceCodeSequence[0].CodeValue == "109103"
    assert mine.PurposeOfReferenceCodeSequence[0].CodeMeaning == "Modifying Equipment"
    assert (mine.Manufacturer, mine.ManufacturerModelName) == ("mami-deid", "chest-anonymizer")
    assert mine.SoftwareVersions == __version__
    assert DERIVATION.digest in mine.ContributionDescription
    assert written.PixelPaddingValue == 4095
    methods = list(written.DeidentificationMethod)
    assert methods[0] == "Earlier tool"
    assert methods[-1] == "Identity cues removed from pixels, model chest-anonymizer"
    assert all(len(method) <= 64 for method in methods)
    method_codes = [
        (c.CodeValue, c.CodingSchemeDesignator) for c in written.DeidentificationMethodCodeSequence
    ]
    assert ("113100", "DCM") in method_codes
    assert method_codes[-1] == ("ID_CUES_REMOVED", "99MAMIDEID")


@pytest.mark.parametrize("recipe", ["preset: basic", "preset: research"])
def test_what_tells_of_the_old_pixels_goes(bench: Bench, recipe: str) -> None:
    data_set = burdened(dx())
    new = noise(data_set)
    written = bench.release(data_set, bench.change(data_set, new), recipe)
    assert (written.SmallestImagePixelValue, written.LargestImagePixelValue) == (new.min(), new.max())
    tags = {int(element.tag) for element in written.iterall()}
    gone = {0x00280108, 0x00280109, 0x00280110, 0x00280111, 0x00603000, 0x00880200, 0x4FFE0001, 0xFFFAFFFA}
    assert not tags & gone
    assert OURS in written.DerivationDescription


def test_a_recipe_keeps_no_icon_and_drops_no_mark(bench: Bench) -> None:
    data_set = burdened(dx())
    change = bench.change(data_set, noise(data_set))
    recipe = (
        "overrides: [{attribute: IconImageSequence, action: keep},"
        "{attribute: HistogramSequence, action: keep},"
        "{attribute: DerivationDescription, action: keep-verbatim},"
        "{attribute: ContributingEquipmentSequence, action: remove}]"
    )
    written = bench.release(data_set, change, recipe)
    assert "IconImageSequence" not in written
    assert "HistogramSequence" not in written
    assert written.DerivationDescription == f"{data_set.DerivationDescription}\r\n{OURS}"
    (mine,) = written.ContributingEquipmentSequence
    assert mine.ManufacturerModelName == "chest-anonymizer"


def test_signed_values_have_their_vr(bench: Bench) -> None:
    data_set = ct(PATIENT)
    data_set.PixelRepresentation = 1
    data_set.SmallestImagePixelValue = data_set.LargestImagePixelValue = 0
    new = (noise(data_set).astype(np.int32) - 2000).astype(np.int16)
    written = bench.release(data_set, bench.change(data_set, new))
    assert written["SmallestImagePixelValue"].VR == written["LargestImagePixelValue"].VR == "SS"
    assert (written.SmallestImagePixelValue, written.LargestImagePixelValue) == (new.min(), new.max())


def test_missing_attributes_are_not_made_up(bench: Bench) -> None:
    data_set = cr()
    del data_set.ImageType
    written = bench.release(data_set, bench.change(data_set, noise(data_set)))
    assert list(written.ImageType) == ["DERIVED", "SECONDARY"]
    assert written.DerivationDescription == OURS
    assert len(written.DerivationCodeSequence) == len(written.ContributingEquipmentSequence) == 1
    assert "SmallestImagePixelValue" not in written
    assert "PlanarConfiguration" not in written


def test_every_frame_type_is_derived(bench: Bench) -> None:
    data_set = enhanced()
    new = noise(data_set)
    written = bench.release(data_set, bench.change(data_set, new))
    assert np.array_equal(written.pixel_array, new)
    groups = [*written.SharedFunctionalGroupsSequence, *written.PerFrameFunctionalGroupsSequence]
    types = [list(group.MRImageFrameTypeSequence[0].FrameType) for group in groups]
    assert types == [["DERIVED", "PRIMARY", "T1", "NONE"]] * 4
    assert list(written.ImageType) == ["DERIVED", "PRIMARY", "T1", "NONE"]


def test_the_instance_keeps_its_pseudonym(bench: Bench) -> None:
    data_set = dx()
    written = bench.release(data_set, bench.change(data_set, noise(data_set)))
    assert written.SOPInstanceUID == PSEUDONYMS.uid(data_set.SOPInstanceUID)
    assert written.SOPClassUID == data_set.SOPClassUID


def test_a_changed_image_may_not_keep_its_uid(bench: Bench) -> None:
    data_set = dx()
    with pytest.raises(Held) as held:
        bench.release(data_set, bench.change(data_set, noise(data_set)), "options: [retain-uids]")
    assert held.value.reason == "identity: the recipe retains UIDs, which a changed image may not keep"


def test_words_of_ours_are_nobodys_name(bench: Bench) -> None:
    data_set = dx()
    data_set.PatientName = "Qorvanti^Anna"
    data_set.DerivationDescription = "shown to Qorvanti"
    change = bench.change(data_set, noise(data_set))
    named = replace(change, derivation=replace(DERIVATION, model="qorvanti"))
    theirs, ours = bench.release(data_set, named).DerivationDescription.split("\r\n")
    assert "Qorvanti" not in theirs
    assert "model qorvanti;" in ours


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
