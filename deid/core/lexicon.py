"""Words that are no identity: medical, technical and everyday words; and names, to tell them apart.

Sources are stated in the head line of each list in ``deid/core/data``; the compiled ones are made by
``tests/tools/compile_lexicon.py``. All words are folded (:func:`deid.core.folding.fold`).
"""

import functools
from dataclasses import dataclass
from pathlib import Path

_DATA = Path(__file__).with_name("data")


@dataclass(frozen=True)
class Lexicon:
    """The word lists.

    Attributes:
        words: Medical, technical and everyday words in six languages, vendors and products, institution
            words.
        eponyms: Surnames that name a disease, sign, test, structure or method.
        alone: The eponyms that stand for the matter by themselves (Parkinson, Crohn, Doppler).
        nouns: What stands beside an eponym (disease, sign, cyst ...).
        given: Given names.
        family: Family names.
    """

    words: frozenset[str]
    eponyms: frozenset[str]
    alone: frozenset[str]
    nouns: frozenset[str]
    given: frozenset[str]
    family: frozenset[str]

    def is_word(self, word: str) -> bool:
        """Whether a folded word says nothing about who somebody is.

        Plural forms count unless they are names.
        """
        if word in self.words or word in self.eponyms:
            return True
        if word[-1:] != "s" or word[:-1] not in self.words:
            return False
        return word not in self.given and word not in self.family


def _read(name: str) -> list[str]:
    text = (_DATA / name).read_text(encoding="ascii")
    return text[text.index("\n") + 1 :].split() if text.startswith("#") else text.split()


def _sections() -> dict[str, set[str]]:
    sections: dict[str, set[str]] = {}
    current: set[str] = set()
    for line in (_DATA / "kept.txt").read_text(encoding="ascii").splitlines():
        if line.startswith("["):
            current = sections.setdefault(line.strip("[]"), set())
        elif not line.startswith("#"):
            current.update(line.split())
    return sections


@functools.cache
def lexicon() -> Lexicon:
    """The lists, read once (some 10 ms)."""
    kept = _sections()
    words = kept["terms"] | kept["products"] | kept["nouns"]
    words.update(_read("words.txt"))
    words -= kept["names"]
    eponyms = kept["eponyms"] - kept["terms"]
    return Lexicon(
        words=frozenset(words - eponyms),
        eponyms=frozenset(eponyms),
        alone=frozenset(eponyms & kept["alone"]),
        nouns=frozenset(kept["nouns"]),
        given=frozenset(_read("given.txt")),
        family=frozenset(_read("family.txt")),
    )
