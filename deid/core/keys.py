"""The secret of a project and where it comes from.

One project has one key of 32 bytes. Every use has its own sub-key (HKDF-SHA-256, RFC 5869), so that what
leaves the project under one purpose says nothing about another.
"""

import base64
import binascii
import contextlib
import hmac
import os
import stat
from collections.abc import Callable, Mapping
from pathlib import Path

from deid.core.errors import UsageError
from deid.core.files import strerror, sync_folder
from deid.core.sealing import Sealer, lock, unlock

KEY_BYTES = 32
KEY_VARIABLE = "MAMI_DEID_KEY"
PASSPHRASE_VARIABLE = "MAMI_DEID_PASSPHRASE"  # noqa: S105 - the name of a variable, not a secret

_MAX_KEY_FILE = 4096
_LOCKED_MAGIC = b"mami-deid-locked-key-1\n"
_SALT = b"mami-deid project key v1"


class ProjectKey:
    """The secret of one project.

    Args:
        secret: 32 random bytes or more.

    Attributes:
        fingerprint: 16 hexadecimal digits that name the key without telling anything about it.

    Raises:
        UsageError: The secret is shorter than 32 bytes.
    """

    __slots__ = ("_master", "_secret", "_subkeys", "fingerprint")

    def __init__(self, secret: bytes) -> None:
        if len(secret) < KEY_BYTES:
            raise UsageError(f"the key has {len(secret)} bytes; it needs {KEY_BYTES} or more random bytes.")
        self._secret = bytes(secret)
        self._master = hmac.digest(_SALT, self._secret, "sha256")  # HKDF-Extract
        self._subkeys: dict[str, bytes] = {}
        self.fingerprint = self.subkey("fingerprint")[:8].hex()

    def __repr__(self) -> str:
        return f"ProjectKey({self.fingerprint})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, ProjectKey) and hmac.compare_digest(self._secret, other._secret)

    def __hash__(self) -> int:
        return hash(self.fingerprint)

    def __reduce__(self) -> tuple[type["ProjectKey"], tuple[bytes]]:
        return ProjectKey, (self._secret,)

    def subkey(self, purpose: str) -> bytes:
        """The 32 bytes for one purpose, such as ``"uid"``, ``"date"`` or ``"journal"``."""
        found = self._subkeys.get(purpose)
        if found is None:
            # HKDF-Expand with one block: 32 bytes is all that a purpose needs.
            found = hmac.digest(self._master, purpose.encode() + b"\x01", "sha256")
            self._subkeys[purpose] = found
        return found

    def sealer(self, purpose: str) -> Sealer:
        """A cipher for the records of one purpose."""
        return Sealer(self.subkey(f"seal:{purpose}"))


def new_key() -> ProjectKey:
    """A fresh key from the system's random source."""
    return ProjectKey(os.urandom(KEY_BYTES))


def parse_key(text: str, what: str = "the key") -> ProjectKey:
    """Reads a key written as hexadecimal digits or base64 (standard or URL-safe alphabet).

    Args:
        text: The key.
        what: How messages call it.

    Raises:
        UsageError: It is neither, or decodes to fewer than 32 bytes.
    """
    secret = _decoded("".join(text.split()))
    if secret is None:
        raise UsageError(
            f"{what} is neither hexadecimal nor base64; "
            "make one with: python -c 'import secrets; print(secrets.token_hex(32))'"
        )
    return _checked(secret, what)


def _decoded(compact: str) -> bytes | None:
    try:
        return bytes.fromhex(compact)
    except ValueError:
        standard = compact.replace("-", "+").replace("_", "/")
    try:
        return base64.b64decode(standard + "=" * (-len(standard) % 4), validate=True)
    except (binascii.Error, ValueError):
        return None


def _checked(secret: bytes, what: str) -> ProjectKey:
    if len(secret) < KEY_BYTES:
        raise UsageError(f"{what} has {len(secret)} bytes; it needs {KEY_BYTES} or more random bytes.")
    return ProjectKey(secret)


def key_source(key_file: Path | None, environment: Mapping[str, str]) -> str:
    """Where the key of a project comes from, as messages call it."""
    if key_file is not None:
        return "the key of --key-file"
    return (
        f"the key of {KEY_VARIABLE}" if environment.get(KEY_VARIABLE) else "the key file in the state folder"
    )


def read_passphrase(environment: Mapping[str, str], prompt: Callable[[], str] | None) -> str:
    """The passphrase from ``MAMI_DEID_PASSPHRASE`` or, where that is not set, from ``prompt``.

    Raises:
        UsageError: There is neither.
    """
    given = environment.get(PASSPHRASE_VARIABLE)
    if not given and prompt is not None:
        given = prompt()
    if not given:
        raise UsageError(f"the key is encrypted; set {PASSPHRASE_VARIABLE} or run in a terminal to type it.")
    return given


def read_key_file(
    path: Path,
    environment: Mapping[str, str],
    prompt: Callable[[], str] | None = None,
    what: str = "the key file",
) -> ProjectKey:
    """Reads a key file: hexadecimal or base64 text, 32 raw bytes, or a key locked by a passphrase.

    Args:
        path: The file.
        environment: May hold the passphrase.
        prompt: Asks for it.
        what: How messages call the file.

    Raises:
        UsageError: The file is missing, readable by others, of the wrong size, or its passphrase is wrong.
    """
    data = _read_private(path, what)
    if data.startswith(_LOCKED_MAGIC):
        try:
            locked = base64.b64decode(data[len(_LOCKED_MAGIC) :], validate=False)
        except binascii.Error:
            raise UsageError(f"{what} is damaged; restore it from a copy.") from None
        return _checked(unlock(locked, read_passphrase(environment, prompt), _LOCKED_MAGIC), what)
    # 32 printable characters are far more likely a short text key than 32 random bytes.
    if len(data) == KEY_BYTES and not data.isascii():
        return ProjectKey(data)
    try:
        return parse_key(data.decode("ascii"), what)
    except UnicodeDecodeError:
        raise UsageError(
            f"{what} has {len(data)} bytes that are not text; "
            f"a key is {KEY_BYTES} raw bytes, or hexadecimal or base64 text of {KEY_BYTES} bytes or more."
        ) from None


def write_key_file(path: Path, key: ProjectKey, passphrase: str | None = None) -> None:
    """Writes a new key file with mode 0600, complete or not at all, and never over another one.

    Args:
        path: The file to make.
        key: The key.
        passphrase: Where given, the key is encrypted under it (scrypt, AES-256-GCM).

    Raises:
        FileExistsError: There is such a file already (another process may have been first).
    """
    _, (secret,) = key.__reduce__()
    if passphrase is None:
        data = secret.hex().encode() + b"\n"
    else:
        data = _LOCKED_MAGIC + base64.encodebytes(lock(secret, passphrase, _LOCKED_MAGIC))
    partial = path.with_name(f".{path.name}-{os.getpid()}-{os.urandom(4).hex()}")
    descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(data)
            stream.flush()
            os.fsync(stream.fileno())
        # A link is atomic and refuses an existing name; a half-written key would cost the whole project.
        os.link(partial, path)
    finally:
        partial.unlink()
    sync_folder(path.parent)


def load_key(
    default: Path,
    key_file: Path | None = None,
    environment: Mapping[str, str] | None = None,
    prompt: Callable[[], str] | None = None,
) -> ProjectKey:
    """The key of a project: ``key_file``, or ``MAMI_DEID_KEY``, or the file ``default`` (made if missing).

    A new file is encrypted where ``MAMI_DEID_PASSPHRASE`` is set.

    Raises:
        UsageError: The key given cannot be used.
    """
    environment = os.environ if environment is None else environment
    what = key_source(key_file, environment)
    if key_file is not None:
        return read_key_file(key_file, environment, prompt, what)
    if environment.get(KEY_VARIABLE):
        return parse_key(environment[KEY_VARIABLE], what)
    if not default.exists():
        # Where another process of the same project was first, its key is the project's key.
        with contextlib.suppress(FileExistsError):
            write_key_file(default, new_key(), environment.get(PASSPHRASE_VARIABLE) or None)
    return read_key_file(default, environment, prompt, what)


def _read_private(path: Path, what: str) -> bytes:
    """The bytes of a file that only its owner may read."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError as error:
        raise UsageError(f"{what} cannot be opened: {strerror(error)}.") from None
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise UsageError(f"{what} is not a regular file; give a file with the key.")
        if status.st_mode & 0o077:
            raise UsageError(
                f"{what} has mode {status.st_mode & 0o777:04o}, so others can read or write it; "
                "run chmod 600 on it."
            )
        data = os.read(descriptor, _MAX_KEY_FILE + 1)
    finally:
        os.close(descriptor)
    if len(data) > _MAX_KEY_FILE:
        raise UsageError(f"{what} is larger than {_MAX_KEY_FILE} bytes; this is not a key.")
    return data
