"""The word lists: what they hold, and that they stay small."""

import time
from pathlib import Path

import pytest

import deid.core.lexicon as module
from deid.core.lexicon import lexicon

DATA = Path(module.__file__).with_name("data")


@pytest.mark.parametrize(
    "word", ["contrast", "mprage", "siemens", "hospital", "thorax", "knie", "liver", "li", "head", "mr"]
)
def test_words(word: str) -> None:
    assert word in lexicon().words


@pytest.mark.parametrize("word", ["parkinson", "wilson", "hodgkin", "baker", "allen", "crohn"])
def test_eponyms(word: str) -> None:
    assert word in lexicon().eponyms
    assert lexicon().is_word(word)
    assert lexicon().is_word(word) or word not in lexicon().given | lexicon().family


@pytest.mark.parametrize("word", ["john", "maria", "schneider", "garcia", "doe", "hans"])
def test_names_are_no_words(word: str) -> None:
    assert not lexicon().is_word(word)
    assert word in lexicon().given | lexicon().family and not lexicon().is_word(word)


def test_lists_are_small_folded_and_sourced() -> None:
    files = sorted(DATA.glob("*.txt"))
    assert len(files) == 4
    assert sum(file.stat().st_size for file in files) < 260_000
    for file in files:
        text = file.read_text(encoding="ascii")
        assert text.startswith("# ")
        assert text.splitlines()[-1] == text.splitlines()[-1].lower()


def test_loading_is_quick() -> None:
    lexicon.cache_clear()
    begin = time.process_time()
    lexicon()
    assert time.process_time() - begin < 0.1
