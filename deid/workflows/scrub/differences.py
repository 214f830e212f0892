"""``--diff``: every changed value, before and after, for the operator's eyes only."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from deid.core.errors import UsageError
from deid.core.files import strerror
from deid.dicom.elements import Buffer, Element
from deid.dicom.part10 import Part10, parse_part10
from deid.dicom.values import STRING_VRS, codecs_of, decode
from deid.nifti.differences import differences as compare
from deid.nifti.scrub import Context, FileKind
from deid.workflows.scrub.units import Unit

_SHOWN = 200
_CHARSET = 0x00080005
_DEFAULT_CHARSET = ("iso8859",)


class DifferenceFile:
    """A file of JSON lines, mode 0600, one line a changed value; nothing where no path is given.

    Raises:
        UsageError: The file exists or cannot be written.
    """

    def __init__(self, path: Path | None) -> None:
        self._stream = None
        if path is None:
            return
        try:
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        except FileExistsError:
            raise UsageError("the --diff file exists already; give a new name.") from None
        except OSError as error:
            raise UsageError(f"the --diff file cannot be written: {strerror(error)}.") from None
        self._stream = os.fdopen(descriptor, "w", encoding="ascii")

    def write(self, lines: Iterable[str]) -> None:
        """Append lines."""
        if self._stream is not None:
            self._stream.writelines(line + "\n" for line in lines)

    def close(self) -> None:
        """Close the file."""
        if self._stream is not None:
            self._stream.close()


def differences(unit: Unit, source: Part10, written: Buffer) -> Iterator[str]:
    """Compare an input with its output.

    Args:
        unit: Whose keyed reference every line carries.
        source: The walked input.
        written: The whole output file.

    Yields:
        JSON objects with ``ref``, ``where`` (tags from the outermost sequence on), ``vr``, ``before`` and
        ``after`` (None where there is no such element).
    """
    with parse_part10(written) as output:
        before = dict(_values(source.body, source.elements, "", _DEFAULT_CHARSET))
        after = dict(_values(output.body, output.elements, "", _DEFAULT_CHARSET))
    for where in sorted(before.keys() | after.keys()):
        old, new = before.get(where), after.get(where)
        if old == new:
            continue
        yield _line(
            unit, where, (old or new or ("", ""))[0], old[1] if old else None, new[1] if new else None
        )


def nifti_differences(unit: Unit, kind: FileKind, written: Sequence[Path], context: Context) -> Iterator[str]:
    """Compare a NIfTI or BIDS file with its output.

    Args:
        unit: The input.
        kind: What it is.
        written: Its output files.
        context: The context that it was cleaned with.

    Yields:
        JSON objects as of :func:`differences`; ``where`` is a field, key or cell, ``vr`` the kind of file.
    """
    for found in compare(kind, unit.path, unit.relative, written, context):
        yield _line(unit, found.where, found.form, found.before, found.after)


def _line(unit: Unit, where: str, vr: str, before: str | None, after: str | None) -> str:
    before, after = (None if value is None else value[:_SHOWN] for value in (before, after))
    fields = {"where": where, "vr": vr, "before": before, "after": after}
    return json.dumps({"ref": "#" + unit.ref[:5].hex(), **fields})


def _values(
    body: Buffer, elements: list[Element], prefix: str, charset: tuple[str, ...]
) -> Iterator[tuple[str, tuple[str, str]]]:
    for element in elements:
        if element.tag == _CHARSET:
            charset = codecs_of(body[element.start : element.end])
        where = f"{prefix}({element.tag >> 16:04X},{element.tag & 0xFFFF:04X})"
        if element.items is not None:
            for number, item in enumerate(element.items):
                yield from _values(body, item, f"{where}[{number}]", charset)
        else:
            yield where, (element.vr, _shown(body, element, charset))


def _shown(body: Buffer, element: Element, charset: tuple[str, ...]) -> str:
    """A value as text, cut where it is long; of binary ones size and start."""
    raw = body[element.start : min(element.end, element.start + _SHOWN)]
    if element.vr in STRING_VRS:
        return decode(raw, charset).strip(" \0")
    return f"{element.end - element.start} bytes {raw[:16].hex()}"
