"""What happens to one value: bytes of a VR in, bytes of the same VR out.

All work on values of one patient goes through one :class:`ValueCleaner`, which remembers results: the
instances of a series repeat the same texts, UIDs and dates hundreds of times.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from deid.core.dates import Shift, shift_date, shift_datetime, shift_pair, shift_time
from deid.core.identifiers import KnownIdentifiers
from deid.core.pseudonyms import Pseudonyms
from deid.dicom.dictionary import entry_of, registered_uids

TEXT_VRS = frozenset({"LO", "SH", "ST", "LT", "UT", "UC", "PN"})
DATE_VRS = frozenset({"DA", "TM", "DT"})
STRING_VRS = TEXT_VRS | DATE_VRS | {"AE", "AS", "CS", "DS", "IS", "UI", "UR"}
BINARY_SIZES = {"US": 2, "SS": 2, "AT": 4, "UL": 4, "SL": 4, "FL": 4, "FD": 8, "SV": 8, "UV": 8}
"""Bytes of one value of the fixed-size binary VRs (PS3.5 6.2); nothing but numbers fits into them."""
_SINGLE_TEXTS = frozenset({"ST", "LT", "UT"})

CODES = frozenset({0x00080100, 0x00080102, 0x00080103, 0x00080119})
"""Code Value, Coding Scheme Designator and Version, Long Code Value: numbers and short words by nature."""
DESIGNATIONS = frozenset(
    {
        0x00080070,  # Manufacturer
        0x00081090,  # Manufacturer's Model Name
        0x00180024,  # Sequence Name
        0x00181016,  # Secondary Capture Device Manufacturer
        0x00181018,  # Secondary Capture Device Manufacturer's Model Name
        0x00181019,  # Secondary Capture Device Software Versions
        0x00181020,  # Software Versions
        0x00181210,  # Convolution Kernel
        0x00181250,  # Receive Coil Name
        0x00181251,  # Transmit Coil Name
        0x00189005,  # Pulse Sequence Name
    }
)
"""Names and versions of technical things."""
REMOVED_TEXT = "REMOVED"
_MARKER = "[removed]"
_NUMBER_FORMS = {
    "DS": rb" *[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]{1,3})? *",
    "IS": rb" *[+-]?[0-9]{1,12} *",
}
NUMBERS = {
    vr: re.compile(rb"(?:%b)?(?:\\(?:%b)?)*\0?| *" % (form, form)) for vr, form in _NUMBER_FORMS.items()
}
"""Grammar of values that are numbers in text (PS3.5 6.2), which can hold no words."""
_CODE_STRING = re.compile(rb"[A-Z0-9_ ]{0,16}(?:\\[A-Z0-9_ ]{0,16})*\0?")
_LONG_DIGITS = re.compile(rb"[0-9]{6}")
_INVISIBLE = re.compile(
    r"[\x00-\x08\x0b\x0e-\x1a\x1c-\x1f\x7f\u00ad\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb]"
)
"""Characters that nobody sees and that would hide a name from a search; line breaks and escapes stay."""
_AGE = re.compile(r"(\d{1,4}) ?([DWMY])", re.IGNORECASE)
_UID = re.compile(r"[0-9.]{1,64}")
_OLDEST_YEARS = 89
_DAYS = {"D": 1, "W": 7, "M": 30.4375, "Y": 365.25}

_SINGLE_SETS = {
    **dict.fromkeys(("", "ISO_IR 6"), "iso8859"),
    "ISO_IR 100": "latin_1",
    "ISO_IR 101": "iso8859_2",
    "ISO_IR 144": "iso_ir_144",
    "ISO_IR 192": "UTF8",
    "GB18030": "GB18030",
    "GBK": "GBK",
}
"""Python codecs of the usual character sets; pydicom, which takes long to import, knows the others."""

_DUMMY = {
    "DA": b"19000101",
    "TM": b"000000",
    "DT": b"19000101000000",
    "AS": b"000D",
    "DS": b"0",
    "IS": b"0",
    "UI": b"2.25.0",
    "UR": b"urn:removed",
    "OB": b"\0\0",
    "OW": b"\0\0",
    "UN": b"\0\0",
}
"""Values for attributes that must not be empty; text VRs say so in words."""

_PRIVATE_CLASSES = frozenset(
    {
        "1.3.12.2.1107.5.9.1",  # Siemens CSA Non-Image
        "1.3.12.2.1107.5.99.3.10",
        "1.3.12.2.1107.5.99.3.11",
        "1.3.46.670589.2.3.1.1",  # Philips
        "1.3.46.670589.2.4.1.1",
        "1.3.46.670589.2.5.1.1",
        "1.3.46.670589.5.0.1",
        "1.3.46.670589.5.0.1.1",
        "1.3.46.670589.5.0.2",
        "1.3.46.670589.5.0.2.1",
        "1.3.46.670589.5.0.3",
        "1.3.46.670589.5.0.3.1",
        "1.3.46.670589.5.0.4",
        "1.3.46.670589.5.0.8",
        "1.3.46.670589.5.0.9",
        "1.3.46.670589.5.0.10",
        "1.3.46.670589.5.0.11",
        "1.3.46.670589.5.0.11.1",
        "1.3.46.670589.5.0.12",
        "1.3.46.670589.5.0.12.1",
        "1.3.46.670589.5.0.13",
        "1.3.46.670589.5.0.14",
        "1.2.840.113619.4.2",  # GE
        "1.2.840.113619.4.3",
        "1.2.840.113619.4.5.249",
        "1.2.840.113619.4.26",
        "1.2.840.113619.4.27",
        "1.2.840.113619.4.30",
        "1.2.392.200036.9116.7.8.1.1.1",  # Toshiba
    }
)
"""SOP classes that vendors registered and that PS3.6 does not list; they name a class, not an instance."""


_REGISTERED = re.compile(r"1\.2\.840\.10008\.(5\.1\.4|1\.2)(\.\d{1,3}){1,6}")
"""SOP classes and transfer syntaxes of editions after the UID dictionary; no room for a record number."""


@functools.cache
def _well_known() -> frozenset[str]:
    return registered_uids() | _PRIVATE_CLASSES


def is_well_known(uid: str) -> bool:
    """Whether a UID is registered in PS3.6 (or a known private SOP class) and so names no instance."""
    return uid in _well_known() or _REGISTERED.fullmatch(uid) is not None


@dataclass(frozen=True)
class Patient:
    """Everything that decides how values of one patient are replaced.

    Attributes:
        identity: The identity string that pseudonyms and the shift derive from.
        label: Pseudonym of the patient, used as Patient ID, Patient's Name and folder.
        patient_id: Stripped Patient ID of the source, to recognise it in nested data sets.
        shift: Keyed displacement of dates and times.
        known: Identifiers that must not survive.
    """

    identity: str
    label: str
    shift: Shift
    known: KnownIdentifiers


class ValueCleaner:
    """Replaces values of one patient; pure functions of (value, patient, key), remembered."""

    def __init__(self, patient: Patient, pseudonyms: Pseudonyms) -> None:
        self.patient = patient
        self.numbers = patient.known.numbers()
        self.pseudonyms = pseudonyms
        self._texts: dict[tuple[bytes, str, tuple[str, ...]], bytes] = {}
        self._clean = patient.known.clean
        self._clean_known = functools.partial(patient.known.clean, patterns=False)
        self._uids: dict[bytes, bytes] = {}
        self._dates: dict[tuple[str, bytes], bytes] = {}
        self._pairs: dict[tuple[bytes, bytes], tuple[bytes, bytes]] = {}
        self._codes: dict[bytes, bytes] = {}

    def text(self, raw: bytes, vr: str, charset: Sequence[str]) -> bytes:
        """Clean free text (action C), each value of a multi-valued text by itself.

        Args:
            raw: Encoded value.
            vr: One of the text VRs, or CS.
            charset: Python codecs of the Specific Character Set in force.

        Returns:
            The cleaned value in the same character set, unpadded; empty if nothing may stay.
        """
        key = (raw, vr, () if is_plain_ascii(raw) else tuple(charset))
        done = self._texts.get(key)
        if done is None:
            done = self._texts[key] = self._clean_text(raw, vr, charset, self._clean)
        return done

    def retained(self, raw: bytes, vr: str, charset: Sequence[str]) -> bytes:
        """Clean the name of a device or an institution that an option retains.

        It loses what is known of the patient; numbers and names that only look like identity are its nature.
        """
        return self._clean_text(raw, vr, charset, self._clean_known)

    def _clean_text(self, raw: bytes, vr: str, charset: Sequence[str], clean: Callable[..., str]) -> bytes:
        text = decode(raw, charset).rstrip(" \0")
        visible = _INVISIBLE.sub("", text)
        if vr in _SINGLE_TEXTS:
            cleaned = clean(visible, _MARKER) if visible.strip() else ""
            if len(cleaned) > len(text):  # the marks must not outgrow what the VR holds
                cleaned = clean(visible)
            if cleaned.replace(_MARKER, "").strip(" .,;:-/\r\n\t") == "":
                cleaned = ""
        else:
            cleaned = "\\".join(clean(value) if value else "" for value in visible.split("\\"))
            if not cleaned.strip("\\ "):
                cleaned = ""
        return raw.rstrip(b" \0") if cleaned == text else encode(cleaned, charset)

    def code_string(self, raw: bytes) -> bytes:
        """Check a CS value: its grammar (PS3.5 6.2), and identifiers of six characters or more."""
        done = self._codes.get(raw)
        if done is None:
            done = self._codes[raw] = self._clean_code_string(raw)
        return done

    def _clean_code_string(self, raw: bytes) -> bytes:
        if _CODE_STRING.fullmatch(raw) is None or _LONG_DIGITS.search(raw):
            return self._clean_text(raw, "CS", ("ascii",), self._clean)
        # shorter identifiers may meet a code by chance (GR, HEAD, MR), and a code is no place for a name
        find = self.patient.known.find_raw
        values = raw.rstrip(b" \0").split(b"\\")
        return b"\\".join(b"" if find(value) else value for value in values)

    def code_value(self, raw: bytes, charset: Sequence[str]) -> bytes:
        """Check a coded value: digits are its nature, so only identifiers of six characters or more count."""
        return self.text(raw, "SH", charset) if self.patient.known.find_raw(raw) else raw

    def designation(self, raw: bytes, vr: str, charset: Sequence[str]) -> bytes:
        """Clean the name or version of a technical thing where it holds a known identifier.

        Patterns of unknown identity (long numbers) are not looked for: versions look like them.
        """
        residue = self.patient.known.residue
        values = decode(raw, charset).rstrip(" \0").split("\\")
        if any(residue(value) for value in values) or self.patient.known.find_raw(raw):
            return self.text(raw, vr, charset)
        return raw

    def uid(self, raw: bytes) -> bytes:
        """Replace every UID that is not registered; what is no UID at all is replaced as well."""
        done = self._uids.get(raw)
        if done is None:
            values = raw.decode("latin-1").split("\\")
            done = self._uids[raw] = "\\".join(self._map_uid(value.strip(" \0")) for value in values).encode()
        return done

    def _map_uid(self, uid: str) -> str:
        return uid if not uid or is_well_known(uid) else self.pseudonyms.uid(uid)

    def date(self, raw: bytes, vr: str) -> bytes:
        """Shift each value of DA, TM or DT; what is not a date or time becomes empty."""
        key = (vr, raw)
        done = self._dates.get(key)
        if done is None:
            shift = _SHIFTS[vr]
            values = raw.decode("latin-1").split("\\")
            shifted = [shift(value.strip(" \0"), self.patient.shift) or "" for value in values]
            done = self._dates[key] = "\\".join(shifted).encode() if any(shifted) else b""
        return done

    def pair(self, date: bytes, time: bytes) -> tuple[bytes, bytes]:
        """Shift dates and the times that belong to them as instants, with day carry.

        Values that do not pair up are shifted each by itself.
        """
        key = (date, time)
        done = self._pairs.get(key)
        if done is None:
            done = self._pairs[key] = self._shift_pair(date, time)
        return done

    def _shift_pair(self, date: bytes, time: bytes) -> tuple[bytes, bytes]:
        dates = [value.strip(" \0") for value in date.decode("latin-1").split("\\")]
        times = [value.strip(" \0") for value in time.decode("latin-1").split("\\")]
        if len(dates) != len(times):
            return self.date(date, "DA"), self.date(time, "TM")
        shift = self.patient.shift
        pairs = [
            shift_pair(da, tm, shift) or (shift_date(da, shift) or "", shift_time(tm, shift) or "")
            for da, tm in zip(dates, times, strict=True)
        ]
        return "\\".join(p[0] for p in pairs).encode(), "\\".join(p[1] for p in pairs).encode()

    def dummy(self, raw: bytes, vr: str, tag: int) -> bytes:
        """A value that is valid, not empty and says nothing (action D).

        Identifiers get a keyed pseudonym, so that equal stays equal.
        """
        if vr == "UI":
            return self.uid(raw) if raw.strip(b" \0") else _DUMMY["UI"]
        if vr in BINARY_SIZES:
            return bytes(len(raw) or BINARY_SIZES[vr])
        if vr in TEXT_VRS and vr != "PN" and raw.strip(b" \0") and _is_identifier(tag):
            return self.pseudonyms.label(f"{tag:08x}", raw.strip(b" \0").decode("latin-1")).encode()
        return _DUMMY.get(vr, REMOVED_TEXT.encode())


_NO_SHIFT = Shift(days=-31, minutes=0)
_SHIFTS: dict[str, Callable[[str, Shift], str | None]] = {
    "DA": shift_date,
    "TM": shift_time,
    "DT": shift_datetime,
}


def is_plain_ascii(raw: bytes) -> bool:
    """Whether bytes mean the same in every character set: ASCII without ISO 2022 escapes."""
    return raw.isascii() and b"\x1b" not in raw


def is_valid_date(raw: bytes, vr: str) -> bool:
    """Whether every value of a DA, TM or DT is one."""
    values = raw.decode("latin-1").split("\\")
    return all(
        _SHIFTS[vr](value.strip(" \0"), _NO_SHIFT) is not None for value in values if value.strip(" \0")
    )


def is_valid_uid(raw: bytes) -> bool:
    """Whether every value has the characters and the length of a UID (PS3.5 9.1)."""
    values = raw.decode("latin-1").split("\\")
    return all(_UID.fullmatch(value.strip(" \0")) for value in values)


def capped_age(raw: bytes) -> bytes:
    """Age String as it may be shared: above 89 years becomes ``090Y``, what is no age becomes empty."""
    value = raw.decode("latin-1").strip(" \0")
    match = _AGE.fullmatch(value)
    if match is None:
        return b""
    number, unit = int(match[1]), match[2].upper()
    if number * _DAYS[unit] >= (_OLDEST_YEARS + 1) * _DAYS["Y"]:
        return b"090Y"
    return f"{number:03d}{unit}".encode() if number < 1000 else b""


@functools.cache
def _is_identifier(tag: int) -> bool:
    entry = entry_of(tag)
    return entry is not None and entry.keyword.endswith(("ID", "Identifier", "Number", "IDs"))


@functools.lru_cache(maxsize=256)
def codecs_of(specific_character_set: bytes) -> tuple[str, ...]:
    """Python codecs of a Specific Character Set (0008,0005) value; Latin-1 where it is not understood."""
    names = [name.strip() for name in specific_character_set.decode("latin-1").strip(" \0").split("\\")]
    if len(names) == 1 and names[0] in _SINGLE_SETS:
        return (_SINGLE_SETS[names[0]],)
    from pydicom.charset import convert_encodings

    try:
        return tuple(convert_encodings(names))
    except (LookupError, ValueError):  # the latter for a NUL in a name
        return ("iso8859",)


def decode(raw: bytes, charset: Sequence[str]) -> str:
    """Decode text; undecodable bytes become replacement characters, never an error."""
    if is_plain_ascii(raw):
        return raw.decode("ascii")
    try:
        if b"\x1b" not in raw:
            return raw.decode(charset[0])
    except (LookupError, UnicodeError):
        pass  # pydicom knows more names, and reads what it can
    from pydicom.charset import decode_bytes

    try:
        return decode_bytes(raw, list(charset), set(b"\\^=\r\n\f\t"))
    except (LookupError, UnicodeError):
        return raw.decode("latin-1")


def encode(text: str, charset: Sequence[str]) -> bytes:
    """Encode text in its character set; characters that do not fit become ``?``."""
    if text.isascii():
        return text.encode("ascii")
    from pydicom.charset import encode_string

    try:
        return encode_string(text, list(charset))
    except (LookupError, UnicodeError):
        return text.encode("ascii", "replace")
