"""``review``: one private HTML page of the images that were scrubbed, for whoever signs the release off.

The page is a pure function of the store: data and script stand in it, nothing is fetched, and its content
security policy would not let it.
"""

from __future__ import annotations

import base64
import math
import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from deid import __version__
from deid.core.errors import UsageError
from deid.core.files import strerror, sync_folder
from deid.core.pages import hash_source, page_template, page_text
from deid.core.project import Project
from deid.core.review_store import PICTURES, ReviewEntry, ReviewStore
from deid.core.unrelated import Unrelated
from deid.workflows.review.ranking import MEASURES, in_order, worst_first

PAGE_NAME = "review.html"
LARGE_PAGE = 300 * 10**6
"""Bytes from which on a browser takes long to open a page."""


@dataclass(frozen=True)
class Review:
    """A page that was written.

    Attributes:
        path: Where.
        shown: Images on it.
        left_out: Images that are not, because of the limit.
        damaged: Entries of the store that could not be read.
        size: Bytes.
    """

    path: Path
    shown: int
    left_out: int
    damaged: int
    size: int

    def notes(self) -> list[str]:
        """What the operator should know, a line each."""
        lines = [f"{self.shown} images, {self.size / 1e6:.1f} MB; the page shows patients: keep it private"]
        if self.left_out:
            lines.append(f"{self.left_out} more images are not on the page; raise --limit to see them")
        if self.damaged:
            lines.append(f"{self.damaged} damaged entries were passed over; scrub their units again")
        if self.size > LARGE_PAGE:
            lines.append("browsers open a page of this size slowly; lower --limit")
        return lines


def write_review(project: Project, report: Path | None, limit: int) -> Review:
    """Writes the page.

    Args:
        project: The open project.
        report: A new file; None for ``review.html`` in the state folder, which is replaced.
        limit: Images at most, worst first.

    Returns:
        What was written.

    Raises:
        UsageError: There is nothing to show, or the file exists, lies inside an output or cannot be written.
    """
    target = project.state / PAGE_NAME if report is None else report
    project.refuse_inside_outputs(target, "the review")
    store = ReviewStore(project.state / "review")
    entries = list(store.entries())
    damaged = store.damaged
    if not entries:
        passed = f" ({damaged} damaged entries were passed over)" if damaged else ""
        raise UsageError(
            f"no image of this project has had identity cues removed{passed}; "
            "run scrub with that step first, or check the project (--out, --project, --state)."
        )
    unrelated = store.unrelated()
    entries = [replace(e, references=unrelated.get((e.model, e.strength), {})) for e in entries]
    shown = worst_first(entries)[:limit]
    left_out = len(entries) - len(shown)
    pieces = _page(store, shown, left_out, damaged)
    size = _write_private(target, pieces, replace=report is None)
    return Review(target, len(shown), left_out, damaged, size)


def _page(store: ReviewStore, shown: Sequence[ReviewEntry], left_out: int, damaged: int) -> Iterator[str]:
    """The page, piece by piece: all pictures together may not fit into memory."""
    from markupsafe import Markup

    style, script = (page_text(__name__, name) for name in ("page.css", "page.js"))
    return page_template(__name__, "page.html.j2").generate(
        # Our own files, the only text that is not escaped; the policy allows them by hash and nothing else.
        style=Markup(style),  # noqa: S704
        script=Markup(script),  # noqa: S704
        style_hash=hash_source(style),
        script_hash=hash_source(script),
        version=__version__,
        entries=shown,
        cards=[_card(entry) for entry in shown],
        orders=_orders(shown),
        pictures=lambda entry: " ".join(_encoded(store, entry, name) for name in PICTURES),
        released=sum(not entry.held for entry in shown),
        held_out=sorted({name for entry in shown for name in entry.held_out}),
        left_out=left_out,
        damaged=damaged,
    )


def _card(entry: ReviewEntry) -> dict[str, Any]:
    """What the script needs of an entry; numbers that JSON has no word for are None."""
    return {
        "ref": entry.reference,
        "output": entry.output,
        "modality": entry.modality,
        "view": entry.view,
        "model": entry.model,
        "strength": _finite(entry.strength),
        "held": entry.held,
        "critics": [
            [name, _finite(cosine), _range(entry.references.get(name)), name in entry.held_out]
            for name, cosine in sorted(entry.critics.items())
        ],
        "findings": [[name, _finite(a), _finite(b)] for name, (a, b) in sorted(entry.findings.items())],
        "psnr": "equal" if entry.psnr == math.inf else _finite(entry.psnr),
        "ssim": _finite(entry.ssim),
    }


def _orders(shown: Sequence[ReviewEntry]) -> dict[str, list[int]]:
    """For each way to sort, the positions in ``shown``; by name of the measure."""
    position = {entry.ref: number for number, entry in enumerate(shown)}
    return {
        measure.__name__: [position[entry.ref] for entry in in_order(shown, measure)] for measure in MEASURES
    }


def _range(unrelated: Unrelated | None) -> list[float] | None:
    """Median and 5 % and 95 % quantile of unrelated patients."""
    return [unrelated.median, unrelated.low, unrelated.high] if unrelated else None


def _finite(value: float | None) -> float | None:
    return round(value, 4) if value is not None and math.isfinite(value) else None


def _encoded(store: ReviewStore, entry: ReviewEntry, name: str) -> str:
    """A picture in base64; "" where it cannot be read, which its card says."""
    try:
        return base64.b64encode(store.picture(entry.ref, name)).decode("ascii")
    except UsageError:
        return ""


def _write_private(target: Path, pieces: Iterable[str], *, replace: bool) -> int:
    """Writes a file of mode 0600 that appears when it is whole; returns its bytes.

    Raises:
        UsageError: It exists and is not to be replaced, or cannot be written.
    """
    partial = target.with_name(f".{target.name}-{os.urandom(4).hex()}")
    try:
        descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            with os.fdopen(descriptor, "wb") as stream:
                stream.writelines(piece.encode("utf-8", "backslashreplace") for piece in pieces)
                stream.flush()
                os.fsync(descriptor)
                size = stream.tell()
            if replace:
                partial.replace(target)
            else:
                os.link(partial, target)
        finally:
            with suppress(FileNotFoundError):
                partial.unlink()
        sync_folder(target.parent)
    except FileExistsError:
        raise UsageError("the --report file exists already; give a new name.") from None
    except OSError as error:
        raise UsageError(f"the review cannot be written: {strerror(error)}.") from None
    return size
