"""Words that the standard itself defines: they alone may go from a header into what is shared.

Modality, View Position and Body Part Examined are code strings that a device or a person can fill with
anything, a name too. A word of these lists tells nothing but what it stands for.
"""

from __future__ import annotations

from collections.abc import Set as AbstractSet


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


OTHER = "OTHER"
"""Stands for every word that the standard does not define."""

MODALITIES = _words(
    """
    AR BDUS BI BMD CFM CR CS CT DF DG DMS DS DX EC ES FA FS GM HC IO IVOCT IVUS KER LEN LS MA MG MR MS NM OAM
    OCT OP OPM OPR OPT OPTBSV OPTENF OPV OT PA PT PX RF RG RTDOSE RTIMAGE SM SRF ST TG US VA VF XA XC
    """
)
"""Modality (0008,0060) of images: PS3.3 section C.7.3.1.1.1, retired terms too."""

VIEW_POSITIONS = _words(
    """
    AP PA FRONTAL LL RL RLD LLD RLO LLO LAT LATERAL OBL OBLIQUE ML MLO LM LMO CC FB SIO ISO XCC XCCL XCCM
    """
)
"""View Position (0018,5101): PS3.3 sections C.8.1.1 and C.8.11.7, and common words for the same."""

BODY_PARTS = _words(
    """
    ABDOMEN ABDOMENPELVIS ADRENAL ANKLE AORTA ARM AXILLA BACK BLADDER BRAIN BREAST BRONCHUS BUTTOCK CALCANEUS
    CALF CAROTID CEREBELLUM CERVIX CHEEK CHEST CHESTABDOMEN CHESTABDPELVIS CIRCLEOFWILLIS CLAVICLE COCCYX
    COLON CORNEA CORONARYARTERY CSPINE CTSPINE DUODENUM EAR ELBOW ESOPHAGUS EXTREMITY EYE EYELID FACE FEMUR
    FINGER FOOT GALLBLADDER HAND HEAD HEADNECK HEART HIP HUMERUS IAC ILEUM ILIUM JAW JEJUNUM KIDNEY KNEE
    LARYNX LEG LIVER LSPINE LSSPINE LUNG LUNGS MAXILLA MEDIASTINUM MOUTH NECK NECKCHEST NECKCHESTABDOMEN
    NECKCHESTABDPELV NOSE ORBIT OVARY PANCREAS PAROTID PATELLA PELVIS PENIS PHARYNX PROSTATE RADIUS RADIUSULNA
    RECTUM RIB SCALP SCAPULA SCLERA SCROTUM SHOULDER SKULL SPINE SPLEEN SSPINE STERNUM STOMACH SUBMANDIBULAR
    TESTIS THIGH THORAX THUMB THX THYMUS THYROID TIBIA TIBIAFIBULA TLSPINE TMJ TOE TONGUE TRACHEA TSPINE ULNA
    URETER URETHRA UTERUS VAGINA VULVA WHOLEBODY WRIST ZYGOMA
    """
)
"""Body Part Examined (0018,0015): PS3.16 table L-1, and common words for the chest."""


def defined(word: str, terms: AbstractSet[str], other: str = OTHER) -> str:
    """A word if the standard defines it, else the one that stands for all others; empty stays empty.

    Args:
        word: In capitals.
        terms: One of the sets of this module.
        other: What stands for a word that is not in it.
    """
    return word if not word or word in terms else other
