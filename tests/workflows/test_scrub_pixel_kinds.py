"""Identity cues in every kind of pixel that a model may cover: depth, sign, padding and meaning stay."""

import numpy as np
import pydicom
import pytest
from builders.anonymizers import save_open_scrubber
from pydicom.dataset import Dataset
from workflows.command import Tool

from deid.dicom.image_header import units_of
from deid.dicom.pixels import read_header, read_image
from deid.training.phantoms import make_cohort, write_dicom
from deid.workflows.scrub.frames import UNTOUCHED
from deid.workflows.scrub.options import Encapsulated, Identity

SIDE = 64
KINDS = {
    "8 bits": {"bits": 8, "allocated": 8},
    "12 bits in 16": {"bits": 12},
    "16 bits": {"bits": 16},
    "10 bits of MONOCHROME1": {"bits": 10, "photometric": "MONOCHROME1"},
    "signed": {"bits": 16, "signed": True, "modality": "MR"},
    "signed 12 bits": {"bits": 12, "signed": True},
    "padding": {"bits": 12, "padding": (0, 0)},
    "padding of MONOCHROME1": {"bits": 12, "padding": (4095, 4090), "photometric": "MONOCHROME1"},
    "padding with some noise": {"bits": 12, "padding": (0, 40), "noisy": 1},
    "HU": {"bits": 16, "signed": True, "modality": "CT", "padding": (-2000, -2000), "rescale": (1, -24)},
    "HU, unsigned": {"bits": 12, "modality": "CT", "rescale": (1, -1024)},
    "several frames": {"bits": 8, "allocated": 8, "modality": "XA", "frames": 20},
    "RGB": {"bits": 8, "allocated": 8, "photometric": "RGB"},
    "RGB by plane": {"bits": 8, "allocated": 8, "photometric": "RGB", "planar": 1},
    "YBR_FULL": {"bits": 8, "allocated": 8, "photometric": "YBR_FULL"},
    "enhanced": {"bits": 12, "modality": "MR", "frames": 5, "per_frame": True},
}
MODALITIES = ("CR", "CT", "MR", "XA")
CLASSES = {
    "CR": "1.2.840.10008.5.1.4.1.1.1",
    "CT": "1.2.840.10008.5.1.4.1.1.2",
    "MR": "1.2.840.10008.5.1.4.1.1.4",
    "XA": "1.2.840.10008.5.1.4.1.1.12.1",
    "enhanced": "1.2.840.10008.5.1.4.1.1.4.1",
}


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    photometric = ("MONOCHROME1", "MONOCHROME2", "RGB", "YBR_FULL")
    folder = tmp_path_factory.mktemp("models")
    return save_open_scrubber(folder, modalities=MODALITIES, photometric=photometric)


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    """One file of each kind; Instance Number tells them apart."""
    base = tmp_path_factory.mktemp("kinds")
    write_dicom(make_cohort(1, 1, 5, "chest", SIDE), base / "chest")
    (path,) = (base / "chest").rglob("*.dcm")
    (base / "in").mkdir()
    picture = make_cohort(1, 1, 5, "chest", SIDE).images[0]
    for number, kind in enumerate(KINDS):
        dataset = pydicom.dcmread(path)
        dataset.SOPInstanceUID = dataset.file_meta.MediaStorageSOPInstanceUID = f"1.2.3.{number}"
        dataset.InstanceNumber = number
        shape(dataset, picture, **KINDS[kind])
        dataset.save_as(base / "in" / f"{number}.dcm")
    return base / "in"


def shape(
    dataset, picture, bits, allocated=16, signed=False, photometric="MONOCHROME2", modality="CR",
    frames=1, padding=None, noisy=0, rescale=None, planar=0, per_frame=False,
):  # fmt: skip
    """Give a radiograph the pixels of a kind."""
    dataset.Modality = modality
    dataset.SOPClassUID = CLASSES["enhanced" if per_frame else modality]
    dataset.file_meta.MediaStorageSOPClassUID = dataset.SOPClassUID
    dataset.BodyPartExamined, dataset.SeriesInstanceUID = "CHEST", f"1.2.4.{dataset.InstanceNumber}"
    low, high = (-(1 << (bits - 1)), (1 << (bits - 1)) - 1) if signed else (0, (1 << bits) - 1)
    if modality == "CT":
        low, high = (-1000, 1000) if signed else (0, 2024)
    stack = np.stack([np.roll(picture, 2 * frame, 0) * (1 - 0.02 * frame) for frame in range(frames)])
    stored = np.rint(low + (high - low) * (0.1 + 0.8 * stack)).astype("i8")
    if padding is not None:
        stored[:, :6] = padding[0]
        stored[:, 3, :noisy] = padding[1]
        dataset.add_new(0x00280120, "SS" if signed else "US", padding[0])
        if padding[1] != padding[0]:
            dataset.add_new(0x00280121, "SS" if signed else "US", padding[1])
    if photometric in ("RGB", "YBR_FULL"):
        stored = np.stack([stored, np.roll(stored, 3, 2), stored[:, ::-1]], -1)
        dataset.SamplesPerPixel, dataset.PlanarConfiguration = 3, planar
        if planar:
            stored = stored.transpose(0, 3, 1, 2)
    else:
        dataset.SmallestImagePixelValue = dataset.LargestImagePixelValue = 7
        for name in ("SmallestImagePixelValue", "LargestImagePixelValue"):
            dataset[name].VR = "SS" if signed else "US"
    dataset.PhotometricInterpretation, dataset.PixelRepresentation = photometric, int(signed)
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit = allocated, bits, bits - 1
    if frames > 1:
        dataset.NumberOfFrames = frames
    for name in ("RescaleSlope", "RescaleIntercept", "RescaleType"):
        if name in dataset:
            delattr(dataset, name)
    if rescale:
        dataset.RescaleSlope, dataset.RescaleIntercept = rescale
    if per_frame:
        dataset.PerFrameFunctionalGroupsSequence = [_group(frame) for frame in range(frames)]
    dataset.PixelData = stored.astype(f"<{'i' if signed else 'u'}{allocated // 8}").tobytes()
    dataset["PixelData"].VR = "OB" if allocated == 8 else "OW"


def _group(frame):
    values, group = Dataset(), Dataset()
    values.RescaleSlope, values.RescaleIntercept, values.RescaleType = 1 + 0.25 * frame, 10 * frame, "US"
    group.PixelValueTransformationSequence = [values]
    return group


@pytest.fixture(scope="module", params=[0.0, 1.0])
def run(request, source, models, tmp_path_factory):
    """Strength and the files of each kind before and after, all from one run."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MAMI_DEID_MODELS", str(models))
        tool = Tool(tmp_path_factory.mktemp("run"))
        summary = tool.direct(
            source, model="any", strength=request.param, proof=False, encapsulated=Encapsulated.HOLD
        )
    found = summary.changed if request.param else summary.not_changed
    assert found == {f"any, strength {request.param:g}" if request.param else UNTOUCHED: len(KINDS)}, summary
    after = {int(pydicom.dcmread(path).InstanceNumber): path for path in tool.outputs()}
    return request.param, {
        kind: (source / f"{number}.dcm", after[number]) for number, kind in enumerate(KINDS)
    }


@pytest.mark.parametrize("kind", KINDS)
def test_depth_and_meaning_stay(run, kind):
    strength, files = run
    before, after = (read_image(path) for path in files[kind])
    same = ("photometric", "bits_stored", "signed", "rescale", "units", "padding", "modality")
    assert [getattr(before, name) for name in same] == [getattr(after, name) for name in same]
    assert after.array.dtype == before.array.dtype and after.array.shape == before.array.shape
    low, high = after.stored_range
    assert low <= after.array.min() and after.array.max() <= high
    assert np.array_equal(before.array, after.array) == (strength == 0)
    if strength:
        share = (before.array != after.array).any(-1).mean(axis=(1, 2))
        assert (share > 0.3).all(), "every frame is changed"


@pytest.mark.parametrize("kind", [kind for kind in KINDS if "padding" in KINDS[kind]])
def test_padding_stays_and_nothing_becomes_padding(run, kind):
    (low, high), pair = sorted(KINDS[kind]["padding"]), run[1][kind]
    masks = [(array >= low) & (array <= high) for array in (read_image(path).array for path in pair)]
    assert np.array_equal(*masks) and masks[0].any()


@pytest.mark.parametrize("kind", KINDS)
def test_the_header_describes_the_new_pixels(run, kind):
    strength, files = run
    before, after = (pydicom.dcmread(path) for path in files[kind])
    for name in ("BitsAllocated", "BitsStored", "HighBit", "PixelRepresentation", "Rows", "Columns"):
        assert after[name].value == before[name].value
    assert (after.ImageType[0] == "DERIVED") == bool(strength), "what nobody changed does not say so"
    if after.SamplesPerPixel == 1 and strength:
        array = read_image(files[kind][1]).array
        found = (after.SmallestImagePixelValue, after.LargestImagePixelValue)
        assert found == (array.min(), array.max())


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind.startswith("HU")])
def test_hounsfield_units_stay_within_the_window(run, kind):
    _, files = run
    before, after = (read_image(path) for path in files[kind])
    assert units_of(read_header(files[kind][1])) == "HU"
    slope, intercept = after.rescale[0]
    changed = (before.array != after.array)[..., 0]
    values = after.array[..., 0][changed] * slope + intercept
    assert values.size == 0 or (values.min() >= -1000 and values.max() <= 1000)


def test_colour_changes_by_its_luminance(run):
    strength, files = run
    before, after = (read_image(path).array.astype(int) for path in files["YBR_FULL"])
    assert np.array_equal(before[..., 1:], after[..., 1:])
    for kind in ("RGB", "RGB by plane"):
        before, after = (read_image(path).array.astype(int) for path in files[kind])
        step = after - before
        unclipped = ((after > 0) & (after < 255)).all(-1)
        assert unclipped.mean() > 0.5
        assert (np.ptp(step[unclipped], axis=-1) == 0).all(), "all three channels by one step"
        assert step.any() == bool(strength)


def test_frames_of_several_rescales_have_one_range(run):
    """A frame with another slope is brought to the same modality values before the network sees it."""
    strength, files = run
    before, after = (read_image(path) for path in files["enhanced"])
    assert len(set(after.rescale)) == 5
    assert [item.PixelValueTransformationSequence[0].RescaleSlope for item in
            pydicom.dcmread(files["enhanced"][1]).PerFrameFunctionalGroupsSequence] == [
        1, 1.25, 1.5, 1.75, 2
    ]  # fmt: skip
    means = [
        [float(frame.mean() * slope + intercept)
         for frame, (slope, intercept) in zip(image.array, image.rescale, strict=True)]
        for image in (before, after)
    ]  # fmt: skip
    assert np.argmax(means[1]) == np.argmax(means[0]) or strength == 0


def test_a_picture_that_is_called_padding_is_changed(source, models, tmp_path, monkeypatch):
    """A range that holds most of the picture, or only its darker half."""
    (tmp_path / "in").mkdir()
    for number, limit in enumerate((4095, 1800)):
        dataset = pydicom.dcmread(source / f"{list(KINDS).index('padding')}.dcm")
        dataset.PixelPaddingRangeLimit = limit
        dataset["PixelPaddingRangeLimit"].VR = "US"
        dataset.InstanceNumber = number
        dataset.SOPInstanceUID = dataset.file_meta.MediaStorageSOPInstanceUID = f"1.2.9.{number}"
        dataset.save_as(tmp_path / "in" / f"{number}.dcm")
    monkeypatch.setenv("MAMI_DEID_MODELS", str(models))
    tool = Tool(tmp_path)
    summary = tool.direct(tmp_path / "in", model="any", proof=False, identity=Identity.REQUIRE)
    assert summary.changed == {"any, strength 1": 2}
    for path in tool.outputs():
        after = pydicom.dcmread(path)
        before = read_image(tmp_path / "in" / f"{after.InstanceNumber}.dcm")
        called = (before.array <= before.padding[1])[:, 6:]
        changed = (read_image(path).array != before.array)[:, 6:]
        assert called.mean() > 0.2 and changed[called].mean() > 0.5
        assert after.PixelPaddingRangeLimit == before.padding[1]


@pytest.mark.parametrize("series", ["1.2.77", ""])
@pytest.mark.parametrize("modality", ["CR", "CT"])
def test_uids_that_two_patients_share_give_each_a_change_of_his_own(
    source, models, tmp_path, monkeypatch, modality, series
):
    """Who has the original of the one could else tell how the other was changed."""
    (tmp_path / "in").mkdir()
    for number in range(2):
        dataset = pydicom.dcmread(source / f"{list(KINDS).index('12 bits in 16')}.dcm")
        dataset.Modality, dataset.SOPClassUID = modality, CLASSES[modality]
        dataset.PatientID, dataset.PatientName = f"PAT-{number}", f"Testperson^{number}"
        dataset.StudyInstanceUID, dataset.SeriesInstanceUID = f"1.2.78.{number}", series
        dataset.save_as(tmp_path / "in" / f"{number}.dcm")
    monkeypatch.setenv("MAMI_DEID_MODELS", str(models))
    tool = Tool(tmp_path)
    assert tool.direct(tmp_path / "in", model="any", proof=False).changed == {"any, strength 1": 2}
    one, other = (read_image(path).array for path in tool.outputs())
    assert (one != other).mean() > 0.3
