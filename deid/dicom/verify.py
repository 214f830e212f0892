"""The last look at a file before it appears: what was written is read again and searched.

The written bytes are walked anew and compared with what is known, by rules that do not share code with the
rewriting:

* **Raw search.** Every byte that is not pixel data (inflated where the file is deflated) is searched for
  identifiers of six characters or more, also as UTF-16. Digits inside a longer number, a date or a UID do not
  count, because they meet by chance there; a number that is an identifier as a whole does.
* **Field search.** Every text value is searched for shorter identifiers as whole words, and for the shortest
  ones, or those that are medical words too (``1``, ``12``, ``Li``, ``HEAD``, ``MR``), only where the whole
  field or a name position is meant; else a patient called Head would empty every description.
* **Dates.** A date or time must differ from the source's at the same place, unless the profile keeps it.
* **UIDs.** No instance UID of the source may stand in the output, unless the profile keeps UIDs.
* **Pixels.** Pixel data must be equal byte for byte; what a network has changed must be what was encoded
  anew, and described as such (:mod:`deid.dicom.verify_pixels`).
* **Code streams.** Comments of compressed pixel data are searched like text fields, the rest of it for
  identifiers of eight characters or more, and for those in twelve readable ones in a row; so is native pixel
  data behind the last frame.

An encapsulated document that the user keeps is not searched; such a file says that identity is not removed.

What it cannot see: identifiers that the headers of the patient's files never name, and identifiers of fewer
than three characters inside longer texts.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass

from deid.core.errors import Held
from deid.core.identifiers import Kind, KnownIdentifiers
from deid.core.rawsearch import readable
from deid.dicom.codestream import comments, is_compressed, words
from deid.dicom.derived import OwnWords, PixelChange
from deid.dicom.elements import Buffer, Element, walk
from deid.dicom.marks import OUR_TAGS
from deid.dicom.part10 import Part10
from deid.dicom.risk import ENCAPSULATED_DOCUMENT, PIXEL_TAGS
from deid.dicom.values import CODES, DATE_VRS, TEXT_VRS, codecs_of, decode, is_plain_ascii, is_well_known
from deid.dicom.verify_pixels import (
    TELLING,
    behind_the_image,
    check_new_pixels,
    compare_pixels,
    release_pages,
)

_CHARSET = 0x00080005
_CHANCE_VRS = frozenset({"DS", "IS", "UI"}) | DATE_VRS
_LABEL = re.compile(rb"[A-Z][A-Z2-7]{15}")
"""What a keyed pseudonym looks like (:class:`deid.core.pseudonyms.Pseudonyms`)."""
_LONG_HIT, _LONG_RUN = 8, 12
"""Characters of an identifier, and of the readable bytes around it, that noise does not spell by chance."""
_WINDOW = 4 << 20
_OVERLAP = 512
_DUMMY_DATES = {"DA": b"19000101", "DT": b"19000101000000", "TM": b"000000"}
_SHORTEST_DATE = {"DA": 8, "DT": 8, "TM": 4}


@dataclass(frozen=True)
class Expectation:
    """What the profile lets stand.

    Attributes:
        dates_change: Dates are shifted or removed.
        times_change: Times of day are shifted too.
        uids_change: Instance UIDs are replaced.
        verbatim: Tags that the recipe keeps word by word on purpose.
        kept: Tags of dates and UIDs that the recipe keeps on purpose.
    """

    dates_change: bool
    times_change: bool
    uids_change: bool
    verbatim: frozenset[int] = frozenset()
    kept: frozenset[int] = frozenset()


def is_compared(tag: int, vr: str) -> bool:
    """Whether :class:`Verifier` compares elements of a tag and VR; the raw search sees all."""
    return vr in TEXT_VRS or vr in DATE_VRS or vr == "UI" or tag == _CHARSET or tag in PIXEL_TAGS


def is_compared_in_change(tag: int, vr: str) -> bool:
    """Whether :class:`Verifier` looks at elements of a tag and VR in an image with new pixel data."""
    return is_compared(tag, vr) or tag in TELLING


class Verifier:
    """Verifies files of one patient; remembers texts that it has seen.

    Args:
        known: Identifiers of the patient.
        expectation: What the profile lets stand.
    """

    def __init__(self, known: KnownIdentifiers, expectation: Expectation) -> None:
        self._known = known
        self._expect = expectation
        self._seen: dict[str, set[bytes]] = {vr: set() for vr in TEXT_VRS}
        self._own: OwnWords | None = None

    def verify(self, source: Part10, written: Part10, change: PixelChange | None = None) -> None:
        """Compare a written file with its source.

        Args:
            source: The walked input.
            written: The walked output, of plain elements at least those of :func:`is_compared`, with a
                change those of :func:`is_compared_in_change`.
            change: New pixel data of the output.

        Raises:
            Held: Something of the source survives, or pixel data differs; the reason names the rule.
        """
        self._own = OwnWords(change.derivation) if change is not None else None
        self._search_raw(written)
        self._compare(source.body, source.elements, written.body, written.elements, ("iso8859",))
        if change is not None:
            check_new_pixels(written, change.pixels)
        else:
            compare_pixels(source, written)
            self._search_code_streams(written)
            self._search_noise(behind_the_image(source), "behind the pixels")

    def _search_raw(self, written: Part10) -> None:
        """Search everything but pixel data and file meta information, which is all of our own making."""
        body = written.body
        pixels = [e for e in written.elements if e.tag in PIXEL_TAGS]
        first = min((e.start for e in pixels), default=len(body))
        last = max((e.stop for e in pixels), default=len(body))
        start = written.start
        hits = [*self._hits(body, start, first), *self._hits(body, last, len(body))]
        if not hits:
            return
        elements = walk(body, written.start, len(body), written.encoding)
        for (begin, end, kind), (element, root) in _placed(hits, elements):
            if root in OUR_TAGS or root == ENCAPSULATED_DOCUMENT or element.tag in self._expect.verbatim:
                continue
            if not _is_chance(body, begin, end, element) and not self._is_own(body, begin, element):
                raise Held(f"verification: {kind} in the written bytes")

    def _search_code_streams(self, written: Part10) -> None:
        """Search compressed pixel data, also behind the end of the image and in fragments that hold none."""
        body = written.body
        for element in filter(is_compressed, written.elements):
            for start, stop, _ in comments(body, element):
                kind = self._known.residue(words(body, start, stop))
                if kind is not None:
                    raise Held(f"verification: {kind} in a comment of the compressed pixel data")
            for window in range(element.start, element.stop, _WINDOW):
                begin, end = max(element.start, window - _OVERLAP), min(window + _WINDOW, element.stop)
                self._search_noise(body[begin:end], "in the compressed pixel data")
                release_pages(body)

    def _search_noise(self, data: bytes, place: str) -> None:
        runs = readable(data)
        for low, high, kind in self._known.find_raw(runs):
            around = (runs.find(b"\n", high) % (len(runs) + 1)) - (runs.rfind(b"\n", 0, low) + 1)
            # noise of few values may spell any number, but no word
            if (high - low >= _LONG_HIT or around >= _LONG_RUN) and not runs[low:high].isdigit():
                raise Held(f"verification: {kind} {place}")

    def _is_own(self, body: Buffer, begin: int, element: Element) -> bool:
        """Whether what begins there is this tool's own text."""
        if self._own is None or element.vr not in TEXT_VRS:
            return False
        return begin >= element.start + len(self._own.theirs(element.tag, body[element.start : element.end]))

    def _hits(self, body: Buffer, start: int, stop: int) -> Iterator[tuple[int, int, Kind]]:
        """Identifiers in a range, searched in windows that overlap, so that memory stays bounded."""
        for window in range(start, stop, _WINDOW):
            begin = max(start, window - _OVERLAP)
            for low, high, kind in self._known.find_raw(body[begin : min(window + _WINDOW, stop)]):
                # what touches the edge of a window is seen whole in the other one
                if begin + low >= window - _OVERLAP // 2 or begin == start:
                    yield begin + low, begin + high, kind
            release_pages(body)

    def _compare(
        self,
        before: Buffer,
        source: list[Element],
        after: Buffer,
        written: list[Element],
        charset: tuple[str, ...],
    ) -> None:
        """Check the values of one data set against those at the same place of the source."""
        old = {element.tag: element for element in source}
        for element in written:
            vr = element.vr
            if element.items is not None:
                self._compare_items(before, old.get(element.tag), after, element, charset)
            elif vr in TEXT_VRS and element.tag not in CODES:
                raw, origin = after[element.start : element.end], old.get(element.tag)
                # a label of ours may spell a short name by chance; what stood there before is none of ours
                before_it = before[origin.start : origin.end] if origin is not None else b""
                if _LABEL.fullmatch(raw) is None or raw == before_it:
                    self._check_text(element, raw, charset)
            elif vr in DATE_VRS or vr == "UI":
                if element.tag == _CHARSET or element.tag not in old:
                    continue
                origin = old[element.tag]
                value = after[element.start : element.end].strip(b" \0")
                if value and value == before[origin.start : origin.end].strip(b" \0"):
                    self._check_unchanged(element, value)
            if element.tag == _CHARSET:
                charset = codecs_of(after[element.start : element.end])

    def _compare_items(
        self,
        before: Buffer,
        origin: Element | None,
        after: Buffer,
        element: Element,
        charset: tuple[str, ...],
    ) -> None:
        sources = (origin.items if origin is not None else None) or []
        for number, item in enumerate(element.items or []):
            source = sources[number] if number < len(sources) else []
            self._compare(before, source, after, item, charset)

    def _check_text(self, element: Element, raw: bytes, charset: tuple[str, ...]) -> None:
        seen = self._seen[element.vr]
        if raw in seen:
            return
        theirs = self._own.theirs(element.tag, raw) if self._own is not None else raw
        text = decode(theirs, charset).strip(" \0")
        values = [text] if element.vr in ("ST", "LT", "UT") else text.split("\\")
        for value in values:
            kind = self._known.residue(value) if value else None
            if kind is not None and element.tag not in self._expect.verbatim:
                raise Held(f"verification: {kind} in a text of the written header")
        if is_plain_ascii(raw) and element.tag not in self._expect.verbatim and theirs == raw:
            seen.add(raw)

    def _check_unchanged(self, element: Element, value: bytes) -> None:
        """An unchanged date, time or UID is an error where the profile changes it."""
        expect = self._expect
        if element.tag in expect.kept:
            return
        if element.vr == "UI":
            uids = value.decode("latin-1").split("\\")
            if expect.uids_change and not all(not uid or is_well_known(uid.strip(" \0")) for uid in uids):
                raise Held("verification: unchanged UID")
        elif len(value) >= _SHORTEST_DATE[element.vr] and value != _DUMMY_DATES.get(element.vr):
            changes = expect.times_change if element.vr == "TM" else expect.dates_change
            if changes:
                raise Held("verification: unchanged date or time")


def _is_chance(body: Buffer, begin: int, end: int, element: Element) -> bool:
    """Whether a hit is digits that meet by chance inside a longer number, a date or a UID."""
    if element.vr not in _CHANCE_VRS or not body[begin:end].isdigit():
        return False
    if element.vr not in ("DS", "IS"):
        return True
    values = body[element.start : element.end].strip(b" \0").split(b"\\")
    return body[begin:end] not in [value.strip() for value in values]


def _placed(
    hits: list[tuple[int, int, Kind]], elements: list[Element]
) -> Iterator[tuple[tuple[int, int, Kind], tuple[Element, int]]]:
    """Every hit with the innermost element that holds it and the tag of the outermost, in one pass."""
    leaves = list(_leaves(elements, 0))
    starts = [leaf.at for leaf, _ in leaves]
    for hit in hits:
        yield hit, leaves[max(bisect_right(starts, hit[0]) - 1, 0)]


def _leaves(elements: list[Element], root: int) -> Iterator[tuple[Element, int]]:
    """Elements in the order of their offsets, each before what is nested in it."""
    for element in elements:
        yield element, root or element.tag
        for item in element.items or []:
            yield from _leaves(item, root or element.tag)
