"""What a header says of risk in its pixels, beyond Burned In Annotation."""

import pydicom
import pytest
from builders import build, write

from deid.dicom.risk import Risk
from deid.workflows.scrub.options import OnRisk

RT_IMAGE = "1.2.840.10008.5.1.4.1.1.481.1"


def changed(kind, *elements, **attributes):
    dataset = build(kind).dataset
    for name, value in attributes.items():
        setattr(dataset, name, value)
    for element in elements:
        dataset.add_new(*element)
    if "SOPClassUID" in attributes:
        dataset.file_meta.MediaStorageSOPClassUID = dataset.SOPClassUID
    return dataset


def overlay(group, bit, data=None):
    """Rows, columns, bit and, if it has any, data of an overlay."""
    base = group << 16
    elements = [(base | 0x10, "US", 8), (base | 0x11, "US", 8), (base | 0x102, "US", bit)]
    return elements + ([(base | 0x3000, "OW", data)] if data is not None else [])


HELD = {
    "recognizable": (changed("cr", RecognizableVisualFeatures="YES"), Risk.RECOGNIZABLE),
    "recognizable, in odd words": (changed("ct", RecognizableVisualFeatures="MAYBE"), Risk.RECOGNIZABLE),
    "both declared": (
        changed("cr", RecognizableVisualFeatures="YES", BurnedInAnnotation="YES"),
        Risk.DECLARED,
    ),
    "film": (changed("cr", ConversionType="DF"), Risk.SCANNED),
    "video": (changed("ct", ConversionType="DV"), Risk.SCANNED),
    "overlay": (changed("ct", *overlay(0x6000, 12)), Risk.OVERLAY),
    "last overlay": (changed("ct", *overlay(0x6000, 0, bytes(8)), *overlay(0x601E, 15)), Risk.OVERLAY),
}
RELEASED = {
    "not recognizable": changed("cr", RecognizableVisualFeatures="NO"),
    "from a workstation": changed("ct", ConversionType="WSD"),
    "portal image": changed("ct", ConversionType="DV", SOPClassUID=RT_IMAGE, Modality="RTIMAGE"),
    "overlay with data": changed("ct", *overlay(0x6000, 0, bytes(8))),
    "overlay with data and a bit": changed("ct", *overlay(0x6002, 12, bytes(8))),
    "overlay nowhere": changed("ct", *overlay(0x6000, 0)),
    "no overlay group": changed("ct", *overlay(0x6020, 12)),
}


@pytest.mark.parametrize("case", sorted(HELD))
def test_what_the_header_declares_is_held(tool, tmp_path, case):
    dataset, risk = HELD[case]
    write(dataset, tmp_path / "in" / "x")
    assert dict(tool.direct(tmp_path / "in").held) == {str(risk): 1}
    out = tmp_path / "released"
    assert tool.direct(tmp_path / "in", out=out, on_risk=OnRisk.RELEASE).weaker_because == {str(risk)}
    assert pydicom.dcmread(tool.outputs(out)[0]).PatientIdentityRemoved == "NO"


@pytest.mark.parametrize("case", sorted(RELEASED))
def test_what_it_denies_or_has_elsewhere_is_not(tool, tmp_path, case):
    write(RELEASED[case], tmp_path / "in" / "x")
    summary = tool.direct(tmp_path / "in")
    assert (summary.released, summary.weaker) == (1, 0), summary.held
