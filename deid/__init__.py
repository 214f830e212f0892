"""De-identification of DICOM and NIfTI trees."""

__version__ = "0.1.0"
