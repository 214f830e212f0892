"""Floor 1: DICOM files and headers."""
