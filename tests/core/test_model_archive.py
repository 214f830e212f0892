"""Archives of models: every damaged one is refused, none surprises."""

import io
import zipfile

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from deid.core.errors import UsageError
from deid.core.model_archive import unpack

FILES = {name: name.encode() * 20 for name in ("model.json", "weights.safetensors", "card.md")}


def archive(compression=zipfile.ZIP_DEFLATED):
    whole = io.BytesIO()
    with zipfile.ZipFile(whole, "w", compression) as packed:
        for name, data in FILES.items():
            packed.writestr(f"tiny/{name}", data)
    return whole.getvalue()


WHOLE = archive()


def test_files_come_out_in_a_folder_that_does_not_last(tmp_path):
    (tmp_path / "x.zip").write_bytes(WHOLE)
    with unpack(tmp_path / "x.zip") as folder:
        assert {file.name: file.read_bytes() for file in folder.iterdir()} == FILES and folder.name == "tiny"
    assert not folder.exists()


def test_unusual_compression_is_refused(tmp_path):
    (tmp_path / "x.zip").write_bytes(archive(zipfile.ZIP_LZMA))
    with pytest.raises(UsageError, match="not unpacked"), unpack(tmp_path / "x.zip"):
        pass


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(st.tuples(st.integers(0, len(WHOLE) - 1), st.integers(0, 255)), min_size=1, max_size=4),
    st.integers(0, len(WHOLE)) | st.just(len(WHOLE)),
)
def test_changed_bytes_are_read_or_refused(tmp_path, changes, length):
    data = bytearray(WHOLE)
    for place, byte in changes:
        data[place] = byte
    (tmp_path / "x.zip").write_bytes(data[:length])
    try:
        with unpack(tmp_path / "x.zip") as folder:
            assert {file.name for file in folder.iterdir()} == set(FILES)
    except UsageError as error:
        assert "archive" in str(error)
