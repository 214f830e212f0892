"""The page of the review: complete, private, self-contained, and deaf to what strings try to be."""

import base64
import hashlib
import json
import math
import re
import stat
import subprocess
import sys
from dataclasses import replace

import pytest
from builders.reviews import review_entry, review_pictures, review_ref, review_templates

from deid.core.errors import UsageError
from deid.core.project import Project, ProjectOptions
from deid.core.review_store import PICTURES, ReviewStore
from deid.core.unrelated import LEAST_PATIENTS, Unrelated
from deid.workflows import review
from deid.workflows.review import write_review
from deid.workflows.review.ranking import above_unrelated, finding_change, likeness, worst_first


@pytest.fixture
def project(tmp_path):
    (tmp_path / "out").mkdir()
    options = ProjectOptions(tmp_path / "out", state=tmp_path / "state")
    with Project.open(options, environment={}) as opened:
        yield opened


@pytest.fixture
def store(project):
    return ReviewStore(project.state / "review")


def written(project, report=None, limit=500):
    done = write_review(project, report, limit)
    return done, done.path.read_text("utf-8")


def scripts(page, kind):
    return re.findall(rf'<script type="{kind}" id="([^"]+)">(.*?)</script>', page, re.DOTALL)


def data(page):
    ((_, text),) = scripts(page, "application/json")
    return json.loads(text)


def test_the_page_holds_every_entry_and_all_its_pictures(project, store):
    entries = [review_entry(number, held="why" if number == 2 else "") for number in range(5)]
    for number, entry in enumerate(entries):
        store.write(entry, review_pictures(number))
    done, page = written(project)
    assert (done.shown, done.left_out, done.damaged, done.size) == (5, 0, 0, len(page.encode()))
    cards = data(page)["cards"]
    assert {card["ref"] for card in cards} == {entry.reference for entry in entries}
    by_ref = {entry.reference: entry for entry in entries}
    for number, card in enumerate(cards):
        entry = by_ref[card["ref"]]
        pictures = dict(scripts(page, "text/plain"))[f"pictures-{number}"].split(" ")
        assert [base64.b64decode(one) for one in pictures] == [store.picture(entry.ref, n) for n in PICTURES]
        assert (card["output"], card["held"], card["model"]) == (entry.output, entry.held, entry.model)
        assert ["fresh", 0.42, None, True] in card["critics"] and ["Edema", 0.2, 0.21] in card["findings"]
    assert all(sorted(order) == list(range(5)) for order in data(page)["orders"].values())


def test_the_page_is_private_and_names_no_place(project, store, tmp_path):
    store.write(review_entry(), review_pictures())
    done, page = written(project)
    assert done.path == project.state / "review.html" and stat.S_IMODE(done.path.stat().st_mode) == 0o600
    assert str(tmp_path) not in page and tmp_path.name not in page
    own, again = written(project, tmp_path / "sheet.html")
    assert stat.S_IMODE(own.path.stat().st_mode) == 0o600 and again == page
    assert not list(project.state.glob(".review*")) and not list(tmp_path.glob(".sheet*"))


def test_the_page_fetches_nothing(project, store):
    store.write(review_entry(), review_pictures())
    _, page = written(project)
    visible = re.sub(r'<script type="text/plain".*?</script>', "", page)
    assert not re.search(r"https?:|//[a-z0-9-]+\.[a-z]|\burl\(|@import|fetch\(|XMLHttpRequest", visible)
    assert set(re.findall(r'\b(?:src|href)="([^"]*)"', page)) == {"data:,"}
    policy = re.search(r'Content-Security-Policy" content="([^"]*)"', page)[1].replace("&#39;", "'")
    assert "default-src 'none'" in policy and "unsafe" not in policy
    for tag in ("style", "script"):
        (text,) = re.findall(rf"<{tag}>(.*?)</{tag}>", page, re.DOTALL)
        digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
        assert f"{tag}-src 'sha256-{digest}'" in policy


def test_words_that_promise_too_much_are_not_used(project, store):
    store.write(review_entry(), review_pictures())
    _, page = written(project)
    visible = re.sub(r'<script type="text/plain".*?</script>', "", page).lower()
    assert not re.search(r"\banonymous|\bsafe\b|\bhipaa", visible)
    assert "not for diagnosis" in visible and "linkage risk" in visible


def test_hostile_strings_stay_strings(project, store):
    evil = "</script><script>alert(1)</script><img src=x onerror=alert(2)>\u2028'\"{{ 7*7 }}&amp;\udcff"
    hostile = review_entry(
        output=evil,
        modality=evil,
        view=evil,
        model=evil,
        held=evil,
        critics={evil: 0.5, "__proto__": 0.1},
        held_out=(evil,),
        findings={evil: (0.1, 0.9)},
    )
    store.write(hostile, review_pictures())
    _, page = written(project)
    assert page.count("<script") == 3 and page.count("</script>") == 3
    assert "<img" not in page and "49" not in re.findall(r"Here: .*", page)[0]
    (card,) = data(page)["cards"]
    assert card["output"] == card["modality"] == card["held"] == evil
    assert [name for name, *_ in card["critics"]] == sorted((evil, "__proto__"))


def test_what_json_has_no_word_for_is_none(project, store):
    entry = review_entry(critics={"a": math.nan}, findings={"b": (math.nan, 0.1)}, psnr=math.inf)
    store.write(entry, review_pictures())
    (card,) = data(written(project)[1])["cards"]
    assert card["critics"] == [["a", None, None, False]] and card["findings"] == [["b", None, 0.1]]
    assert card["psnr"] == "equal"


@pytest.mark.parametrize("patients", [LEAST_PATIENTS - 1, LEAST_PATIENTS])
def test_the_page_says_what_unrelated_patients_have(project, store, patients):
    for number in range(patients):
        store.write(review_entry(number), review_pictures(), review_templates(number))
    store.write(review_entry(99, strength=0.5), review_pictures())
    _, page = written(project)
    cards = data(page)["cards"]
    shown = {card["ref"]: {name: known for name, _, known, _ in card["critics"]} for card in cards}
    own = shown[review_entry(0).reference]
    assert shown[review_entry(99).reference] == {"fresh": None, "frozen": None}, "another strength"
    if patients < LEAST_PATIENTS:
        assert own == {"fresh": None, "frozen": None}
    else:
        median, low, high = own["fresh"]
        assert 0.95 < low <= median <= high <= 1 and max(map(abs, own["frozen"])) < 0.5


def unrelated(median):
    return Unrelated(median, -0.1, 0.9, 0.8, 10)


def entries_to_rank():
    fields = {
        "plain": {},
        "alike": {"critics": {"fresh": 0.8}, "references": {"fresh": unrelated(0.7)}},
        "above": {"critics": {"fresh": 0.6}, "references": {"fresh": unrelated(0.0)}},
        "changed": {"findings": {"Edema": (0.9, 0.1)}},
        "trained against": {"critics": {"frozen": 0.99, "fresh": 0.1}},
        "without critics": {"critics": {}, "held_out": ()},
        "without findings": {"critics": {"fresh": 0.0}, "findings": {}},
    }
    references = {"references": {"fresh": unrelated(0.35)}}
    return {
        name: review_entry(number, **(references | own)) for number, (name, own) in enumerate(fields.items())
    }


def test_held_out_critics_count_where_there_are_any():
    entries = entries_to_rank()
    assert likeness(entries["trained against"]) == 0.1 and likeness(entries["without critics"]) == -math.inf
    assert likeness(review_entry(held_out=())) == 0.42 and likeness(review_entry(held_out=("gone",))) == 0.42
    assert above_unrelated(entries["above"]) > above_unrelated(entries["alike"])
    assert math.isclose(finding_change(entries["changed"]), 0.8)
    assert finding_change(entries["without findings"]) == -math.inf
    assert likeness(review_entry(critics={"fresh": math.nan, "frozen": 0.1})) == math.inf


def test_the_worst_by_any_measure_come_first():
    entries = entries_to_rank()
    first = worst_first(list(entries.values()))[:3]
    assert {entry.ref for entry in first} == {entries[name].ref for name in ("alike", "above", "changed")}
    assert worst_first(list(reversed(entries.values()))) == worst_first(list(entries.values()))


def test_the_limit_keeps_the_worst_and_says_how_many_are_missing(project, store, monkeypatch):
    entries = {name: replace(entry, model=name) for name, entry in entries_to_rank().items()}
    measured = {(entry.model, 1.0): entry.references for entry in entries.values()}
    monkeypatch.setattr(ReviewStore, "unrelated", lambda _: measured)
    for entry in entries.values():
        store.write(entry, review_pictures())
    done, page = written(project, limit=3)
    assert (done.shown, done.left_out) == (3, 4) and "4 more images" in "\n".join(done.notes())
    named = {card["ref"] for card in data(page)["cards"]}
    assert named == {entries[name].reference for name in ("alike", "above", "changed")}
    orders = data(page)["orders"]
    refs = [card["ref"] for card in data(page)["cards"]]
    assert refs[orders["likeness"][0]] == entries["alike"].reference
    assert refs[orders["above_unrelated"][0]] == entries["above"].reference
    assert refs[orders["finding_change"][0]] == entries["changed"].reference
    assert len(scripts(page, "text/plain")) == 3 and "not on this page" in page


def test_damage_is_shown_and_counted(project, store):
    for number in range(3):
        store.write(review_entry(number), review_pictures())
    folder = store.folder / review_ref(0)[:1].hex() / review_ref(0)[1:].hex()
    (folder / "entry.json").write_text("{}")
    picture = store.folder / review_ref(1)[:1].hex() / review_ref(1)[1:].hex() / "after.png"
    picture.write_bytes(b"")
    done, page = written(project)
    assert (done.shown, done.damaged) == (2, 1) and "1 damaged" in "\n".join(done.notes())
    number = [card["ref"] for card in data(page)["cards"]].index(review_entry(1).reference)
    before, after, *_ = dict(scripts(page, "text/plain"))[f"pictures-{number}"].split(" ")
    assert before and not after


def test_a_large_page_is_named_as_one(project, store, monkeypatch):
    store.write(review_entry(), review_pictures())
    assert "slowly" not in "\n".join(written(project)[0].notes())
    monkeypatch.setattr(review, "LARGE_PAGE", 1000)
    assert "lower --limit" in "\n".join(written(project)[0].notes())


def test_the_page_is_refused_inside_any_output_of_the_project(project, store, tmp_path):
    store.write(review_entry(), review_pictures())
    (tmp_path / "link").symlink_to(tmp_path / "out")
    for place in ("out/review.html", "link/deep/review.html"):
        with pytest.raises(UsageError, match="inside the output"):
            write_review(project, tmp_path / place, 500)
    # Another output of the project, known by its journal, and no --out given.
    other = ProjectOptions(tmp_path / "other", state=project.state)
    with Project.open(other, environment={}) as opened, opened.journal():
        pass
    with (
        Project.open(ProjectOptions(None, state=project.state), environment={}) as opened,
        pytest.raises(UsageError, match="inside the output"),
    ):
        write_review(opened, tmp_path / "other/sub/review.html", 500)
    assert not list(tmp_path.rglob("*.html"))


def test_a_file_of_the_user_is_not_replaced_but_the_own_page_is(project, store, tmp_path):
    store.write(review_entry(), review_pictures())
    (tmp_path / "mine.html").write_text("mine")
    with pytest.raises(UsageError, match="exists already"):
        write_review(project, tmp_path / "mine.html", 500)
    with pytest.raises(UsageError, match="cannot be written: no such file"):
        write_review(project, tmp_path / "nowhere/x.html", 500)
    assert (tmp_path / "mine.html").read_text() == "mine"
    write_review(project, None, 500)
    assert write_review(project, None, 500).shown == 1


def test_an_empty_store_is_a_clear_message_and_no_page(project, store):
    with pytest.raises(UsageError, match="no image of this project has had identity cues removed;"):
        write_review(project, None, 500)
    store.write(review_entry(), review_pictures())
    next(store.folder.rglob("entry.json")).write_text("{")
    with pytest.raises(UsageError, match="1 damaged"):
        write_review(project, None, 500)
    assert not (project.state / "review.html").exists()


def test_the_command_loads_no_torch():
    code = (
        "import sys, deid.cli.app, deid.workflows.review; print('torch' in sys.modules, 'PIL' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False False\n"
