"""Everything known of one patient, compiled for matching: cleaning of free text, and its verification.

Action C of PS3.15 E.1.1: "replace with values of similar meaning known not to contain identifying
information". Free text keeps its medical meaning and loses identity: the identifiers of the patient in all
their spellings (:mod:`deid.core.spellings`), patterns (:mod:`deid.core.cleaning`) and names by their
position (:mod:`deid.core.people`).

**The classes of identifiers.** How an identifier is searched for depends on how much it says:

* Six or more letters and digits that are no word (``Schmidt``, ``12345678``): removed anywhere, also inside
  longer words, and searched in raw bytes. Numbers count only whole, not inside a decimal or UID.
* Three to five (``Doe``, ``A-123``): whole words of a text; not searched in raw bytes.
* Several words (``Li Wei``, ``J. Doe``): in a row, with any separators; persons and codes in raw bytes too.
* A surname that is an eponym (``Smith``): whole words, but not beside *disease*, *cyst*, *fracture* ...
* One or two characters, or a medical, technical or everyday word (``1``, ``12``, ``Li``, ``HEAD``,
  ``MR``, ``Parkinson``): field-wise: where it is the whole field, and in name and record-number positions
  (:mod:`deid.core.numbered`).

So a patient called Li or Head, or with the id 1 or MR, does not empty every text: ``MR HEAD`` stays. What
this cannot see: identifiers that no header of the patient names and no pattern describes, and misspelt
names.
"""

from collections.abc import Iterable

from deid.core.cleaning import removals
from deid.core.datetext import Removal
from deid.core.folding import Text, read
from deid.core.kinds import Identifier, Kind
from deid.core.matching import Matcher
from deid.core.numbered import numbered
from deid.core.rawsearch import RawSearch

__all__ = ["Identifier", "Kind", "KnownIdentifiers"]

_ROUNDS = 6
_LONG_TEXT, _FEW_ROUNDS = 4096, 3  # who builds a long text that takes more shall not gain time
_HOLE = "\ufdd0"  # a noncharacter: stands for removed text while cleaning with a marker
_JUNCTION = " \t,;_-^/:|=&"
_OPEN, _CLOSE = "([{<\"'", ")]}>\"'"


class KnownIdentifiers:
    """The identifiers of one patient.

    Args:
        identifiers: Values of the headers of all files of the patient; order and repetition do not matter.
    """

    def __init__(self, identifiers: Iterable[Identifier]) -> None:
        self._identifiers = tuple(sorted(set(identifiers)))
        self._matcher = Matcher(self._identifiers)
        self._names = frozenset(self._matcher.names)
        self._raw: RawSearch | None = None

    def canonical(self) -> bytes:
        """All identifiers in one fixed order, for digests; equal sets give equal bytes."""
        pieces = []
        for identifier in self._identifiers:
            value = identifier.value.encode("utf-8", "surrogatepass")
            kind = str(identifier.kind).encode()
            pieces.append(b"%d:%b%d:%b" % (len(kind), kind, len(value), value))
        return b"".join(pieces)

    def clean(self, text: str, marker: str = "", *, patterns: bool = True) -> str:
        """Remove identity from free text and keep its medical meaning.

        Cleaning what was cleaned changes nothing, and :meth:`residue` finds nothing in it. Text without
        identity is returned as it is.

        Args:
            text: One value of any length.
            marker: What stands for each removed span; with none, spaces are tidied and the text never grows.
            patterns: Remove also what only looks like identity; else nothing but what is known goes.

        Returns:
            The cleaned text; empty where nothing but separators is left.
        """
        work = text.replace(_HOLE, "")
        if marker:
            work = work.replace(marker, _HOLE)
        start = work
        for _ in range(_ROUNDS if len(text) <= _LONG_TEXT else _FEW_ROUNDS):
            found = self._removals(read(work), patterns)
            if not found:
                break
            work = _cut(work, found, _HOLE if marker else "")
        else:
            # Text built to reappear as it is cleaned: nothing of it is worth the risk.
            return ""
        if not marker:
            return work
        if work == start and _HOLE not in work:
            return work
        marked = work.replace(_HOLE, marker)
        return marked if self.residue(marked) is None else ""

    def residue(self, text: str) -> Kind | None:
        """What of the patient still stands in a text field, by the rule of the module.

        Only known identifiers count: codes, versions and numbers that patterns would remove are no proof of
        identity.

        Args:
            text: One value of a text attribute.

        Returns:
            The kind of the first identifier found; None where the text is clean.
        """
        view = read(text)
        for _, _, kind in self._matcher.find(view):
            return kind
        return next((kind for _, _, kind in numbered(view, self._matcher.fields)), None)

    def numbers(self) -> frozenset[bytes]:
        """Identifiers that are six digits or more and nothing else, to be compared with whole numbers."""
        values = (identifier.value.strip() for identifier in self._identifiers)
        return frozenset(v.encode() for v in values if len(v) >= 6 and v.isascii() and v.isdecimal())

    def find_raw(self, haystack: bytes) -> list[tuple[int, int, Kind]]:
        """Find the long identifiers in raw bytes of any character set, UTF-16 included.

        Args:
            haystack: Bytes of a file, pixel data left out.

        Returns:
            Start, end and kind of every hit, in order.
        """
        if self._raw is None:
            self._raw = RawSearch(self._identifiers)
        return self._raw.find(haystack)

    def _removals(self, view: Text, patterns: bool) -> list[Removal]:
        found: list[Removal] = [(start, end, "") for start, end, _ in self._matcher.find(view)]
        found += ((start, end, "") for start, end, _ in numbered(view, self._matcher.fields))
        if patterns:
            found += removals(view, self._names)
        return found


def _cut(text: str, found: list[Removal], hole: str) -> str:
    """Replace spans and tidy the separators around each."""
    pieces: list[str] = []
    done = 0
    for start, end, instead in _merged(found):
        pieces.append(text[done:start])
        pieces.append(instead or _HOLE)
        done = end
    pieces.append(text[done:])
    result = _joined(pieces, hole)
    return result if any(character.isalnum() for character in result) else ""


def _merged(found: list[Removal]) -> list[Removal]:
    """Spans in order without overlap; of overlapping ones the replacement survives only if all agree."""
    merged: list[Removal] = []
    for start, end, instead in sorted(found):
        if merged and start < merged[-1][1]:
            before = merged[-1]
            same = before[2] if before[2] == instead else ""
            merged[-1] = (before[0], max(before[1], end), same)
        elif start < end:
            merged.append((start, end, instead))
    return merged


def _joined(pieces: list[str], hole: str) -> str:
    """Join what is left, removed pieces being holes.

    Without a marker one separator takes the place of those on both sides.
    """
    if hole:
        return "".join(hole if piece == _HOLE else piece for piece in pieces)
    built: list[str] = []
    left = ""  # the piece before the hole, whose end may still be cut off
    pending = False
    for piece in pieces:
        if piece == _HOLE:
            pending = True
        elif not pending:
            left += piece
        elif piece.strip(_JUNCTION):
            left, middle, piece = _junction(left, piece)
            built += (left, middle)
            left, pending = piece, False
    if pending:
        left = left.rstrip(_JUNCTION + _OPEN)
    built.append(left)
    return "".join(built)


def _junction(left: str, right: str) -> tuple[str, str, str]:
    """Trim both sides of a hole; returns left, what stands between, and right."""
    trimmed, bare = left.rstrip(_JUNCTION), right.lstrip(_JUNCTION)
    while trimmed and bare and trimmed[-1] in _OPEN and bare[0] == _CLOSE[_OPEN.index(trimmed[-1])]:
        trimmed, bare = trimmed[:-1].rstrip(_JUNCTION), bare[1:].lstrip(_JUNCTION)
    if not trimmed:
        return "", "", bare.lstrip(_JUNCTION + ".")
    if not bare or trimmed[-1].isspace() or bare[0].isspace() or bare[0] in ".)":
        return trimmed, "", bare
    ends, begins = left[len(trimmed) :], right[: len(right) - len(right.lstrip(_JUNCTION))]
    for mark in ";:,_^-/":
        if mark in begins or (mark in ends and mark in ":_"):
            return trimmed, mark if mark in "_^-/" or len(ends) + len(begins) < 1 else mark + " ", bare
    return trimmed, " ", bare
