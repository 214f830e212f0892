"""Native pixel data that goes on behind the last frame, in files of which only the header is read."""

from builders import build, to_bytes


def test_a_name_behind_the_pixels_of_a_large_file_is_seen(tool, tmp_path):
    (tmp_path / "in").mkdir()
    for number, behind in enumerate((b"", b"\0\1" * 50, b"Xqbehind^Anna ")):
        dataset = build("ct").dataset
        dataset.PatientName = "Xqbehind^Anna"
        dataset.SOPInstanceUID = dataset.file_meta.MediaStorageSOPInstanceUID = f"2.25.77{number}"
        dataset.Rows = dataset.Columns = 512
        dataset.NumberOfFrames = 1
        dataset.PixelData = bytes(512 * 512 * 2) + behind
        (tmp_path / "in" / str(number)).write_bytes(to_bytes(dataset))
    summary = tool.direct(tmp_path / "in")
    assert dict(summary.held) == {"verification: patient name behind the pixels": 1}
    assert summary.released == 2
