"""Attacks on a finished release, and what they reach: each attack is a module with a function of its name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from importlib import import_module
from types import MappingProxyType
from typing import Any


def _run(name: str, *arguments: Any, **options: Any) -> dict[str, Any]:
    section: dict[str, Any] = getattr(import_module(f"deid.audit.{name}"), name)(*arguments, **options)
    return section


ATTACKS: Mapping[str, Callable[..., dict[str, Any]]] = MappingProxyType(
    {name: partial(_run, name) for name in ("reid", "linkage", "inversion", "header", "utility", "plane")}
)
"""By name, what gives the section of the same name in `audit.json`; the module is loaded when it is called,
so that an audit of headers does not load torch."""
