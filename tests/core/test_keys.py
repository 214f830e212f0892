import base64
import os
import secrets
import stat
from pathlib import Path

import pytest

from deid.core.errors import UsageError
from deid.core.keys import ProjectKey, load_key, new_key, parse_key, read_key_file, write_key_file
from deid.core.sealing import Sealer

SECRET = bytes(range(200, 232))


def private(path: Path, data: bytes, mode: int = 0o600) -> Path:
    path.write_bytes(data)
    path.chmod(mode)
    return path


def test_hkdf_is_that_of_rfc_5869() -> None:
    from cryptography.hazmat.primitives.hashes import SHA256
    from cryptography.hazmat.primitives.kdf.hkdf import HKDF

    expected = HKDF(SHA256(), 32, salt=b"mami-deid project key v1", info=b"uid").derive(SECRET)
    assert ProjectKey(SECRET).subkey("uid") == expected


def test_subkeys_differ_and_nothing_shows_the_secret() -> None:
    key = ProjectKey(SECRET)
    purposes = ("uid", "patient", "date", "path", "crosswalk", "index", "journal", "fingerprint")
    assert len({key.subkey(purpose) for purpose in purposes}) == len(purposes)
    assert SECRET.hex() not in repr(key) + str(key) + key.fingerprint
    assert repr(key.sealer("index")) == "Sealer(<secret>)"
    assert key == ProjectKey(SECRET) and key != new_key() and len(key.fingerprint) == 16


@pytest.mark.parametrize(
    "text",
    [
        SECRET.hex(),
        SECRET.hex().upper() + "\n",
        base64.b64encode(SECRET).decode(),
        base64.urlsafe_b64encode(SECRET).decode().rstrip("="),
    ],
)
def test_written_keys_are_read(text: str) -> None:
    assert parse_key(text) == ProjectKey(SECRET)


@pytest.mark.parametrize("text", ["", "abc", "ab" * 31, "not a key at all, is it?", "é" * 50])
def test_bad_keys_are_refused_without_showing_them(text: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_key(text)
    assert not text or text not in str(caught.value)


def test_messages_say_where_a_key_came_from(tmp_path: Path) -> None:
    default = tmp_path / "key"
    for text, words in (("not a key!", "neither hexadecimal nor base64"), ("ab" * 31, "has 31 bytes")):
        with pytest.raises(UsageError, match=f"the key of MAMI_DEID_KEY (is )?{words}"):
            load_key(default, None, {"MAMI_DEID_KEY": text})
        given = private(tmp_path / "given", text.encode())
        with pytest.raises(UsageError, match=f"the key of --key-file (is )?{words}"):
            load_key(default, given, {"MAMI_DEID_KEY": "ab" * 32})
        private(default, text.encode())
        with pytest.raises(UsageError, match=f"the key file in the state folder (is )?{words}"):
            load_key(default, None, {})
    with pytest.raises(UsageError, match="the key of --key-file cannot be opened"):
        load_key(default, tmp_path / "missing", {})


def test_longer_keys_are_taken_whole() -> None:
    assert parse_key((SECRET + b"1").hex()) != parse_key((SECRET + b"2").hex())


def test_a_new_key_file_is_private_and_never_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "key"
    key = new_key()
    write_key_file(path, key)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert read_key_file(path, {}) == key
    with pytest.raises(FileExistsError):
        write_key_file(path, new_key())
    assert read_key_file(path, {}) == key and os.listdir(tmp_path) == ["key"]


def test_raw_key_files_are_read(tmp_path: Path) -> None:
    assert read_key_file(private(tmp_path / "key", SECRET), {}) == ProjectKey(SECRET)


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o602, 0o610])
def test_key_files_open_to_others_are_refused(tmp_path: Path, mode: int) -> None:
    with pytest.raises(UsageError, match="chmod 600"):
        read_key_file(private(tmp_path / "key", SECRET, mode), {})


@pytest.mark.parametrize("data", [b"", SECRET[:31], b"x" * 32, b"ab" * 20, SECRET + SECRET, b"0" * 5000])
def test_key_files_of_a_wrong_size_are_refused(tmp_path: Path, data: bytes) -> None:
    with pytest.raises(UsageError):
        read_key_file(private(tmp_path / "key", data), {})


def test_missing_folders_and_pipes_are_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe", 0o600)
    for path in (tmp_path / "missing", tmp_path, tmp_path / "pipe"):
        with pytest.raises(UsageError) as caught:
            read_key_file(path, {})
        assert str(tmp_path) not in str(caught.value)


def test_a_passphrase_protects_the_key(tmp_path: Path) -> None:
    path = tmp_path / "key"
    key = load_key(path, environment={"MAMI_DEID_PASSPHRASE": "Grüße"})
    assert key._secret.hex().encode() not in path.read_bytes()
    # The same word in another Unicode form comes from another keyboard.
    assert read_key_file(path, {}, prompt=lambda: "Gru\u0308ße") == key
    with pytest.raises(UsageError, match="passphrase is wrong"):
        read_key_file(path, {"MAMI_DEID_PASSPHRASE": "wrong"})
    with pytest.raises(UsageError, match="MAMI_DEID_PASSPHRASE"):
        read_key_file(path, {})
    damaged = private(tmp_path / "damaged", path.read_bytes()[:40])
    with pytest.raises(UsageError, match="damaged"):
        read_key_file(damaged, {"MAMI_DEID_PASSPHRASE": "Grüße"})


def test_the_order_of_the_places(tmp_path: Path) -> None:
    default, given = tmp_path / "key", private(tmp_path / "given", secrets.token_hex(32).encode())
    made = load_key(default, environment={})
    assert load_key(default, environment={}) == made
    variable = {"MAMI_DEID_KEY": SECRET.hex()}
    assert load_key(default, environment=variable) == ProjectKey(SECRET)
    assert load_key(default, given, variable) == read_key_file(given, {})


def test_sealed_records_open_with_their_key_and_place_only() -> None:
    sealer = Sealer(bytes(32))
    sealed = sealer.seal(b"Smith", b"row 1")
    assert b"Smith" not in sealed and sealed != sealer.seal(b"Smith", b"row 1")
    assert sealer.unseal(sealed, b"row 1") == b"Smith"
    changed = sealed[:-1] + bytes([sealed[-1] ^ 1])
    for cipher, data, context in (
        (sealer, sealed, b"row 2"),
        (Sealer(bytes(31) + b"1"), sealed, b"row 1"),
        (sealer, changed, b"row 1"),
        (sealer, b"", b"row 1"),
    ):
        with pytest.raises(UsageError):
            cipher.unseal(data, context)
