"""Which files a run reads, and the names that they keep from run to run."""

from __future__ import annotations

import functools
import os
import stat
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from deid.core.errors import UsageError
from deid.core.files import InputFile, SkippedInput, check_roots, discover, discover_listed, lies_inside
from deid.core.journal import Journal
from deid.workflows.scrub.options import ScrubOptions


def check_inputs(options: ScrubOptions) -> None:
    """Refuse an output that is, holds or lies in an input.

    Files of a list are judged by their folders, once each: a list may be long. One that is missing is held
    later on and stops nothing.

    Raises:
        UsageError: As above, or there is no input, or the output is no folder.
    """
    if options.listed is None:
        check_roots([options.source] if options.source is not None else [], options.out)
        return
    there = [path for path in options.listed if path.exists()]
    check_roots([path for path in there if path.is_dir()] or there[:1] or options.listed[:1], options.out)
    for folder in {path.parent for path in options.listed}:
        if lies_inside(folder, options.out):
            raise UsageError("the input lies inside the output; give another output folder.")


@dataclass(frozen=True)
class Inputs:
    """The inputs of one run.

    Every input of an output has one name, whichever run finds it, in a folder, alone or in a list: its path
    below the home of the journal, which is the input folder of its first run. What lies elsewhere is named
    by its absolute path.

    Attributes:
        options: Of the run.
        home: The home folder, resolved.
    """

    options: ScrubOptions
    home: str

    @classmethod
    def of(cls, options: ScrubOptions, journal: Journal) -> Inputs:
        """The inputs of a run; a tree that was moved as a whole keeps its names."""
        runs = journal.runs(1)
        home = str(runs[0].options.get("home", "")) if runs else ""
        return cls(options, home if os.path.isdir(home) else str(_root(options)))  # noqa: PTH112

    def find(self) -> Iterator[InputFile | SkippedInput]:
        """All files of the run; ``relative`` is the name."""
        if self.options.source is None:
            yield from self._listed(self.options.listed or ())
            return
        base = Path(os.path.realpath(self.options.source))
        prefix = self._name(f"{os.fspath(_root(self.options)).rstrip('/')}/")
        if not base.is_dir():
            yield from (replace(found, relative=prefix + base.name) for found in discover(base))
        elif not prefix:
            yield from discover(base)
        else:
            yield from (replace(found, relative=prefix + found.relative) for found in discover(base))

    def _listed(self, paths: Iterable[Path]) -> Iterator[InputFile | SkippedInput]:
        real = functools.lru_cache(1 << 10)(os.path.realpath)  # many files lie in one folder
        for found in discover_listed(paths):
            folder, _, name = f"/{found.relative}".rpartition("/")
            yield replace(found, relative=self._name(f"{real(folder or '/').rstrip('/')}/{name}"))

    def path(self, name: str) -> Path:
        """Where the input of a name lies."""
        return Path(self.home) / name

    def revisit(self, unseen: Iterable[tuple[bytes, str]]) -> Iterator[tuple[bytes, InputFile | None]]:
        """Look for inputs of earlier runs that this one did not come across.

        Yields:
            Digest and file of every one that is still there; digest and None where that cannot be told,
            since its folder cannot be read. What is gone for good is left out.
        """
        for ref, name in unseen:
            path = self.path(name)
            try:
                status = path.stat()
            except (FileNotFoundError, NotADirectoryError):
                continue
            except OSError:
                yield ref, None
                continue
            if stat.S_ISREG(status.st_mode):
                yield ref, InputFile(path, name, status.st_size, status.st_mtime_ns, status.st_ctime_ns)

    def _name(self, path: str) -> str:
        inside = self.home.rstrip("/") + "/"
        return path[len(inside) :] if path.startswith(inside) else path


def relative_of(name: str) -> str:
    """The relative path that an input is treated under: its name, without the first / of an absolute one."""
    return name.lstrip("/")


def _root(options: ScrubOptions) -> Path:
    """The folder that a run reads; / for a list."""
    if options.listed is not None or options.source is None:
        return Path("/")
    base = Path(os.path.realpath(options.source))
    return base if base.is_dir() else base.parent
