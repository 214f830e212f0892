"""File meta information and character sets that say what they must not, or that are not there."""

from __future__ import annotations

import pytest
from dicom_files import ct, file_of, read, release

from deid.core.errors import Held
from deid.dicom.part10 import parse_part10

EXPLICIT = b"1.2.840.10008.1.2.1\0"
NAME = "Xqtanaka^Ulrike"


def named(syntax: bytes, *, compressed: bool = False) -> bytes:
    """A file whose File Meta Information gives those 20 bytes as Transfer Syntax UID."""
    data_set = ct()
    data_set.PatientName = NAME
    if compressed:
        data_set.PixelData = (
            b"\xfe\xff\0\xe0\0\0\0\0\xfe\xff\0\xe0\4\0\0\0\xff\xd8\xff\xd9\xfe\xff\xdd\xe0\0\0\0\0"
        )
        data_set["PixelData"].VR = "OB"
    written = file_of(data_set)
    if compressed:  # with the undefined length of fragments
        at = written.rindex(b"\xe0\x7f\x10\0OB\0\0") + 8
        written = written[:at] + b"\xff" * 4 + written[at + 4 :]
    assert written.count(EXPLICIT) == 1 and len(syntax) == len(EXPLICIT)
    return written.replace(EXPLICIT, syntax)


@pytest.mark.parametrize(
    "syntax", [b"Xqtanaka^Ulrike\0\0\0\0\0", b"1.2.840.Xqtanaka^U\0\0", b"1.2.999.4417.20240\0\0"]
)
def test_a_transfer_syntax_that_is_none_does_not_go_out(syntax: bytes) -> None:
    released = release(named(syntax))
    assert syntax.rstrip(b"\0") not in released
    assert read(released).file_meta.TransferSyntaxUID == EXPLICIT.rstrip(b"\0").decode()
    with pytest.raises(Held, match="unknown transfer syntax"):
        release(named(syntax, compressed=True))


@pytest.mark.parametrize("syntax", [b"1.2.840.113619.5.2\0\0", b"1.2.840.10008.1.2.99"])
def test_private_and_newer_transfer_syntaxes_stay(syntax: bytes) -> None:
    assert read(release(named(syntax))).file_meta.TransferSyntaxUID == syntax.rstrip(b"\0").decode()


def test_a_file_without_preamble_but_with_its_mark_is_read() -> None:
    source = named(EXPLICIT)
    assert release(source[128:]) == release(source)
    assert parse_part10(source[128:]).meta


@pytest.mark.parametrize("charset", ["ISO_IR\0 192", "\0\0\0\1", "no such set"])
def test_a_character_set_that_is_none_stops_nothing(charset: str) -> None:
    data_set = ct()
    data_set.PatientName = NAME
    data_set.SpecificCharacterSet = "ISO_IR 192 X"[: len(charset)].ljust(len(charset))
    source = file_of(data_set).replace(data_set.SpecificCharacterSet.encode(), charset.encode())
    assert charset.encode() in source
    assert b"Xqtanaka" not in release(source)
