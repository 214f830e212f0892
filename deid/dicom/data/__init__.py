"""Compiled tables of the standard, made by tests/tools/compile_tables.py; see deid.dicom.profile.tables."""
