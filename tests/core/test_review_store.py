"""The store of the review: what is written comes back, privately, whole or not at all."""

import io
import json
import math
import multiprocessing
import stat

import numpy as np
import pytest
from builders.reviews import review_entry, review_pictures, review_ref
from PIL import Image

from deid.core.errors import Held, UsageError
from deid.core.review_store import LARGEST_SIDE, PICTURES, ReviewStore


@pytest.fixture
def store(tmp_path):
    return ReviewStore(tmp_path / "review")


def pixels(store, ref, name):
    return np.asarray(Image.open(io.BytesIO(store.picture(ref, name))))


def test_entries_and_pictures_come_back_sorted_by_ref(store):
    written = [
        review_entry(1),
        review_entry(2, critics={}, held_out=(), findings={}, psnr=math.inf, held="why"),
        review_entry(3, modality="", view="", critics={"a": np.float32(0.5)}),
    ]
    pictures = [review_pictures(number) for number in range(3)]
    for entry, images in zip(written, pictures, strict=True):
        store.write(entry, images)
    assert list(store.entries()) == sorted(written, key=lambda entry: entry.ref) and store.damaged == 0
    for entry, images in zip(written, pictures, strict=True):
        for name in PICTURES:
            # The indices into the palette of `heat` are its levels.
            assert np.array_equal(pixels(store, entry.ref, name), images[name])


def test_heat_is_transparent_where_the_image_was_left_alone(store):
    heat = np.array([[0, 128, 255]], np.uint8)
    store.write(review_entry(), dict.fromkeys(PICTURES, heat))
    image = Image.open(io.BytesIO(store.picture(review_ref(0), "heat"))).convert("RGBA")
    *_, opacity = np.moveaxis(np.asarray(image)[0].astype(int), 1, 0)
    lightness = np.asarray(image)[0, :, :3].astype(int).sum(1)
    assert opacity[0] == 0 and np.all(np.diff(opacity) > 0) and np.all(np.diff(lightness) > 0)


def test_an_infinite_or_missing_measure_survives(store):
    store.write(review_entry(critics={"fresh": math.nan}, psnr=math.inf), review_pictures())
    (entry,) = store.entries()
    assert math.isnan(entry.critics["fresh"]) and entry.psnr == math.inf


def test_everything_is_private(store):
    store.write(review_entry(), review_pictures())
    found = [store.folder, *store.folder.rglob("*")]
    assert {stat.S_IMODE(path.stat().st_mode) for path in found if path.is_dir()} == {0o700}
    assert {stat.S_IMODE(path.stat().st_mode) for path in found if path.is_file()} == {0o600}
    assert len([path for path in found if path.is_file()]) == 1 + len(PICTURES)


def test_large_pictures_are_shrunk_in_proportion(store):
    store.write(review_entry(), review_pictures(shape=(1000, 500)))
    assert pixels(store, review_ref(0), "before").shape == (LARGEST_SIDE, LARGEST_SIDE // 2)


def test_a_unit_that_is_written_again_has_one_entry_and_no_left_overs(store):
    store.write(review_entry(strength=0.5), review_pictures(1))
    folder = next(store.folder.rglob("entry.json")).parent
    (folder / ".after.png").write_bytes(b"left by a killed run")
    store.write(review_entry(strength=0.7), review_pictures(2))
    (entry,) = store.entries()
    assert entry.strength == 0.7
    assert np.array_equal(pixels(store, entry.ref, "after"), review_pictures(2)["after"])
    assert {path.name for path in folder.iterdir()} == {"entry.json", *(f"{name}.png" for name in PICTURES)}


def test_a_run_that_dies_while_it_writes_leaves_no_entry(store, monkeypatch):
    store.write(review_entry(), review_pictures(1))
    monkeypatch.setattr("os.fsync", lambda descriptor: (_ for _ in ()).throw(OSError(28, "full", "/path")))
    with pytest.raises(Held, match="no space left on device") as held:
        store.write(review_entry(), review_pictures(2))
    assert "path" not in held.value.reason.replace("pictures", "")
    assert list(store.entries()) == [] and store.damaged == 0


def damage(folder, what):
    entry = folder / "entry.json"
    fields = json.loads(entry.read_bytes())
    if what == "missing picture":
        (folder / "change.png").unlink()
    elif what == "cut":
        entry.write_bytes(entry.read_bytes()[:-9])
    elif what == "other unit":
        entry.write_text(json.dumps(fields | {"ref": review_ref(9).hex()}))
    elif what == "no ref":
        entry.write_text(json.dumps({name: fields[name] for name in fields if name != "ref"}))
    else:
        entry.write_text(json.dumps(fields | what))


@pytest.mark.parametrize(
    "what",
    [
        "missing picture",
        "cut",
        "other unit",
        "no ref",
        {"strength": "strong"},
        {"critics": [1]},
        {"findings": {"Edema": [0.1]}},
        {"held_out": [3]},
        {"model": None},
        {"ssim": [1.0]},
    ],
    ids=str,
)
def test_damaged_entries_are_skipped_and_counted(store, what):
    for number in range(3):
        store.write(review_entry(number), review_pictures())
    damage(store.folder / review_ref(1)[:1].hex() / review_ref(1)[1:].hex(), what)
    assert {entry.ref for entry in store.entries()} == {review_ref(0), review_ref(2)} and store.damaged == 1
    (store.folder / "stray").write_text("not ours")
    assert len(list(store.entries())) == 2


def test_removed_units_are_gone_and_unknown_ones_do_not_matter(store):
    store.remove([review_ref(0)])
    for number in range(3):
        store.write(review_entry(number), review_pictures())
    store.remove([review_ref(0), review_ref(7), review_ref(2)])
    assert [entry.ref for entry in store.entries()] == [review_ref(1)]
    assert len(list(store.folder.rglob("*.png"))) == len(PICTURES)
    with pytest.raises(UsageError, match="cannot be read"):
        store.picture(review_ref(0), "before")


def test_a_damaged_or_unknown_picture_is_refused(store):
    store.write(review_entry(), review_pictures())
    path = next(store.folder.rglob("after.png"))
    path.write_bytes(path.read_bytes()[:-5])
    with pytest.raises(UsageError, match="damaged"):
        store.picture(review_ref(0), "after")
    with pytest.raises(UsageError, match="before, after, change, heat"):
        store.picture(review_ref(0), "../entry")


@pytest.mark.parametrize(
    ("entry", "pictures"),
    [
        (review_entry(ref=b"short"), review_pictures()),
        (review_entry(), {"before": review_pictures()["before"]}),
        (review_entry(), review_pictures() | {"extra": review_pictures()["heat"]}),
        (review_entry(), review_pictures() | {"after": np.zeros((3, 3))}),
        (review_entry(), review_pictures() | {"after": np.zeros((3, 3, 3), np.uint8)}),
        (review_entry(), review_pictures() | {"after": np.zeros((0, 3), np.uint8)}),
    ],
)
def test_what_is_no_entry_is_refused_before_anything_is_written(store, entry, pictures):
    with pytest.raises(ValueError):
        store.write(entry, pictures)
    assert not store.folder.exists()


def work(folder, worker):
    store = ReviewStore(folder)
    for turn in range(6):
        # All of them one unit, which they also remove; each a unit of its own.
        store.write(review_entry(100, strength=worker / 10), dict.fromkeys(PICTURES, level(worker)))
        store.write(review_entry(worker), review_pictures(turn))
        if turn == 3:
            store.remove([review_ref(100)])
    store.write(review_entry(100, strength=worker / 10), dict.fromkeys(PICTURES, level(worker)))


def level(worker):
    return np.full((8, 8), worker, np.uint8)


def test_several_processes_write_at_once(store):
    context = multiprocessing.get_context("spawn")
    workers = [context.Process(target=work, args=(store.folder, number)) for number in range(3)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert [worker.exitcode for worker in workers] == [0, 0, 0]
    entries = {entry.ref: entry for entry in store.entries()}
    assert len(entries) == 4 and store.damaged == 0
    # The unit of all has the entry and the pictures of one of them.
    owner = round(entries[review_ref(100)].strength * 10)
    assert all(np.all(pixels(store, review_ref(100), name) == owner) for name in PICTURES)
    assert not list(store.folder.rglob(".*"))
