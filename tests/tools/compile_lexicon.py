"""Compile the word and name lists of deid/core/data from their sources.

Run by hand when a source changes: ``pip install faker pydicom`` and ``python
tests/tools/compile_lexicon.py``. Sources: meanings and keywords of the DICOM dictionaries in pydicom (MIT;
content (c) NEMA), the word lists of Faker's ``lorem`` and the name lists of its ``person`` providers (MIT),
and the vocabulary of Python's own language reference (PSF licence). The hand-kept list ``kept.txt`` is only
read.
"""

import importlib
import re
import sys
from collections.abc import Iterable
from pathlib import Path

from deid.core.folding import fold

DATA = Path(__file__).resolve().parents[2] / "deid/core/data"
LOREM = ("en_US", "de_DE", "fr_FR", "es_ES", "it_IT", "nl_NL")
PERSONS = [
    "en_US",
    "en_GB",
    "en_IN",
    "de_DE",
    "de_AT",
    "fr_FR",
    "fr_CH",
    "es_ES",
    "es_MX",
    "it_IT",
    "nl_NL",
    "pt_PT",
    "pt_BR",
    "pl_PL",
    "sv_SE",
    "da_DK",
    "no_NO",
    "fi_FI",
    "cs_CZ",
]
WORD = re.compile(r"[^\W\d_]{2,}")


def words_of(text: str) -> set[str]:
    """All words of a text, CamelCase split."""
    spaced = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", text)
    return {w for w in WORD.findall(fold(spaced)) if w.isascii()}


def medical_words() -> set[str]:
    """Words of the DICOM dictionaries."""
    from pydicom._dicom_dict import DicomDictionary
    from pydicom._uid_dict import UID_dictionary
    from pydicom.sr import _cid_dict, _concepts_dict

    texts = [entry[2] + " " + entry[4] for entry in DicomDictionary.values()]
    texts += [entry[0] for entry in UID_dictionary.values()]
    texts += list(_cid_dict.name_for_cid.values())
    for scheme, keywords in _concepts_dict.concepts.items():
        if scheme not in ("MDC", "ITIS_TSN"):
            texts += [meaning for codes in keywords.values() for meaning, _ in codes.values()]
    found: set[str] = set()
    for text in texts:
        found |= words_of(text)
    return found


def common_words() -> set[str]:
    """Everyday words of six languages; nouns in capitals do not matter here, names are taken out later."""
    from pydoc_data import topics

    found: set[str] = set()
    for topic in topics.topics.values():
        found |= {fold(w) for w in re.findall(r"\b[a-z]{3,}\b", topic)}
    for locale in LOREM:
        words: Iterable[str] = importlib.import_module(f"faker.providers.lorem.{locale}").Provider.word_list
        for word in words:
            found |= words_of(word)
    return found


def person_names() -> tuple[set[str], set[str]]:
    """Given and family names, without particles and one-letter parts."""
    given: set[str] = set()
    family: set[str] = set()
    for locale in PERSONS:
        provider = importlib.import_module(f"faker.providers.person.{locale}").Provider
        for attribute in dir(provider):
            values = getattr(provider, attribute)
            target = given if attribute.startswith("first_name") else family
            if attribute.startswith(("first_name", "last_name")) and isinstance(values, list | tuple | dict):
                for value in values:
                    if isinstance(value, str) and "{" not in value:
                        target |= {w for w in words_of(value) if len(w) > 2}
    return given, family


def write(name: str, source: str, words: set[str]) -> None:
    """Write a list: one line of source, then the words in lines of about a hundred characters."""
    lines, line = [f"# {source} Compiled by tests/tools/compile_lexicon.py; do not edit."], ""
    for word in sorted(words):
        if len(line) + len(word) > 108:
            lines.append(line.rstrip())
            line = ""
        line += word + " "
    lines.append(line.rstrip())
    (DATA / name).write_text("\n".join(lines) + "\n", encoding="utf-8")


def main() -> None:
    """Compile all lists."""
    given, family = person_names()
    medical, common = medical_words(), common_words()
    # A word of the dictionaries that is also a name stays a word only if everyday language has it too.
    words = (medical - given - family) | (common - ((given | family) - medical))
    words = {word for word in words if len(word) <= 20}
    write("words.txt", "DICOM dictionaries (pydicom), everyday words (Faker lorem, Python reference).", words)
    write("given.txt", "Given names (Faker person providers).", given)
    write("family.txt", "Family names (Faker person providers).", family)
    ambiguous = sorted((medical & (given | family)) - words)
    sys.stdout.write(f"{len(words)} words, {len(given)} given, {len(family)} family\n")
    sys.stdout.write("medical but names, not kept unless in kept.txt: " + " ".join(ambiguous) + "\n")


if __name__ == "__main__":
    main()
