"""What the HTML pages share: templates that escape every value, and a policy that allows our own text."""

from __future__ import annotations

import base64
import hashlib
from importlib.resources import files
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from jinja2 import Template


def page_template(package: str, name: str) -> Template:
    """A template that lies beside the modules of a package; an undefined name in it is an error.

    Args:
        package: The package, such as ``"deid.audit"``.
        name: The file.
    """
    from jinja2 import Environment, StrictUndefined

    page = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    return page.from_string(page_text(package, name))


def page_text(package: str, name: str) -> str:
    """A style sheet or script that lies beside the modules of a package."""
    return files(package).joinpath(name).read_text("utf-8")


def hash_source(text: str) -> str:
    """A source expression of Content Security Policy level 2 that allows one inline text."""
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode("utf-8")).digest()).decode("ascii")
