"""The crosswalk, the table from pseudonyms back to source values, encrypted for whoever may open it.

File format, version 1 (integers big-endian)::

    magic     19 bytes  b"MAMI-DEID-CROSSWALK"
    version    1 byte   1
    mode       1 byte   1 passphrase, 2 X25519, 3 RSA-OAEP (SHA-256)
    length     2 bytes  of the lock
    lock       n bytes  mode 1: log2 N, r, p of scrypt (1 byte each) and 16 bytes of salt
                        mode 2: the sender's one-time public key (32 bytes)
                        mode 3: the content key, encrypted to the recipient
    pieces              each: length (4 bytes), AES-256-GCM ciphertext and tag of up to 64 KiB of CSV

The nonce of piece i is i (11 bytes) and a last byte, 1 on the final piece, else 0 (the STREAM construction):
pieces cannot be dropped, swapped or cut off unseen. All bytes before the pieces are authenticated with every
piece. The content key of mode 1 is scrypt(passphrase), of mode 2 HKDF-SHA-256 of the shared secret with both
public keys as salt. The text is CSV (RFC 4180) in UTF-8 with a head line. No plain text reaches a disk.
"""

import csv
import io
import os
import struct
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from deid.core.errors import UsageError
from deid.core.files import strerror, sync_folder
from deid.core.sealing import SALT_BYTES, SCRYPT_LOG2_N, SCRYPT_P, SCRYPT_R, TAG_BYTES, passphrase_key

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.padding import OAEP
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

MAGIC = b"MAMI-DEID-CROSSWALK"
VERSION = 1

SHORTEST_PASSPHRASE = 12
"""Characters; whoever gets the file can try passphrases at leisure."""

_PASSPHRASE, _X25519, _RSA = 1, 2, 3
_PIECE = 1 << 16
_INFO = b"mami-deid crosswalk v1"
_DAMAGED = "the crosswalk is damaged or cut short, or this is not its passphrase or key."


@dataclass(frozen=True)
class Passphrase:
    """A passphrase that locks or opens a crosswalk."""

    text: str

    def __repr__(self) -> str:
        return "Passphrase(<secret>)"


@dataclass(frozen=True)
class PublicKey:
    """The recipient's public key in PEM: X25519, or RSA of 2048 bits or more."""

    pem: bytes


@dataclass(frozen=True)
class PrivateKey:
    """The recipient's private key in PEM, with its password where it has one."""

    pem: bytes
    password: str | None = None

    def __repr__(self) -> str:
        return "PrivateKey(<secret>)"


def export_crosswalk(
    path: Path,
    columns: Sequence[str],
    rows: Iterable[Mapping[str, str]],
    recipient: Passphrase | PublicKey,
) -> tuple[int, str]:
    """Writes an encrypted crosswalk (mode 0600) that appears only when complete.

    Args:
        path: The new file; the caller has refused one inside the output.
        columns: The columns in order.
        rows: The rows; a missing column is left empty.
        recipient: Who can open it.

    Returns:
        The number of rows, and how it was encrypted (for the journal).

    Raises:
        UsageError: The file exists or cannot be written, or the key or passphrase cannot be used.
    """
    content_key, mode, lock = _make_lock(recipient)
    header = MAGIC + bytes((VERSION, mode)) + struct.pack(">H", len(lock)) + lock
    partial = path.with_name(f".{path.name}-{os.urandom(4).hex()}")
    count = _Count()
    try:
        descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            with os.fdopen(descriptor, "wb") as stream:
                stream.write(header)
                for piece in _encrypt(_csv(columns, count.through(rows)), content_key, header):
                    stream.write(struct.pack(">I", len(piece)) + piece)
                stream.flush()
                os.fsync(descriptor)
            os.link(partial, path)
        finally:
            with suppress(FileNotFoundError):
                partial.unlink()
        sync_folder(path.parent)
    except FileExistsError:
        raise UsageError("the crosswalk file exists already; give a new name.") from None
    except OSError as error:
        raise UsageError(f"the crosswalk cannot be written: {strerror(error)}.") from None
    return count.number, {_PASSPHRASE: "passphrase", _X25519: "X25519 key", _RSA: "RSA key"}[mode]


def open_crosswalk(source: BinaryIO, target: BinaryIO, opener: Passphrase | PrivateKey) -> None:
    """Decrypts a crosswalk to CSV, piece by piece; every piece is authenticated before it is passed on.

    Raises:
        UsageError: It is not a crosswalk, of a newer version, damaged, cut short, or locked to someone else.
            What was passed on before a cut was found is genuine but not all.
    """
    head = source.read(len(MAGIC) + 4)
    if not head.startswith(MAGIC) or len(head) < len(MAGIC) + 4:
        raise UsageError("this file is not a mami-deid crosswalk.")
    version, mode = head[len(MAGIC)], head[len(MAGIC) + 1]
    if version != VERSION:
        raise UsageError("the crosswalk was made by a newer mami-deid; update this one.")
    lock = source.read(struct.unpack(">H", head[-2:])[0])
    cipher = _cipher(_open_lock(mode, lock, opener))
    for text in _decrypt(source, cipher, head + lock):
        target.write(text)


class _Count:
    """Counts rows on their way."""

    def __init__(self) -> None:
        self.number = 0

    def through(self, rows: Iterable[Mapping[str, str]]) -> Iterator[Mapping[str, str]]:
        for row in rows:
            self.number += 1
            yield row


def _csv(columns: Sequence[str], rows: Iterable[Mapping[str, str]]) -> Iterator[bytes]:
    """The CSV text in pieces of exactly 64 KiB but for the last, which may be empty."""
    text = io.StringIO()
    writer = csv.DictWriter(text, list(columns), restval="", extrasaction="raise", lineterminator="\r\n")
    writer.writeheader()
    pending = b""
    for row in rows:
        writer.writerow(row)
        if text.tell() >= _PIECE:
            pending += text.getvalue().encode("utf-8", "surrogatepass")
            text.seek(0)
            text.truncate()
            while len(pending) > _PIECE:
                yield pending[:_PIECE]
                pending = pending[_PIECE:]
    pending += text.getvalue().encode("utf-8", "surrogatepass")
    while len(pending) > _PIECE:
        yield pending[:_PIECE]
        pending = pending[_PIECE:]
    yield pending


def _nonce(number: int, final: bool) -> bytes:
    return number.to_bytes(11) + bytes((final,))


def _encrypt(pieces: Iterator[bytes], content_key: bytes, header: bytes) -> Iterator[bytes]:
    cipher = _cipher(content_key)
    number, held = 0, next(pieces)
    for piece in pieces:
        yield cipher.encrypt(_nonce(number, False), held, header)
        number, held = number + 1, piece
    yield cipher.encrypt(_nonce(number, True), held, header)


def _decrypt(source: BinaryIO, cipher: "AESGCM", header: bytes) -> Iterator[bytes]:
    from cryptography.exceptions import InvalidTag

    number, piece = 0, _next_piece(source)
    while piece is not None:
        following = _next_piece(source)
        try:
            yield cipher.decrypt(_nonce(number, following is None), piece, header)
        except InvalidTag:
            raise UsageError(_DAMAGED) from None
        number, piece = number + 1, following
    if not number:
        raise UsageError(_DAMAGED)


def _next_piece(source: BinaryIO) -> bytes | None:
    size = source.read(4)
    if not size:
        return None
    length = int.from_bytes(size)
    piece = source.read(length) if len(size) == 4 and TAG_BYTES <= length <= _PIECE + TAG_BYTES else b""
    if not piece or len(piece) != length:
        raise UsageError(_DAMAGED)
    return piece


def _cipher(content_key: bytes) -> "AESGCM":
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    return AESGCM(content_key)


def _make_lock(recipient: Passphrase | PublicKey) -> tuple[bytes, int, bytes]:
    """A content key used once, the mode, and the lock that holds it."""
    if isinstance(recipient, Passphrase):
        if len(recipient.text) < SHORTEST_PASSPHRASE:
            raise UsageError(
                f"the passphrase of the crosswalk is too short; give one of {SHORTEST_PASSPHRASE} characters "
                "or more (several words, say), or encrypt to a public key (--public-key)."
            )
        lock = bytes((SCRYPT_LOG2_N, SCRYPT_R, SCRYPT_P)) + os.urandom(SALT_BYTES)
        return passphrase_key(recipient.text, lock[3:], SCRYPT_LOG2_N, SCRYPT_R, SCRYPT_P), _PASSPHRASE, lock
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import rsa, x25519

    try:
        public = serialization.load_pem_public_key(recipient.pem)
    except (ValueError, UnsupportedAlgorithm):
        raise UsageError("the file is not a public key in PEM; give an X25519 or RSA public key.") from None
    if isinstance(public, x25519.X25519PublicKey):
        own = x25519.X25519PrivateKey.generate()
        lock = own.public_key().public_bytes_raw()
        return _agreed(own.exchange(public), lock, public.public_bytes_raw()), _X25519, lock
    if isinstance(public, rsa.RSAPublicKey) and public.key_size >= 2048:
        content_key = os.urandom(32)
        return content_key, _RSA, public.encrypt(content_key, _oaep())
    raise UsageError("the public key cannot be used; give X25519, or RSA of 2048 bits or more.")


def _open_lock(mode: int, lock: bytes, opener: Passphrase | PrivateKey) -> bytes:
    if isinstance(opener, Passphrase):
        if mode != _PASSPHRASE:
            raise UsageError("the crosswalk is locked to a public key; give the private key.")
        if len(lock) != 3 + SALT_BYTES or not (
            10 <= lock[0] <= 20 and 1 <= lock[1] <= 8 and 1 <= lock[2] <= 4
        ):
            raise UsageError(_DAMAGED)
        return passphrase_key(opener.text, lock[3:], lock[0], lock[1], lock[2])
    if mode == _PASSPHRASE:
        raise UsageError("the crosswalk is locked by a passphrase; give the passphrase.")
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import rsa, x25519

    try:
        password = None if opener.password is None else opener.password.encode()
        private = serialization.load_pem_private_key(opener.pem, password)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise UsageError("the private key cannot be read: it is not PEM, or its password is wrong.") from None
    try:
        if mode == _X25519 and isinstance(private, x25519.X25519PrivateKey):
            sender = x25519.X25519PublicKey.from_public_bytes(lock)
            return _agreed(private.exchange(sender), lock, private.public_key().public_bytes_raw())
        if mode == _RSA and isinstance(private, rsa.RSAPrivateKey):
            return private.decrypt(lock, _oaep())
    except ValueError:
        raise UsageError(_DAMAGED) from None
    raise UsageError("the crosswalk is locked to a key of another kind; give the matching private key.")


def _agreed(shared: bytes, sender: bytes, recipient: bytes) -> bytes:
    from cryptography.hazmat.primitives.hashes import SHA256
    from cryptography.hazmat.primitives.kdf.hkdf import HKDF

    return HKDF(SHA256(), 32, salt=sender + recipient, info=_INFO).derive(shared)


def _oaep() -> "OAEP":
    from cryptography.hazmat.primitives.asymmetric.padding import MGF1, OAEP
    from cryptography.hazmat.primitives.hashes import SHA256

    return OAEP(MGF1(SHA256()), SHA256(), label=_INFO)
