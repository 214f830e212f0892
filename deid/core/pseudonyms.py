"""Pseudonyms: keyed pure functions of the source value (HMAC-SHA-256), with one sub-key for each purpose.

There is no table: shards, repeats and resumed runs agree because they hold the same key. Without the key a
pseudonym cannot be computed from a guessed source value. Well-known UIDs (SOP classes, transfer syntaxes) are
the caller's concern.
"""

import base64
import functools
import hmac

from deid.core.dates import Shift
from deid.core.keys import ProjectKey

_LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
_PADDING = " \0\t\r\n"
_MEMO = 1 << 16
_MAX_LABEL = 48


class Pseudonyms:
    """All pseudonyms of one project.

    Args:
        key: The key of the project.
        keep_times: Leave times of day as they are (whole days are shifted only).
    """

    def __init__(self, key: ProjectKey, *, keep_times: bool = False) -> None:
        self._key = key
        self._keep_times = keep_times
        # Bounded memos: one study repeats a few UIDs in every file, and a project has few patients.
        self._uid = functools.lru_cache(_MEMO)(self._make_uid)
        self._label = functools.lru_cache(_MEMO)(self._make_label)
        self._shift = functools.lru_cache(_MEMO)(self._make_shift)

    def __repr__(self) -> str:
        return f"Pseudonyms({self._key!r}, keep_times={self._keep_times})"

    def __reduce__(self) -> tuple[functools.partial["Pseudonyms"], tuple[ProjectKey]]:
        return functools.partial(Pseudonyms, keep_times=self._keep_times), (self._key,)

    def uid(self, uid: str) -> str:
        """The pseudonym of a UID: ``2.25.`` and 128 bits in decimal (at most 44 characters; PS3.5 B.2).

        Padding around the UID (spaces, NUL) does not count.
        """
        return self._uid(uid)

    def patient(self, identity: str) -> str:
        """The pseudonym of a patient: ``P`` and 15 characters ``A-Z2-7`` (75 bits).

        It is valid as Patient ID (LO), as a folder name on any file system, and as a BIDS label.
        """
        return self._label("patient", identity, 16, "P")

    def label(self, purpose: str, value: str, length: int = 16) -> str:
        """A pseudonym of ``length`` characters ``A-Z2-7``, the first a letter (accession number, study id).

        Args:
            purpose: What is named; equal values under two purposes get unrelated labels.
            value: The source value; padding around it does not count.
            length: 4 to 48 characters; 16 fit every VR from SH on.
        """
        if not 4 <= length <= _MAX_LABEL:
            raise ValueError(f"a label has 4 to {_MAX_LABEL} characters")
        return self._label(purpose, value.strip(_PADDING), length, "")

    def shift(self, patient: str) -> Shift:
        """The shift of all dates and times of one patient, from the identity string of the patient."""
        return self._shift(patient)

    def reference(self, path: str) -> str:
        """The name of a unit in messages: ``#`` and ten hex digits; ``mami-deid show`` resolves it."""
        return "#" + self.path_digest(path)[:5].hex()

    def path_digest(self, path: str) -> bytes:
        """The keyed digest (16 bytes) of a relative path: the row of a unit in the journal."""
        return self.digest("path", path)

    def digest(self, purpose: str, value: str) -> bytes:
        """A keyed digest (16 bytes) of a source value, to compare values without keeping them."""
        return hmac.digest(self._key.subkey(purpose), _encode(value), "sha256")[:16]

    def _make_uid(self, uid: str) -> str:
        digest = hmac.digest(self._key.subkey("uid"), _encode(uid.strip(_PADDING)), "sha256")
        return f"2.25.{int.from_bytes(digest[:16])}"

    def _make_label(self, purpose: str, value: str, length: int, first: str) -> str:
        subkey = self._key.subkey("patient" if purpose == "patient" else f"label:{purpose}")
        digest = hmac.digest(subkey, _encode(value), "sha256")
        body = base64.b32encode(digest[2:]).decode("ascii")
        return (first or _LETTERS[int.from_bytes(digest[:2]) % 26]) + body[: length - 1]

    def _make_shift(self, patient: str) -> Shift:
        digest = hmac.digest(self._key.subkey("date"), _encode(patient), "sha256")
        days = Shift.EARLIEST + int.from_bytes(digest[:8]) % (Shift.LATEST - Shift.EARLIEST + 1)
        minutes = 0 if self._keep_times else 1 + int.from_bytes(digest[8:16]) % 1439
        return Shift(days, minutes)


def _encode(value: str) -> bytes:
    # File names hold undecodable bytes as lone surrogates; this keeps every string distinct and never fails.
    return value.encode("utf-8", "surrogatepass")
