"""Images with new pixel data: what is written of them, and what the last look finds."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from builders.kinds import build
from derived_bench import (
    DERIVATION,
    OURS,
    PATIENT,
    SYNTAXES,
    Bench,
    burdened,
    cr,
    dx,
    enhanced,
    noise,
)
from dicom_files import PSEUDONYMS, ct
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate
from pydicom.uid import (
    JPEG2000,
    ExplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGExtended12Bit,
    JPEGLSNearLossless,
    RLELossless,
)

from deid import __version__
from deid.core.errors import Held


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


@pytest.mark.parametrize(
    ("syntax", "before", "after"),
    [
        (JPEGBaseline8Bit, None, "01"),
        (JPEGExtended12Bit, "00", "01"),
        (JPEGLSNearLossless, "", "01"),
        (JPEG2000, None, "01"),
        (JPEG2000, "00", "00"),
        (JPEG2000Lossless, None, None),
        (JPEG2000Lossless, "01", "01"),
    ],
)
def test_what_was_lost_is_not_forgotten(
    bench: Bench, syntax: str, before: str | None, after: str | None
) -> None:
    """New pixels are written without loss, so their syntax cannot say that the source's had some."""
    data_set = dx()
    change = bench.change(data_set, noise(data_set), JPEG2000Lossless)
    data_set.file_meta.TransferSyntaxUID = syntax
    data_set.PixelData = encapsulate([b"a code stream..."])
    data_set["PixelData"].VR, data_set["PixelData"].is_undefined_length = "OB", True
    if before is not None:
        data_set.LossyImageCompression = before
    assert bench.release(data_set, change).get("LossyImageCompression") == after


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
