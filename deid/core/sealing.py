"""Encryption of small records and of files under a passphrase: AES-256-GCM (SP 800-38D), scrypt (RFC 7914).

``cryptography`` is imported inside the functions, so that importing this module costs nothing.
"""

import os

from deid.core.errors import UsageError

NONCE_BYTES = 12
TAG_BYTES = 16
SALT_BYTES = 16

# OWASP's advice for scrypt: N = 2^17, r = 8, p = 1, that is 128 MiB and about 0.3 s for every guess.
SCRYPT_LOG2_N = 17
SCRYPT_R = 8
SCRYPT_P = 1


class Sealer:
    """Encrypts small records under one key; every record has its own random 96-bit nonce.

    A sealed record is ``nonce (12) + ciphertext + tag (16)``. With random nonces one key serves 2^32 records
    (SP 800-38D, 8.3), far more than a project has rows.

    Args:
        key: 32 secret bytes, used for nothing else.
    """

    __slots__ = ("_cipher", "_key")

    def __init__(self, key: bytes) -> None:
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM

        self._key = key
        self._cipher = AESGCM(key)

    def __repr__(self) -> str:
        return "Sealer(<secret>)"

    def __reduce__(self) -> tuple[type["Sealer"], tuple[bytes]]:
        """A worker process rebuilds the cipher from the key; the cipher object itself cannot travel."""
        return Sealer, (self._key,)

    def seal(self, data: bytes, context: bytes = b"") -> bytes:
        """Encrypts one record; ``context`` is bound to it, so a record moved to another row does not open."""
        nonce = os.urandom(NONCE_BYTES)
        return nonce + self._cipher.encrypt(nonce, data, context)

    def unseal(self, sealed: bytes, context: bytes = b"") -> bytes:
        """Opens one record.

        Raises:
            UsageError: The record was made with another key or was changed.
        """
        from cryptography.exceptions import InvalidTag

        # Below this length the cipher raises ValueError or InvalidTag by version; both mean the same here.
        if len(sealed) < NONCE_BYTES + TAG_BYTES:
            raise UsageError(_CANNOT_OPEN)
        try:
            return self._cipher.decrypt(sealed[:NONCE_BYTES], sealed[NONCE_BYTES:], context)
        except InvalidTag:
            raise UsageError(_CANNOT_OPEN) from None


_CANNOT_OPEN = (
    "a sealed record does not open: it was made with another key or was changed. "
    "Use the key of this project, or restore its state folder from a copy."
)


def passphrase_key(passphrase: str, salt: bytes, log2_n: int, r: int, p: int) -> bytes:
    """Derives 32 bytes from a passphrase by scrypt (NFC, so that the keyboard does not matter)."""
    import unicodedata

    from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

    text = unicodedata.normalize("NFC", passphrase).encode("utf-8", "surrogateescape")
    return Scrypt(salt=salt, length=32, n=1 << log2_n, r=r, p=p).derive(text)


def lock(data: bytes, passphrase: str, context: bytes) -> bytes:
    """Encrypts ``data`` under a passphrase.

    Returns:
        ``log2 N (1) + r (1) + p (1) + salt (16) + nonce (12) + ciphertext + tag (16)``; the parameters are
        authenticated with ``context``.

    Raises:
        UsageError: The passphrase is empty.
    """
    if not passphrase:
        raise UsageError("the passphrase is empty; give one of at least one character.")
    header = bytes((SCRYPT_LOG2_N, SCRYPT_R, SCRYPT_P)) + os.urandom(SALT_BYTES)
    key = passphrase_key(passphrase, header[3:], SCRYPT_LOG2_N, SCRYPT_R, SCRYPT_P)
    return header + Sealer(key).seal(data, context + header)


def unlock(locked: bytes, passphrase: str, context: bytes) -> bytes:
    """Opens what :func:`lock` made.

    Raises:
        UsageError: The passphrase is wrong, or the data were changed, cut or made by another program.
    """
    header = locked[: 3 + SALT_BYTES]
    log2_n, r, p = header[:3] if len(header) == 3 + SALT_BYTES else (0, 0, 0)
    # A forged header must not make us allocate more than 128 * r * N = 1 GiB.
    if not (10 <= log2_n <= 20 and 1 <= r <= 8 and 1 <= p <= 4):
        raise UsageError("the encrypted data are damaged or of another version; restore them from a copy.")
    key = passphrase_key(passphrase, header[3:], log2_n, r, p)
    try:
        return Sealer(key).unseal(locked[len(header) :], context + header)
    except UsageError:
        raise UsageError("the passphrase is wrong, or the encrypted data were changed; try again.") from None
