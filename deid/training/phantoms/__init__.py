"""Phantom patients: anatomy, disease and acquisition as separate known factors, and files made of them."""

from deid.training.phantoms.cohort import MODALITIES, Cohort, Kind, Study, make_cohort, render
from deid.training.phantoms.dicom_files import write_dicom
from deid.training.phantoms.manifest import write_png
from deid.training.phantoms.nifti_files import write_nifti

__all__ = [
    "MODALITIES",
    "Cohort",
    "Kind",
    "Study",
    "make_cohort",
    "render",
    "write_dicom",
    "write_nifti",
    "write_png",
]
