"""From a walked file to the pieces of its de-identified data set (PS3.15 E.1.1).

Every level of every sequence passes through :meth:`Rewriter.rewrite`. What an attribute means is asked of
the profile once per SOP class and place and remembered as a handler; elements that stay are not touched
but named as ranges of the source, so pixel data is copied file to file and never decoded.

Sequences are written with undefined lengths: one pass, and no length to leak or to get wrong. The recursion
over items is bounded by the walk, which holds back what is nested deeper than
:data:`deid.dicom.elements.MAX_DEPTH`.
"""

from __future__ import annotations

from collections.abc import Mapping

from deid.core.errors import Held
from deid.core.staging import FileRange
from deid.dicom.amend import Amendments
from deid.dicom.derived import Derivation
from deid.dicom.elements import IMPLICIT_LITTLE, UNDEFINED, Buffer, Element, StructureError, walk_items
from deid.dicom.encode import delimiters, header, padded
from deid.dicom.handlers import PATIENT_ID, PATIENT_NAME, Fate, Handler, Handlers
from deid.dicom.new_pixels import NewPixels
from deid.dicom.private import PRIVATE, PrivateRules, private_handlers
from deid.dicom.profile import Option, Profile
from deid.dicom.structured import (
    MEASURED_VALUE_SEQUENCE,
    TEXTS,
    VALUES,
    is_age,
    value_is_replaced,
    value_is_retained,
)
from deid.dicom.values import ValueCleaner, codecs_of

Piece = bytes | tuple[int, int] | FileRange
"""Bytes to write, or a range of the source's body or of another file to copy."""

_SPECIFIC_CHARACTER_SET = 0x00080005
_DEFAULT_CHARSET = ("iso8859",)


class Level:
    """One data set on the way: where it stands and what its elements need to know of each other."""

    __slots__ = (
        "_by_tag",
        "age",
        "charset",
        "dummy_all",
        "elements",
        "parents",
        "private",
        "value_replaced",
        "value_retained",
    )

    def __init__(
        self, elements: list[Element], parents: tuple[int, ...], charset: tuple[str, ...], dummy_all: bool
    ) -> None:
        self.elements = elements
        self.parents = parents
        self.charset = charset
        self.dummy_all = dummy_all
        self.value_replaced = self.value_retained = False
        self.age = False
        self.private: dict[int, Handler | None] | None = None
        self._by_tag: dict[int, Element] | None = None

    def find(self, tag: int) -> Element | None:
        """The element of this data set with that tag."""
        if self._by_tag is None:
            self._by_tag = {element.tag: element for element in self.elements}
        return self._by_tag.get(tag)


class Rewriter:
    """De-identifies data sets of one patient under one profile.

    Args:
        profile: What to do with which attribute.
        cleaner: How values of this patient are replaced.
        derivation: Which network has changed the pixels; None where they stay.
    """

    def __init__(self, profile: Profile, cleaner: ValueCleaner, derivation: Derivation | None = None) -> None:
        self._profile = profile
        self._cleaner = cleaner
        self._retains = not profile.options.isdisjoint(
            (Option.RETAIN_DEVICE_IDENTITY, Option.RETAIN_INSTITUTION_IDENTITY)
        )
        self._handlers = Handlers(profile, cleaner)
        self._amend = Amendments(derivation, self._handlers.value) if derivation is not None else None
        self._private_rules = PrivateRules(profile, self._handlers.private)
        self._tables: dict[tuple[str, tuple[int, ...], bool], dict[tuple[int, str], Handler]] = {}
        self._body: Buffer = b""
        self._sop_class = ""
        self._added: Mapping[int, bytes] = {}
        self._pixels: NewPixels | None = None
        self._out: list[Piece] = []

    def rewrite(
        self,
        body: Buffer,
        elements: list[Element],
        sop_class: str,
        added: list[tuple[int, str, bytes]],
        pixels: NewPixels | None = None,
    ) -> list[Piece]:
        """De-identify one data set.

        Args:
            body: What the offsets of ``elements`` point into.
            elements: The walked data set.
            sop_class: Its SOP Class UID.
            added: Tag, VR and value of attributes that this tool sets itself, in place of the source's.
            pixels: What takes the place of its pixel data; given if and only if a network has changed it.

        Returns:
            Pieces of the new data set, in order.

        Raises:
            Held: A part cannot be understood and cannot be left out.
        """
        self._body = self._handlers.body = body
        self._sop_class, self._out, self._pixels = sop_class, [], pixels
        self._handlers.own = {
            e.tag: body[e.start : e.end].strip(b" \0")
            for e in elements
            if e.tag in (PATIENT_ID, PATIENT_NAME)
        }
        self._added = {tag: value for tag, _, value in added}
        encoding = elements[0].encoding if elements else IMPLICIT_LITTLE
        ours = [Element(tag, vr, -1, -1, -1, -1, None, encoding) for tag, vr, _ in added]
        if self._amend is not None and pixels is not None:
            elements = self._amend.elements(elements, pixels.vr)
        theirs = [element for element in elements if element.tag not in self._added]
        self._data_set(Level(ascending(ours + theirs), (), _DEFAULT_CHARSET, dummy_all=False))
        return self._out

    def _data_set(self, level: Level) -> None:
        """Append the pieces of one data set; runs of elements that stay become one range."""
        level.charset = self._charset(level)
        table = self._tables.setdefault((self._sop_class, level.parents, level.dummy_all), {})
        handler_of, keep, drop = table.get, Fate.KEEP, Fate.DROP
        out, run_at, run_stop = self._out, 0, -1
        for element in level.elements:
            tag, vr, at, _, _, stop, _, encoding = element
            handler = handler_of((tag, vr))
            if handler is None:
                handler = table[tag, vr] = self._resolve(element, level)
            fate = handler(element, level)
            if fate is keep:
                if at != run_stop:
                    if run_stop > run_at:
                        out.append((run_at, run_stop))
                    run_at = at
                run_stop = stop
                continue
            if run_stop > run_at:
                out.append((run_at, run_stop))
            run_at, run_stop = 0, -1
            if fate is drop:
                continue
            if isinstance(fate, bytes):
                value = padded(fate, vr)
                out += header(tag, vr, len(value), encoding), value
            elif fate is Fate.NEW_PIXELS and self._pixels is not None:
                length = UNDEFINED if self._pixels.encapsulated else self._pixels.value.length
                out += header(tag, vr, length, encoding), self._pixels.value
            else:
                self._sequence(element, level, level.dummy_all or fate is Fate.DUMMY_WALK)
        if run_stop > run_at:
            out.append((run_at, run_stop))

    def _charset(self, level: Level) -> tuple[str, ...]:
        """Codecs in force: this data set's own Specific Character Set, or that of the data set around it."""
        for element in level.elements:
            if element.tag == _SPECIFIC_CHARACTER_SET:
                return codecs_of(self._body[element.start : element.end])
            if element.tag > _SPECIFIC_CHARACTER_SET:
                break
        return level.charset

    def _resolve(self, element: Element, level: Level) -> Handler:
        if element.tag & PRIVATE:
            return self._private
        if element.tag in self._added and not level.parents:
            return lambda element, level: self._added[element.tag]
        handler = self._standard(element, level)
        return self._amend.handler(element.tag, level.parents, handler) if self._amend else handler

    def _standard(self, element: Element, level: Level) -> Handler:
        handler = self._handlers.resolve(element, level, self._sop_class)
        if not level.parents or element.tag not in VALUES:
            return handler
        replaced = self._handlers.replaced(element.tag, element.vr)
        retained = self._handlers.retained(element.vr, replaced) if element.tag in TEXTS else handler

        def handle(element: Element, level: Level) -> bytes | Fate:
            if level.value_replaced:
                return replaced(element, level)
            return (retained if level.value_retained else handler)(element, level)

        return handle

    def _private(self, element: Element, level: Level) -> bytes | Fate:
        """A private element stays where the profile knows it; its value is still looked at."""
        if level.dummy_all:
            return Fate.DROP
        if level.private is None:
            level.private = private_handlers(self._body, level.elements, level.parents, self._private_rules)
        handler = level.private.get(element.tag, _drop)
        return Fate.KEEP if handler is None else handler(element, level)

    def _sequence(self, element: Element, level: Level, dummy_all: bool) -> None:
        """Append a sequence, with undefined lengths."""
        items = element.items
        if items is None:
            try:
                items = walk_items(self._body, element.start, element.end)
            except StructureError:
                raise Held("structure: a sequence that must stay cannot be read") from None
        encoding = IMPLICIT_LITTLE if element.vr == "UN" else element.encoding
        start, end, close = delimiters(encoding.little)
        out = self._out
        out.append(header(element.tag, element.vr, UNDEFINED, element.encoding))
        parents = (*level.parents, element.tag)
        for item in items:
            out.append(start)
            inner = Level(ascending(item), parents, level.charset, dummy_all)
            inner.value_replaced = value_is_replaced(self._body, item, self._profile)
            inner.value_retained = self._retains and value_is_retained(self._body, item, self._profile)
            inner.age = is_age(self._body, item) or (level.age and element.tag == MEASURED_VALUE_SEQUENCE)
            self._data_set(inner)
            out.append(end)
        if self._amend is not None and not level.parents:
            out.append(self._amend.added_item(element.tag, encoding))
        out.append(close)


def _drop(element: Element, level: Level) -> bytes | Fate:
    return Fate.DROP


def ascending(elements: list[Element]) -> list[Element]:
    """Elements in ascending order of tags (PS3.5 7.1), the last of equal tags as readers see it."""
    tags = [element.tag for element in elements]
    if all(map(int.__lt__, tags, tags[1:])):
        return elements
    last = {element.tag: element for element in elements}
    return [last[tag] for tag in sorted(last)]
