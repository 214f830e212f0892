"""Short identifiers where a text says that a number of a person follows: ``ID 12``, ``Pat: A1``, ``#7``.

An identifier of one or two characters, or one that is a medical word too, says little: ``12 slices``, ``T1``
and ``C2 fracture`` stay, also where the patient's id is 12, T1 or C2. Behind a label it is meant:

* a strong label (``ID``, ``MRN``, ``PatNr``): digits (``12``) and mixed forms (``A1``);
* a weak label (``Pat``, ``Patient``, ``No``, ``Nr``) or ``#``: digits, unless they count or measure
  (``patient 12 years old``, ``no 2 mm nodule``, ``lesion #2``); mixed forms only behind ``#``;
* any label with ``:`` or ``=``: words as well (``ID: MR``).
"""

from bisect import bisect_right
from collections.abc import Iterator, Mapping

from deid.core.folding import Text, word_set
from deid.core.kinds import Kind
from deid.core.matching import Span, matches_at

_STRONG = word_set(
    "id ids mrn pid patid patientid patno patnr patientno patientnr pnr fallnr identifier accession"
)
_WEAK = word_set(
    "nr no num number acc case chart record fall pat patient patientin patiente paciente paziente pt subject "
    "client proband"
)
_LABELS = _STRONG | _WEAK
_MEASURES = word_set(
    "y yo yr yrs year years old jahr jahre jahren jahrige ans an ano anos anni mo mos month months "
    "monat monate wk wks week weeks woche wochen day days tag tage hr hrs hour hours std min mins "
    "minutes sec x th nd rd st mm cm dm km ml mg kg gy cgy mgy hz khz mhz kv kvp ma mas tesla bpm mmhg "
    "lead leads vessel vessels view views slice slices image images scan scans series phase phases "
    "frame frames level levels lesion lesions nodule nodules part parts times fach stage grade of to"
)
"""Words behind a number that say that it counts or measures."""
_COUNTED = word_set(
    "lesion lesions nodule nodules mass cyst node nodes finding findings lasion befund slice slices "
    "image images bild series serie scan scans run phase frame echo segment lead level rib tooth teeth "
    "zahn view visit session station position channel coil volume screw stent fig figure table dose "
    "cycle injection roi marker version part step protocol sequence acquisition exam examination study "
    "fraction beam field plan"
)
"""Words before ``#`` whose number is not that of a person."""
_LONGEST_GAP = 4
_LONGEST = 3  # tokens of one identifier: A, 1, B


def numbered(view: Text, fields: Mapping[tuple[str, ...], Kind]) -> Iterator[Span]:
    """Yield the spans of short identifiers in a record-number position, with their labels.

    Args:
        view: The text.
        fields: All identifiers of the patient by their tokens.
    """
    words, starts, source = view.words, view.starts, view.source
    for place in range(len(words) - 1):
        label = words[place]
        if label not in _LABELS or words[place + 1] in _LABELS:
            continue
        gap = source[view.ends[place] : starts[place + 1]]
        if len(gap) <= _LONGEST_GAP and not gap.strip(" .:=#-_"):
            for end, kind in _found(view, place + 1, fields, label in _STRONG, gap):
                yield starts[place], end, kind
    place = source.find("#")
    while place >= 0:
        yield from _behind_hash(view, place, fields)
        place = source.find("#", place + 1)


def _behind_hash(view: Text, hash_at: int, fields: Mapping[tuple[str, ...], Kind]) -> Iterator[Span]:
    """What stands behind a ``#``, unless a word before it says that something is counted."""
    place = bisect_right(view.starts, hash_at)
    if place == len(view.words) or (place and view.words[place - 1] in _COUNTED):
        return
    gap = view.source[hash_at : view.starts[place]]
    if not gap.strip(" #"):
        for end, kind in _found(view, place, fields, False, gap):
            yield hash_at, end, kind


def _found(
    view: Text, place: int, fields: Mapping[tuple[str, ...], Kind], strong: bool, gap: str
) -> Iterator[tuple[int, Kind]]:
    """The end and kind of the longest identifier that begins at a token and is meant as one there."""
    for length in range(_LONGEST, 0, -1):
        tokens = tuple(view.words[place : place + length])
        kind = fields.get(tokens)
        if kind not in (Kind.ID, Kind.OTHER) or len(tokens) < length:
            continue
        end = matches_at(view, place, tokens)
        if end >= 0 and _is_whole(view.source, end) and _is_meant(view, place, tokens, strong, gap):
            yield end, kind
            return


def _is_whole(source: str, end: int) -> bool:
    """Neither the begin of a longer token nor of a decimal: ``12a``, ``1.5``."""
    return not source[end : end + 1].isalnum() and not (
        source[end : end + 1] in (".", ",") and source[end + 1 : end + 2].isdecimal()
    )


def _is_meant(view: Text, place: int, tokens: tuple[str, ...], strong: bool, gap: str) -> bool:
    if ":" in gap or "=" in gap:
        return True
    digits = [token.isdecimal() for token in tokens]
    if not any(digits):
        return False
    if strong:
        return True
    if not all(digits):
        return "#" in gap
    following = place + len(tokens)
    return following >= len(view.words) or not _counts(view, following)


def _counts(view: Text, following: int) -> bool:
    """Whether the word right behind a number says that it counts or measures."""
    between = view.source[view.ends[following - 1] : view.starts[following]]
    return view.words[following] in _MEASURES and not between.strip(" -")
