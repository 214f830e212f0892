"""NIfTI-1, NIfTI-2 and Analyze 7.5 headers as bytes: read, cleaned, compared.

Surgery on bytes, not a parse and re-write: what is not cleared stays bit for bit as its software wrote
it, in its own byte order. Sources: nifti1.h, nifti2.h (NIfTI DFWG), dbh.h (Analyze 7.5, Mayo).
"""

import math
import struct
import zlib
from dataclasses import dataclass

from deid.core.errors import Held
from deid.nifti.vocabulary import words

NIFTI1_SIZE = 348
NIFTI2_SIZE = 540
HEAD_BYTES = 4096

_SINGLE = {b"n+1\0": 1, b"n+2\0\r\n\x1a\n": 2}
_PAIR = {b"ni1\0": 1, b"ni2\0\r\n\x1a\n": 2}

BITS = {
    1: 1, 2: 8, 4: 16, 8: 32, 16: 32, 32: 64, 64: 64, 128: 24, 256: 8, 512: 16, 768: 32,
    1024: 64, 1280: 64, 1536: 128, 1792: 128, 2048: 256, 2304: 32,
}  # fmt: skip

# Names that programs read (CIFTI-2 1.0 section 4, nifti1.h statistics). Anything else is free text.
INTENT_NAMES = words(
    """
    ConnDense ConnDenseSeries ConnParcels ConnParcelSries ConnParcelScalr ConnDenseScalar ConnDenseLabel
    ConnDenseParcel ConnParcelDense ConnPPSr ConnPPSc ConnParcelLabel ConnDenseTime ConnDenseTimeSeries
    ConnUnknown ConnDenseTraj ConnDenseFiberFan NONE Correl CORREL TTEST T-test FTEST F-test ZSCORE
    Z-score CHISQ CHI2 BETA BINOM GAMMA POISSON NORMAL UNIFORM LOGISTIC LAPLACE WEIBULL PVAL LOGPVAL
    LOG10PVAL ESTIMATE LABEL NEURONAME GENMATRIX SYMMATRIX DISPVECT VECTOR POINTSET TRIANGLE QUATERNION
    DIMLESS TIME_SERIES NODE_INDEX RGB_VECTOR RGBA_VECTOR SHAPE Zscore Ttest Ftest t-map z-map
    """
)


@dataclass(frozen=True)
class Header:
    """One header as read.

    Attributes:
        version: 1 or 2 for NIfTI, 0 for Analyze 7.5.
        order: Byte order as in :mod:`struct`, ``"<"`` or ``">"``.
        single: True where header and data are one file.
        raw: The header's bytes (348 or 540).
        dims: Size along each used axis, fastest first.
        spacing: Spacing along each used axis (mm for space, s for time unless the header says otherwise).
        datatype: NIfTI datatype code.
        vox_offset: Where the data begins, in bytes.
        intent_code: NIfTI intent code, 0 for Analyze.
    """

    version: int
    order: str
    single: bool
    raw: bytes
    dims: tuple[int, ...]
    spacing: tuple[float, ...]
    datatype: int
    vox_offset: int
    intent_code: int

    @property
    def data_bytes(self) -> int:
        """Length of the data section in bytes."""
        return (math.prod(self.dims) * BITS[self.datatype] + 7) // 8

    @property
    def is_cifti(self) -> bool:
        """True for a NIfTI-2 with a CIFTI intent (3000 to 3099)."""
        return self.version == 2 and 3000 <= self.intent_code <= 3099


def uncompressed_head(head: bytes) -> bytes:
    """The first bytes of a file, inflated where it is gzip; empty where the gzip stream cannot be read."""
    if head[:2] != b"\x1f\x8b":
        return head
    try:
        return zlib.decompressobj(wbits=31).decompress(head, HEAD_BYTES)
    except zlib.error:
        return b""


def is_nifti(head: bytes, name: str) -> bool:
    """Tells whether a file holds a NIfTI or Analyze header.

    Args:
        head: The first bytes of the file as stored; :data:`HEAD_BYTES` are enough.
        name: The file's name. Analyze 7.5 has no magic, so it counts only under the name ``.hdr``.
    """
    head = uncompressed_head(head)
    version, _ = _magic(head)
    if version:
        return True
    return name.lower().removesuffix(".gz").endswith(".hdr") and _is_size(head, NIFTI1_SIZE)


def parse_header(raw: bytes) -> Header:
    """Reads a header from the first bytes (inflated) of a file.

    Raises:
        Held: Too short, no header, or its dimensions, data type or data offset cannot be true.
    """
    version, single = _magic(raw)
    size = NIFTI2_SIZE if version == 2 else NIFTI1_SIZE
    if len(raw) < size:
        raise Held("unreadable: NIfTI header truncated")
    if not version and not _is_size(raw, NIFTI1_SIZE):
        raise Held("unreadable: no NIfTI header")
    if version and not _is_size(raw, size):
        raise Held("unreadable: NIfTI header size field")
    raw = raw[:size]
    order = "<" if struct.unpack_from("<i", raw)[0] == size else ">"
    if version == 2:
        dim, pixdim = struct.unpack_from(order + "8q", raw, 16), struct.unpack_from(order + "8d", raw, 104)
        datatype, bitpix = struct.unpack_from(order + "2h", raw, 12)
        vox_offset = struct.unpack_from(order + "q", raw, 168)[0]
        intent = struct.unpack_from(order + "i", raw, 504)[0]
    else:
        dim, pixdim = struct.unpack_from(order + "8h", raw, 40), struct.unpack_from(order + "8f", raw, 76)
        intent, datatype, bitpix = struct.unpack_from(order + "3h", raw, 68)
        vox_offset = _whole(struct.unpack_from(order + "f", raw, 108)[0])
    _check_layout(dim, datatype, bitpix)
    used = dim[0]
    offset = _data_offset(vox_offset, size, single)
    return Header(
        version, order, single, raw, tuple(dim[1 : used + 1]), tuple(pixdim[1 : used + 1]),
        datatype, offset, intent if version else 0,
    )  # fmt: skip


def cleaned(header: Header, vox_offset: int, note: bytes = b"") -> bytes:
    """The header with every text field cleared and every unused byte zero; cleaning twice changes nothing.

    Affine, data type, scaling, used dimensions and spacings, units and slice timing stay bit for bit.

    Args:
        header: As read.
        vox_offset: Where the data begins in the new file, in bytes.
        note: What ``descrip`` says, up to 80 bytes.
    """
    out = bytearray(header.raw)
    if header.version == 2:
        _clean_nifti2(out, header, vox_offset)
    elif header.version == 1:
        _clean_nifti1(out, header, vox_offset)
    else:
        _clean_analyze(out, header, vox_offset)
    start, end = text_spans(header)["descrip"]
    out[start:end] = note.ljust(end - start, b"\0")[: end - start]
    return bytes(out)


def geometry(header: Header) -> bytes:
    """The bytes that must be equal before and after: dimensions, type, scaling, spacing, timing, affine."""
    n = len(header.dims) + 1
    parts: tuple[tuple[int, int], ...]
    if header.version == 2:
        parts = ((12, 14), (16, 16 + 8 * n), (104, 104 + 8 * n), (176, 240), (344, 508), (524, 525))
    elif header.version == 1:
        parts = ((39, 40 + 2 * n), (68, 72), (74, 76 + 4 * n), (112, 140), (252, 328))
    else:
        parts = ((40, 40 + 2 * n), (70, 72), (76, 76 + 4 * n), (112, 132), (252, 253))
    return header.order.encode() + b"".join(header.raw[a:b] for a, b in parts)


def text_fields(header: Header) -> dict[str, str]:
    """The header's text fields that are not empty, decoded as Latin-1 and stripped."""
    spans = text_spans(header)
    texts = {k: header.raw[a:b].split(b"\0")[0].decode("latin-1").strip() for k, (a, b) in spans.items()}
    return {name: text for name, text in texts.items() if text}


def text_spans(header: Header) -> dict[str, tuple[int, int]]:
    """Begin and end in the header of its text fields, by name."""
    if header.version == 2:
        spans = {"descrip": (240, 320), "aux_file": (320, 344), "intent_name": (508, 524)}
    else:
        spans = {"data_type": (4, 14), "db_name": (14, 32), "descrip": (148, 228), "aux_file": (228, 252)}
        if header.version:
            spans["intent_name"] = (328, 344)
        else:
            spans |= {"patient_id": (283, 293), "scannum": (273, 283), "exp_date": (293, 303)}
    return spans


def _magic(raw: bytes) -> tuple[int, bool]:
    """(version, single); version 0 where there is no NIfTI magic."""
    for table, single in ((_SINGLE, True), (_PAIR, False)):
        version = table.get(raw[344:348], 0) or table.get(raw[4:12], 0)
        if version:
            return version, single
    return 0, False


def _is_size(raw: bytes, size: int) -> bool:
    return raw[:4] in (struct.pack("<i", size), struct.pack(">i", size))


def _whole(value: float) -> int:
    if not math.isfinite(value) or value != int(value):
        raise Held("unreadable: NIfTI data offset")
    return int(value)


def _check_layout(dim: tuple[int, ...], datatype: int, bitpix: int) -> None:
    if not 1 <= dim[0] <= 7 or any(size < 1 for size in dim[1 : dim[0] + 1]):
        raise Held("unreadable: NIfTI dimensions")
    if datatype not in BITS:
        raise Held("unreadable: NIfTI data type")
    # Zero is written by some old programs; the data type alone says it then.
    if bitpix not in (0, BITS[datatype]):
        raise Held("unreadable: NIfTI bits per voxel contradict the data type")


def _data_offset(vox_offset: int, size: int, single: bool) -> int:
    if not single:
        if vox_offset < 0:
            raise Held("unreadable: NIfTI data offset")
        return vox_offset
    if vox_offset == 0:
        return size + 4
    if vox_offset < size + 4:
        raise Held("unreadable: NIfTI data offset")
    return vox_offset


def _zero(out: bytearray, *spans: tuple[int, int]) -> None:
    for start, end in spans:
        out[start:end] = bytes(end - start)


def _clean_axes(out: bytearray, order: str, used: int, dim: tuple[int, str], pixdim: tuple[int, str]) -> None:
    """Unused dimensions become 1 and unused spacings 0, unless they are the usual 0 or 1 already.

    pixdim[4] stays: a mean of a time series keeps its repetition time there.
    """
    for axis in range(used + 1, 8):
        for (start, code), fill, first in ((dim, 1, 0), (pixdim, 0, 5)):
            at = start + axis * struct.calcsize(code)
            if axis >= first and struct.unpack_from(order + code, out, at)[0] not in (0, 1):
                struct.pack_into(order + code, out, at, fill)


def _clean_intent(out: bytearray, start: int) -> None:
    name = bytes(out[start : start + 16]).split(b"\0")[0]
    kept = name if name.decode("latin-1") in INTENT_NAMES else b""
    out[start : start + 16] = kept.ljust(16, b"\0")


def _clean_nifti1(out: bytearray, header: Header, vox_offset: int) -> None:
    _zero(out, (4, 32), (140, 148), (148, 252))
    # The constants that Analyze 7.5 asks for; no NIfTI reader uses them.
    struct.pack_into(header.order + "ih", out, 32, 16384, 0)
    out[38:39] = b"r"
    if header.intent_code == 0:
        _zero(out, (56, 68))
    struct.pack_into(header.order + "h", out, 72, BITS[header.datatype])
    struct.pack_into(header.order + "f", out, 108, vox_offset)
    _clean_axes(out, header.order, len(header.dims), (40, "h"), (76, "f"))
    _clean_intent(out, 328)


def _clean_nifti2(out: bytearray, header: Header, vox_offset: int) -> None:
    _zero(out, (240, 344), (525, 540))
    if header.intent_code == 0:
        _zero(out, (80, 104))
    struct.pack_into(header.order + "h", out, 14, BITS[header.datatype])
    struct.pack_into(header.order + "q", out, 168, vox_offset)
    _clean_axes(out, header.order, len(header.dims), (16, "q"), (104, "d"))
    _clean_intent(out, 508)


def _clean_analyze(out: bytearray, header: Header, vox_offset: int) -> None:
    """Analyze 7.5: data_history holds patient id, date and time of the examination."""
    _zero(out, (4, 32), (39, 40), (56, 70), (74, 76), (132, 252), (263, 348))
    struct.pack_into(header.order + "ih", out, 32, 16384, 0)
    out[38:39] = b"r"
    struct.pack_into(header.order + "h", out, 72, BITS[header.datatype])
    struct.pack_into(header.order + "f", out, 108, vox_offset)
    _clean_axes(out, header.order, len(header.dims), (40, "h"), (76, "f"))
    # SPM keeps the origin voxel in "originator": five shorts; anything else there is text.
    origin = struct.unpack_from(header.order + "5h", out, 253)
    sizes = (*header.dims, 1, 1, 1)[:3]
    if any(not 0 <= o <= 2 * s for o, s in zip(origin, sizes, strict=False)) or any(origin[3:]):
        _zero(out, (253, 263))
