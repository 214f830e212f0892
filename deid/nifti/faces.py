"""Which NIfTI volumes may show a face.

The rule fails closed: a volume is a risk unless its header or its place in a BIDS tree says why it is
none. Claims in a name that a face was removed (``desc-brain``, ``defaced``) are not believed.
"""

import math
from pathlib import PurePosixPath

from deid.nifti.header import Header
from deid.nifti.labels import split_extension
from deid.nifti.vocabulary import words

# Fewer slices than this show no surface to render, whatever their direction.
_FEW_SLICES = 8
# Echo-planar series and field maps coarser than this (largest spacing, mm) are taken to show no face: fat is
# suppressed, the surface distorted. An assumption of the field, not measured here.
_COARSE_MM = 1.8
_COARSE_SUFFIXES = words(
    """
    bold cbv sbref dwi asl epi boldref m0scan phase phasediff phase1 phase2 fieldmap TB1map RB1map
    """
)
_COARSE_FOLDERS = frozenset({"func", "dwi", "perf", "fmap"})
_MAP_SUFFIXES = words(
    """
    dseg probseg xfm warp fa md ad rd FA MD AD RD tsnr reho alff falff boldmap stat statmap
    """
)
_BODY_WITHOUT_FACE = words(
    """
    CHEST THORAX LUNG HEART CARDIAC ABDOMEN PELVIS LIVER KIDNEY PROSTATE UTERUS BREAST SPINE LSPINE
    TSPINE HIP KNEE ANKLE FOOT SHOULDER ELBOW WRIST HAND ARM LEG EXTREMITY FEMUR TIBIA FOREARM THIGH
    CALF AORTA COLON BLADDER
    """
)
_MILLI = {1: 1000.0, 2: 1.0, 3: 0.001}


def face_risk(relative: str, header: Header, body_part: str | None = None) -> str | None:
    """Tells why a volume may show a face.

    Args:
        relative: Source path; only the data type folder and the suffix of a BIDS name count.
        header: The volume's header.
        body_part: ``BodyPartExamined`` of its sidecar, where there is one.

    Returns:
        A fixed phrase, or None: greyordinates, fewer than 8 slices, a body part without a face, a
        computed map or label image, or a coarse functional, diffusion or field map series in its BIDS folder.
    """
    if header.is_cifti:
        return None
    shape = (*header.dims, 1, 1)[:3]
    if min(shape) < _FEW_SLICES:
        return None
    if body_part is not None and body_part.strip().upper().replace(" ", "") in _BODY_WITHOUT_FACE:
        return None
    path = PurePosixPath(relative)
    suffix = split_extension(path.name)[0].rsplit("_", 1)[-1]
    is_bids = path.name.startswith("sub-") and "_" in path.name
    if is_bids and suffix in _MAP_SUFFIXES:
        return None
    if is_bids and suffix in _COARSE_SUFFIXES and path.parent.name in _COARSE_FOLDERS:
        return (
            None
            if max(_spacing_mm(header)) >= _COARSE_MM
            else "face: fine functional, diffusion or field map volume"
        )
    if is_bids and path.parent.name in {"anat", "pet", "ct"}:
        return "face: structural head volume"
    return "face: volume of unknown content"


def _spacing_mm(header: Header) -> tuple[float, ...]:
    if header.version == 2:
        units = header.raw[500] if header.order == "<" else header.raw[503]
    else:
        units = header.raw[123] if header.version else 2
    factor = _MILLI.get(units & 7, 1.0)
    return tuple(abs(value) * factor if math.isfinite(value) else 0.0 for value in header.spacing[:3])
