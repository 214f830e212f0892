"""Stands here so that tests of this folder share `audit_sets`."""
