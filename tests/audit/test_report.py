"""The page of an audit: complete, self-contained, and deaf to what strings try to be."""

import base64
import hashlib
import json
import re
from html.parser import HTMLParser

import pytest
import yaml
from builders.audits import EVIL, SAMPLES, assessed, no_link, nothing_assessed, release_alone

from deid.audit import figures, plane_tables, tables
from deid.audit.report import read_result, render
from deid.core.errors import UsageError
from deid.core.pages import page_text


class Elements(HTMLParser):
    """Every start tag of a page with its attributes; void and self-standing ones need no end."""

    VOID = frozenset({"meta", "link", "br", "img"})

    def __init__(self, page):
        super().__init__()
        self.found, self.open = [], []
        self.feed(page)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.found.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def text_of(page):
    return re.sub(r"\s+", " ", re.sub(r"<style>.*?</style>|<[^>]*>", " ", page, flags=re.DOTALL))


@pytest.mark.parametrize("make", SAMPLES.values(), ids=SAMPLES)
def test_every_sample_gives_a_sound_page(make):
    result = make()
    before = json.dumps(result)
    page = render(result)
    assert render(result) == page and json.dumps(result) == before
    elements = Elements(page)
    assert elements.open == []
    ids = [attributes["id"] for _, attributes in elements.found if "id" in attributes]
    assert len(ids) == len(set(ids))
    named = " ".join(a.get("aria-labelledby") or "" for _, a in elements.found).split()
    targets = [a["href"][1:] for tag, a in elements.found if tag == "a"]
    assert {*named, *targets} <= set(ids)
    assert not re.search(r"\b(nan|inf|None(?! of)|undefined)\b", text_of(page))


@pytest.mark.parametrize("make", SAMPLES.values(), ids=SAMPLES)
def test_the_page_fetches_and_runs_nothing(make):
    page = render(make())
    assert "<script" not in page and not re.search(r"\burl\((?!#)|@import", page)
    elements = Elements(page).found
    assert {a[k] for _, a in elements for k in ("src", "href") if k in a and a[k][:1] != "#"} == {"data:,"}
    assert not [k for _, attributes in elements for k in attributes if k == "style" or k.startswith("on")]
    policy = next(a["content"] for _, a in elements if a.get("http-equiv") == "Content-Security-Policy")
    (style,) = re.findall(r"<style>(.*?)</style>", page, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    assert "default-src 'none'" in policy and f"style-src 'sha256-{digest}'" in policy
    assert "unsafe" not in policy and "script-src" not in policy


@pytest.mark.parametrize("make", SAMPLES.values(), ids=SAMPLES)
def test_words_that_promise_too_much_are_not_used(make):
    assert not re.search(r"\banonymous|\banonymi[sz]ed|\bsafe\b|\bhipaa", render(make()).lower())


def test_the_numbers_of_the_result_are_on_the_page():
    result = assessed()
    words = text_of(render(result)).replace("\u00a0", " ")
    adaptive = result["reid"]["adaptive"]["auc"]
    assert f"{adaptive['value']:.2f} ({adaptive['lower']:.2f} to {adaptive['upper']:.2f})" in words
    assert "2 of 3 gates failed" in words and "✓ passed" in words and "reid.adaptive.auc.upper" in words
    assert "93 % (90 to 96 %)" in words and "0.972 (0.957 to 0.987)" in words
    assert "3f" * 32 in words and "340 genuine pairs" in words
    for term in ("Genuine pair", "Impostor pair", "AUC", "EER", "Rank k", "Ceiling", "White box"):
        assert term in words


def test_not_assessed_looks_unlike_no_link_found():
    missing, clean = render(nothing_assessed()), render(no_link())
    assert missing.count('<section id="reid" aria-labelledby="reid-heading" class="unassessed">') == 1
    assert 'id="reid" aria-labelledby="reid-heading">' in clean
    assert "Audit of a release: not assessed" in missing and "Audit of a release: no link found" in clean
    assert "this attack was not asked for" in missing and "<svg" not in missing
    rules = page_text("deid.audit", "report.css")
    looks = [
        re.search(rf"\.verdict\.{name} \{{(.*?)\}}", rules)[1] for name in ("no-link-found", "not-assessed")
    ]
    assert "dashed" in looks[1] and "dashed" not in looks[0]


def test_a_release_alone_shows_what_was_left_to_try():
    page = text_of(render(release_alone()))
    assert "A release alone, without its originals" in page
    assert "An attacker who holds scrubbed images only" in page and "there are no originals" in page


def test_a_result_from_before_the_plane_is_still_drawn(tmp_path):
    old = assessed() | {"schema": 1}
    del old["plane"]
    (tmp_path / "audit.json").write_text(json.dumps(old))
    page = render(read_result(tmp_path / "audit.json"))
    assert 'id="plane"' in page and "Not assessed: no reason was recorded." in page


def test_the_plane_is_told_and_tabled():
    words = text_of(render(assessed())).replace("\u00a0", " ")
    assert "own strength, 0.80, the strongest attacker tried (mami) reaches" in words
    assert "0.8 (this release)" in words and "a lower bound" in words
    assert "The points of the plane" in words and "AUC of the classifier by finding and strength" in words


def test_hostile_strings_stay_strings():
    page = render(SAMPLES["hostile"]())
    assert "<img" not in page and "&lt;img src=x onerror=alert(1)&gt;" in page
    assert "{{ 7*7 }}" in page and "49" not in re.findall(r"alert\(2\)(.{80})", page)[0]
    worse = json.loads(json.dumps(assessed()).replace("siamese", "</style></svg></title><script>x\\udcff"))
    page = render(worse)
    assert "<script" not in page and page.count("</style>") == 1 and "\\udcff" in page
    assert page.encode("utf-8")


def test_the_page_follows_the_result_alone():
    result = assessed()
    result["reid"]["words"] = "Words of the result."
    page = render(result)
    assert "Words of the result." in page and "mami-deid 0.1.0" in page
    assert EVIL not in page


def test_every_declared_picture_and_table_is_there_and_explained():
    declared = yaml.safe_load(page_text("deid.audit", "report.yaml"))
    drawn, made = set(), set()
    for section in declared["sections"]:
        for picture in section.get("pictures", ()):
            drawn.add(picture["draw"])
            assert len(picture["caption"]) > 80, picture["draw"]
        made |= set(section.get("tables", ()))
    assert drawn == {
        n
        for n, f in vars(figures).items()
        if callable(f) and getattr(f, "__module__", "") == figures.__name__ and n[0] != "_"
    }
    assert made == {
        n
        for module in (tables, plane_tables)
        for n, f in vars(module).items()
        if callable(f) and getattr(f, "__module__", "") == module.__name__ and n[0] not in "_T"
    }


def test_a_page_of_half_a_result_does_not_break():
    result = assessed()
    for name in ("ceiling", "adaptive", "controls", "attackers", "power"):
        del result["reid"][name]
    result["utility"]["classifier"] = {"status": "not assessed", "reason": "no classifier"}
    result["inversion"]["methods"] = {}
    result["gates"] = []
    page = render(result)
    assert "No gate was set." in page and Elements(page).open == []
    assert "verdict by threat" in text_of(render({})).lower()


def test_a_result_is_read_as_it_was_written(tmp_path):
    path = tmp_path / "audit.json"
    path.write_text(json.dumps(assessed()))
    assert read_result(path) == assessed()


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        (None, "no such file"),
        ("", "not JSON"),
        ("[]", "not of type object"),
        ('{"schema": 1, "schema": 1}', "twice"),
        ('{"schema": 2}', "is missing"),
        (json.dumps(nothing_assessed() | {"schema": 3}), "schema is not 1 or 2"),
        (json.dumps(assessed()).replace('unchanged": 0.183', 'unchanged": NaN'), "utility.pixels_unchanged"),
        (json.dumps(nothing_assessed() | {"patient": "Ann"}), "patient is not a known field"),
        (json.dumps(nothing_assessed() | {"/data/ann": 1}), "(a name) is not a known field"),
    ],
)
def test_what_is_no_result_is_refused_without_repeating_it(tmp_path, text, complaint):
    path = tmp_path / "secret-name.json"
    if text is not None:
        path.write_text(text)
    with pytest.raises(UsageError, match=re.escape(complaint)) as caught:
        read_result(path)
    assert "secret" not in str(caught.value) and "Ann" not in str(caught.value)
    assert "/data" not in str(caught.value)
