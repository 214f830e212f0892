"""Identity cues in the voxels of NIfTI volumes: which are changed, and that all else of them stays."""

import json

import nibabel as nib
import numpy as np
import pytest
from builders.anonymizers import save_head_scrubber
from workflows.command import Tool

from deid.nifti.pixels import read_volume
from deid.pixels.network_range import to_network
from deid.training.phantoms import make_cohort, write_nifti
from deid.workflows.scrub.options import Identity, OnRisk

NO_MODALITY = "neither name nor sidecar of the NIfTI volume says of what modality it is"
SERIES = "NIfTI file of several volumes"
KNEE = {"BodyPartExamined": "KNEE"}
COARSE = "its floating-point values are too coarse for their range"
UNFAMILIAR = "the image does not look like those that the model was trained on"


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    return save_head_scrubber(tmp_path_factory.mktemp("models"))


@pytest.fixture(scope="module")
def head(tmp_path_factory):
    """One MR volume `[i, j, k]` of 48 voxels a side, and its affine."""
    folder = tmp_path_factory.mktemp("heads") / "in"
    (path,) = write_nifti(make_cohort(1, 1, 9, "head", 48), folder)
    volume = nib.load(path)
    return np.asarray(volume.dataobj), volume.affine


@pytest.fixture
def tool(tmp_path, models, monkeypatch):
    monkeypatch.setenv("MAMI_DEID_MODELS", str(models))
    return Tool(tmp_path)


def scrub(tool, source, **options):
    return tool.direct(source, model="heads", on_risk=OnRisk.RELEASE, **options).to_json()


def write(folder, name, voxels, affine, kind=nib.Nifti1Image, slope=None, sidecar=None):
    path = folder / "sub-01" / "anat" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    volume = kind(voxels, affine)
    if slope is not None:
        volume.header.set_slope_inter(*slope)
    nib.save(volume, path)
    if sidecar is not None:
        path.with_name(name.split(".")[0] + ".json").write_text(json.dumps(sidecar))
    return path


def written(tool, out=None):
    """The volumes of the output, the largest spacing first."""
    return [path for path in tool.outputs(out) if path.name.endswith((".nii", ".nii.gz", ".hdr"))]


def stored(path):
    return nib.load(path).dataobj.get_unscaled()


def test_a_covered_volume_is_changed_and_says_so(tool, tmp_path):
    source = tmp_path / "in"
    (original,) = write_nifti(make_cohort(1, 1, 9, "head", 48), source)
    (source / "manifest.csv").unlink()
    summary = scrub(tool, source)
    assert summary["identity_removed"] == {"heads, strength 1": 1}, summary
    (changed,) = written(tool)
    before, after = nib.load(original), nib.load(changed)
    assert np.array_equal(before.affine, after.affine)
    assert before.header.get_data_dtype() == after.header.get_data_dtype()
    assert (after.dataobj.slope, after.dataobj.inter) == (before.dataobj.slope, before.dataobj.inter)
    assert (
        after.header["descrip"].item() == b"mami-deid: identity cues removed; not for diagnosis; model heads"
    )
    one, other = stored(original), stored(changed)
    assert (one != other).mean() > 0.2
    assert one.min() <= other.min() and other.max() <= one.max()
    again = scrub(tool, source)
    assert again["unchanged"] == summary["released"] and again["identity_removed"] == {"heads, strength 1": 1}


KINDS = {
    "uint8": ("u1", 0.06, None),
    "int16 scaled": ("<i2", 1, (0.25, -3.5)),
    "uint16": ("<u2", 8, None),
    "big endian": (">i2", 1, None),
    "int32": ("<i4", 1000, None),
    "float32": ("<f4", 1.7, None),
    "float64": ("<f8", 1e-3, None),
}


@pytest.mark.parametrize("strength", [0.0, 1.0])
def test_every_type_of_voxel_keeps_its_type(tool, head, tmp_path, strength):
    voxels, affine = head
    source = tmp_path / "in"
    paths = {}
    for number, (dtype, factor, slope) in enumerate(KINDS.values(), 1):
        values = (voxels.astype("f8") * factor).astype(dtype)
        image = nib.Nifti1Image(values, affine)
        image.header.set_data_dtype(dtype)
        if slope is not None:
            image.header.set_slope_inter(*slope)
        path = source / f"sub-{number:02d}" / "anat" / f"sub-{number:02d}_T1w.nii.gz"
        path.parent.mkdir(parents=True)
        if dtype.startswith(">"):
            header = image.header.as_byteswapped(">")
            header["vox_offset"] = 352
            path = path.with_name(path.name.removesuffix(".gz"))
            path.write_bytes(header.binaryblock + bytes(4) + values.tobytes("F"))
        else:
            nib.save(image, path)
        paths[number] = path
    scrub(tool, source, strength=strength)
    originals = {stored(path).dtype.str: stored(path) for path in paths.values()}
    for path in written(tool):
        changed = stored(path)
        original = originals.pop(changed.dtype.str)
        assert np.array_equal(changed, original) == (strength == 0)
        assert original.min() <= changed.min() and changed.max() <= original.max()
        if strength == 1:
            assert (changed != original).mean() > 0.2
    assert originals == {}


def test_a_pair_is_changed(tool, head, tmp_path):
    voxels, affine = head
    original = write(tmp_path / "in", "sub-01_T1w.hdr", voxels, affine, kind=nib.Nifti1Pair)
    summary = scrub(tool, tmp_path / "in")
    assert summary["identity_removed"] == {"heads, strength 1": 1}
    (changed,) = written(tool)
    assert (stored(changed) != stored(original)).mean() > 0.2
    assert b"not for diagnosis" in nib.load(changed).header["descrip"].item()


def test_the_network_sees_slices_as_training_does(tool, head, tmp_path, key):
    """However the file stores its axes, the same patient is changed in the same way."""
    voxels, affine = head
    turned = nib.Nifti1Image(voxels, affine).as_reoriented([[2, 1], [0, -1], [1, 1]])
    found = []
    for name, image in (("one", nib.Nifti1Image(voxels, affine)), ("two", turned)):
        path = tmp_path / name / "sub-01" / "anat" / "sub-01_T1w.nii"
        path.parent.mkdir(parents=True)
        nib.save(image, path)
        places = {"out": tmp_path / f"{name}-out", "state": tmp_path / f"{name}-state"}
        scrub(tool, tmp_path / name, key_file=key, **places)
        (out,) = written(tool, places["out"])
        found.append(read_volume(out, "MR")[0].array)
    assert np.array_equal(*found)
    assert not np.array_equal(found[0], read_volume(tmp_path / "one/sub-01/anat/sub-01_T1w.nii")[0].array)


def test_neighbouring_slices_stay_neighbours(tool, head, tmp_path):
    voxels, affine = head
    original = write(tmp_path / "in", "sub-01_T1w.nii", voxels, affine)
    scrub(tool, tmp_path / "in")
    (changed,) = written(tool)
    steps = []
    for path in (original, changed):
        unit, _ = to_network(read_volume(path, "MR")[0])
        steps.append(np.abs(np.diff(unit[10:38], axis=0)).mean())
    assert steps[1] < 1.5 * steps[0]


def test_what_no_model_covers_keeps_its_voxels(tool, head, tmp_path):
    voxels, affine = head
    source = tmp_path / "in"
    cases = {
        "sub-01_T1w.nii": (NO_MODALITY, voxels, {"sidecar": {"Modality": "CT"}}),
        "sub-01_acq-a_T1w.nii": (SERIES, np.stack([voxels, voxels], 3), {}),
        "sub-01_acq-b_T1w.nii": (COARSE, (voxels.astype("f4") + 1e7), {}),
        "sub-01_acq-c_T1w.nii": ("no model for this body part", voxels, {"sidecar": KNEE}),
        "sub-01_acq-d_T1w.nii": (UNFAMILIAR, np.moveaxis(voxels, 2, 0).copy(), {}),
        "sub-01_acq-e_pet.nii": ("no model for this modality", voxels, {}),
        "sub-01_space-orig_dseg.nii": (NO_MODALITY, voxels, {}),
        "plain.nii": (NO_MODALITY, voxels, {}),
        "complex_scan.nii": ("complex numbers or colour in a NIfTI file", voxels.astype("c8"),
                             {"sidecar": {"Modality": "MR"}}),
    }  # fmt: skip
    for name, (_, array, more) in cases.items():
        write(source, name, array, affine, **more)
    summary = scrub(tool, source)
    expected = {}
    for reason, *_ in cases.values():
        expected[reason] = expected.get(reason, 0) + 1
    assert summary["identity_not_removed"] == dict(sorted(expected.items()))
    before = sorted(stored(path).tobytes() for path in source.rglob("*.nii"))
    assert before == sorted(stored(path).tobytes() for path in written(tool))
    held = scrub(tool, source, identity=Identity.REQUIRE, replace=True)
    assert held["held_by_reason"] == {f"identity: {why}": n for why, n in sorted(expected.items())}
    assert written(tool) == []


def test_a_sidecar_names_the_modality_of_a_plain_volume(tool, head, tmp_path):
    voxels, affine = head
    write(tmp_path / "in", "scan.nii.gz", voxels, affine, sidecar={"Modality": "MR"})
    assert scrub(tool, tmp_path / "in")["identity_removed"] == {"heads, strength 1": 1}


def test_a_dry_run_changes_nothing_and_off_does_not_look(tool, head, tmp_path):
    voxels, affine = head
    original = write(tmp_path / "in", "sub-01_T1w.nii", voxels, affine)
    scrub(tool, tmp_path / "in", dry_run=True)
    assert not tool.out.exists() and not (tool.state / "review").exists()
    summary = scrub(tool, tmp_path / "in", identity=Identity.OFF)
    assert summary["identity_removed"] == summary["identity_not_removed"] == {}
    (path,) = written(tool)
    assert np.array_equal(stored(path), stored(original))
