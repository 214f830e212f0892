"""Searching raw bytes for the long identifiers of a patient, whatever the character set."""

import functools
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from deid.core.folding import fold, words_of
from deid.core.kinds import Identifier, Kind
from deid.core.matching import parse_date
from deid.core.spellings import LONG, Reach, spellings

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

_CODECS = (
    "utf-8",
    "latin-1",
    "iso8859_2",
    "iso8859_5",
    "iso8859_7",
    "shift_jis",
    "euc_jp",
    "euc_kr",
    "gb18030",
)
_WIDE = ("utf-16-le", "utf-16-be")
_DIGITS = frozenset(b"0123456789")
_LETTERS = frozenset(b"abcdefghijklmnopqrstuvwxyz")
_TABLE_BITS = 18


@dataclass(frozen=True)
class _Needle:
    """Bytes to look for.

    Attributes:
        bytes: Lower case, without NUL.
        kind: What they name.
        bounded: The first and last character must not go on in the neighbouring byte.
        wide: Encoded text of more than one byte a character, whose NULs may lie anywhere.
    """

    bytes: bytes
    kind: Kind
    bounded: bool
    wide: bool


class RawSearch:
    """Needles of one patient, with the hashes of their four-byte pieces.

    A haystack is hashed once; only needles of which every piece occurs are searched for, so that the cost
    hardly depends on the number of identifiers.
    """

    def __init__(self, identifiers: Iterable[Identifier]) -> None:
        import numpy as np

        found: dict[bytes, _Needle] = {}
        for identifier in identifiers:
            for needle in _needles_of(identifier):
                found.setdefault(needle.bytes, needle)
        self._needles = [found[key] for key in sorted(found)]
        hashes = [_hashes(needle.bytes) for needle in self._needles]
        self._hashes: npt.NDArray[np.uint32] = np.concatenate(hashes) if hashes else np.zeros(0, np.uint32)
        lengths = [0, *(len(h) for h in hashes)]
        self._offsets = np.cumsum(lengths)[:-1] if hashes else np.zeros(0, np.int64)
        self._is_ours = np.zeros(1 << _TABLE_BITS, dtype=np.bool_)
        self._is_ours[self._hashes] = True
        self._found = np.zeros(1 << _TABLE_BITS, dtype=np.bool_)  # all False between two searches

    def find(self, haystack: bytes) -> list[tuple[int, int, Kind]]:
        """Start, end and kind of every hit, in order."""
        import numpy as np

        if not self._needles or not haystack:
            return []
        original = bytes(haystack).lower()
        packed = original.translate(None, b"\0") if 0 in original else original
        if len(packed) < LONG:
            return []
        hashes = _hashes(packed)
        found = hashes[self._is_ours[hashes]]
        self._found[found] = True
        candidates = np.flatnonzero(np.logical_and.reduceat(self._found[self._hashes], self._offsets))
        self._found[found] = False
        hits: set[tuple[int, int, Kind]] = set()
        places: npt.NDArray[np.intp] | None = None
        for index in candidates:
            needle = self._needles[index]
            at = packed.find(needle.bytes)
            while at >= 0:
                if places is None:
                    places = np.flatnonzero(np.frombuffer(original, dtype=np.uint8))
                start, end = int(places[at]), int(places[at + len(needle.bytes) - 1]) + 1
                if _counts(original, start, end, needle):
                    hits.add((start, end, needle.kind))
                at = packed.find(needle.bytes, at + 1)
        return sorted(hits)


def readable(data: bytes) -> bytes:
    """The runs of eight or more printable ASCII characters, a line each.

    Random bytes have one in some thousand bytes, so that searching the runs costs next to nothing.
    """
    import numpy as np

    run = (np.frombuffer(data, dtype=np.uint8) - 0x20) < 0x5F  # wraps around below a space
    for step in (1, 2, 4):
        run = run[:-step] & run[step:]
    begins = np.flatnonzero(run)
    if not begins.size:
        return b""
    groups = np.split(begins, np.flatnonzero(np.diff(begins) > 1) + 1)
    return b"\n".join(data[int(group[0]) : int(group[-1]) + 8] for group in groups)


def _hashes(data: bytes) -> "npt.NDArray[np.uint32]":
    import numpy as np

    # overlapping words of four bytes, one at every byte
    words: npt.NDArray[np.uint32] = np.ndarray(max(len(data) - 3, 0), np.dtype("<u4"), data, strides=(1,))
    hashes: npt.NDArray[np.uint32] = words * np.uint32(2654435761)
    hashes >>= np.uint32(32 - _TABLE_BITS)
    return hashes


def _counts(original: bytes, start: int, end: int, needle: _Needle) -> bool:
    """Whether a hit is text.

    Its bytes lie together or are two bytes a character; where asked for, it is a whole word.
    """
    size = len(needle.bytes)
    double = end - start == 2 * size - 1
    if not needle.wide and end - start != size and not double:
        return False
    if not needle.bounded or needle.wide:
        return True
    step = 2 if double else 1
    before = original[start - step] if start >= step else 0
    after = original[end - 1 + step] if end - 1 + step < len(original) else 0
    # An element's group number follows a value: '0' NUL is group 0030, no digit that goes on.
    if not double and after in _DIGITS and original[end + 1 : end + 2] == b"\0":
        after = 0
    if _goes_on(before, original[start]) or _goes_on(after, original[end - 1]):
        return False
    return not (needle.bytes.isdigit() and _in_decimal(original, start, end, step))


def _goes_on(neighbour: int, edge: int) -> bool:
    return any(neighbour in letters and edge in letters for letters in (_DIGITS, _LETTERS))


def _in_decimal(original: bytes, start: int, end: int, step: int) -> bool:
    left, right = (
        original[max(0, start - 2 * step) : start : step],
        original[end - 1 + step : end + 2 * step : step],
    )
    return (len(left) == 2 and left[1:] == b"." and left[:1].isdigit()) or (
        right[:1] == b"." and right[1:2].isdigit()
    )


def _needles_of(identifier: Identifier) -> Iterable[_Needle]:
    value, kind = identifier.value.strip(), identifier.kind
    if kind is Kind.DATE:
        date = parse_date(value)
        if date is not None and date[0] > 1900:
            year, month, day = date
            texts = (
                f"{year:04}{month:02}{day:02}",
                f"{year:04}-{month:02}-{day:02}",
                f"{day:02}.{month:02}.{year:04}",
            )
            yield from (_Needle(text.encode(), kind, bounded=True, wide=False) for text in texts)
        return
    person = kind in (Kind.PATIENT_NAME, Kind.PERSON)
    strong = [(words, reach) for words, reach in spellings(identifier) if reach >= Reach.WORDS]
    # Raw bytes have no words; what is searched there must be long and be removed from every text.
    for words, reach in strong:
        if len("".join(words)) < LONG and not any(not word.isascii() for word in words):
            continue
        if len(words) == 1 and reach is Reach.ANYWHERE:
            yield from _encoded(words[0], kind, bounded=words[0].isdigit())
        elif len(words) > 1 and person:
            for joint in (" ", "^", ", ", "_", "."):
                yield from _encoded(joint.join(words), kind, bounded=True)
    whole = words_of(value)
    if not person and (whole, Reach.WORDS) in strong and len("".join(whole)) >= LONG:
        yield from _encoded(value, kind, bounded=True)
    elif any(reach is Reach.ANYWHERE for _, reach in strong) and not value.isascii():
        for part in value.replace("=", "^").split("^"):
            if _is_strong(fold(part), strong):
                yield from _encoded(part, kind, bounded=False)


def _is_strong(folded: str, strong: list[tuple[tuple[str, ...], Reach]]) -> bool:
    words = words_of(folded)
    return any(words == known and reach is Reach.ANYWHERE for known, reach in strong)


def _encoded(text: str, kind: Kind, *, bounded: bool) -> Iterable[_Needle]:
    if text.isascii():
        yield _Needle(text.lower().encode(), kind, bounded, wide=False)
        return
    for form in dict.fromkeys((text, text.lower(), text.upper(), text.title())):
        for codec in (*_CODECS, *_WIDE):
            encoded = _encode(form, codec)
            if len(encoded) >= LONG:
                yield _Needle(encoded, kind, bounded=False, wide=codec in _WIDE)


@functools.lru_cache(maxsize=4096)
def _encode(text: str, codec: str) -> bytes:
    try:
        return text.encode(codec).lower().replace(b"\0", b"")
    except UnicodeError:
        return b""
