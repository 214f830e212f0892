"""Attacks on a finished release, and the report of what they reach."""
