import csv
import io
import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa, x25519

from deid.core import crosswalk, sealing
from deid.core.crosswalk import Passphrase, PrivateKey, PublicKey, export_crosswalk, open_crosswalk
from deid.core.errors import UsageError

COLUMNS = ("kind", "source", "pseudonym")
ROWS = [
    {"kind": "patient", "source": 'CANARY^"Jane", Müller\n', "pseudonym": "PABC"},
    {"kind": "study", "source": "1.2.3.CANARY", "pseudonym": "2.25.1"},
    {"kind": "accession", "pseudonym": "=X"},
]


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(crosswalk, "SCRYPT_LOG2_N", 10)
    assert sealing.SCRYPT_LOG2_N == 17


def pems(private: object, password: bytes | None = None) -> tuple[PublicKey, PrivateKey]:
    lock = serialization.BestAvailableEncryption(password) if password else serialization.NoEncryption()
    secret = private.private_bytes(  # type: ignore[attr-defined]
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, lock
    )
    public = private.public_key().public_bytes(  # type: ignore[attr-defined]
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    return PublicKey(public), PrivateKey(secret, password.decode() if password else None)


def opened(path: Path, opener: Passphrase | PrivateKey) -> list[dict[str, str]]:
    target = io.BytesIO()
    with path.open("rb") as source:
        open_crosswalk(source, target, opener)
    return list(csv.DictReader(io.StringIO(target.getvalue().decode(), newline="")))


WHOLE = [{name: row.get(name, "") for name in COLUMNS} for row in ROWS]
X25519 = pems(x25519.X25519PrivateKey.generate(), b"pw")
RSA = pems(rsa.generate_private_key(65537, 2048))
PHRASE = (Passphrase("open sesame, please"), Passphrase("open sesame, please"))


@pytest.mark.parametrize(("recipient", "opener"), [PHRASE, X25519, RSA])
def test_only_the_recipient_opens_it(
    tmp_path: Path, recipient: Passphrase | PublicKey, opener: Passphrase | PrivateKey
) -> None:
    path = tmp_path / "crosswalk"
    count, how = export_crosswalk(path, COLUMNS, ROWS, recipient)
    assert count == 3 and how in ("passphrase", "X25519 key", "RSA key")
    assert b"CANARY" not in path.read_bytes() and path.read_bytes().startswith(b"MAMI-DEID-CROSSWALK\1")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600 and os.listdir(tmp_path) == ["crosswalk"]
    assert opened(path, opener) == WHOLE
    others = [Passphrase("wrong"), X25519[1], RSA[1], pems(x25519.X25519PrivateKey.generate())[1]]
    for other in others:
        if other != opener:
            with pytest.raises(UsageError):
                opened(path, other)


def test_many_rows_cross_pieces_and_every_cut_or_change_is_found(tmp_path: Path) -> None:
    path = tmp_path / "crosswalk"
    rows = [{"kind": "uid", "source": f"1.2.{i}", "pseudonym": "ü" * (i % 90)} for i in range(6000)]
    export_crosswalk(path, COLUMNS, iter(rows), X25519[0])
    data = path.read_bytes()
    assert len(data) > 4 * 65536 and opened(path, X25519[1]) == rows
    first = len(data) - sum(4 + n for n in _pieces(data))
    second = first + 4 + int.from_bytes(data[first : first + 4])
    for broken in (
        data[:-1],
        data[:second],
        data[:first],
        data[:10],
        data[: first + 2],
        data[:first] + data[second:],
        data + data[first:second],
        data[:30] + bytes([data[30] ^ 1]) + data[31:],
        data[: first + 9] + bytes([data[first + 9] ^ 1]) + data[first + 10 :],
        data[:first] + b"\xff" * 4 + data[first + 4 :],
        b"",
    ):
        path.write_bytes(broken)
        with pytest.raises(UsageError):
            opened(path, X25519[1])


def _pieces(data: bytes) -> Iterator[int]:
    position = 19 + 4 + int.from_bytes(data[21:23])
    while position < len(data):
        yield (length := int.from_bytes(data[position : position + 4]))
        position += 4 + length


@pytest.mark.parametrize("size", [65536 - 8, 65536 - 9, 65536 - 7, 2 * 65536 - 8])
def test_a_text_that_ends_at_the_edge_of_a_piece(tmp_path: Path, size: int) -> None:
    export_crosswalk(tmp_path / "c", ("source",), [{"source": "x" * (size - 2)}], X25519[0])
    assert opened(tmp_path / "c", X25519[1]) == [{"source": "x" * (size - 2)}]


def test_a_newer_version_is_refused(tmp_path: Path) -> None:
    export_crosswalk(tmp_path / "c", COLUMNS, ROWS, X25519[0])
    data = bytearray((tmp_path / "c").read_bytes())
    data[19] = 2
    (tmp_path / "c").write_bytes(data)
    with pytest.raises(UsageError, match="newer"):
        opened(tmp_path / "c", X25519[1])


@pytest.mark.parametrize(
    "recipient",
    [
        Passphrase(""),
        Passphrase("CANARY 4567"),
        PublicKey(b"CANARY"),
        PublicKey(RSA[1].pem),
        pems(ec.generate_private_key(ec.SECP256R1()))[0],
        pems(rsa.generate_private_key(65537, 1024))[0],
    ],
)
def test_recipients_that_cannot_be_used_are_refused(
    tmp_path: Path, recipient: Passphrase | PublicKey
) -> None:
    with pytest.raises(UsageError) as caught:
        export_crosswalk(tmp_path / "c", COLUMNS, ROWS, recipient)
    assert "CANARY" not in str(caught.value) and os.listdir(tmp_path) == []


def test_nothing_is_overwritten_and_a_failure_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "c").write_bytes(b"mine")
    with pytest.raises(UsageError, match="exists"):
        export_crosswalk(tmp_path / "c", COLUMNS, ROWS, X25519[0])

    def rows() -> Iterator[dict[str, str]]:
        yield ROWS[0]
        raise UsageError("stopped")

    with pytest.raises(UsageError, match="stopped"):
        export_crosswalk(tmp_path / "d", COLUMNS, rows(), X25519[0])
    assert os.listdir(tmp_path) == ["c"] and (tmp_path / "c").read_bytes() == b"mine"
    with pytest.raises(UsageError, match="cannot be written"):
        export_crosswalk(tmp_path / "missing/c", COLUMNS, ROWS, X25519[0])


def test_a_wrong_password_of_the_private_key_is_named(tmp_path: Path) -> None:
    export_crosswalk(tmp_path / "c", COLUMNS, ROWS, X25519[0])
    for password in (None, "wrong"):
        with pytest.raises(UsageError, match="password"):
            opened(tmp_path / "c", PrivateKey(X25519[1].pem, password))
    assert "PRIVATE" not in repr(X25519[1]) and "sesame" not in repr(PHRASE[0])
