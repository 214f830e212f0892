"""TSV files of a BIDS tree, by column; streams of numbers (physio) and the gradient tables of diffusion."""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from deid.core.errors import Held
from deid.nifti.ages import cap_age
from deid.nifti.columns import BY_PERSON, Rule, column_rule, decode_text
from deid.nifti.context import Context
from deid.nifti.labels import split_extension, token
from deid.nifti.stream import Limits, open_source

MAX_TABLE = 64 << 20
_MAX_LINE = 1 << 20
_NA = "n/a"
_LINES = re.compile(r"\r\n|\n|\r")
_NUMBER = re.compile(r"[+-]?(?:\d{1,24}(?:\.\d{0,24})?|\.\d{1,24})(?:[eE][+-]?\d{1,4})?", re.ASCII)
_SPECIAL = frozenset({"nan", "inf", "-inf", "+inf", "true", "false"})
_WORD = re.compile(r"[^\x00-\x1f\x7f]{1,80}")
_GROUP = re.compile(r"[A-Za-z0-9][A-Za-z0-9_+./ ()\-]{0,39}", re.ASCII)
_GROUP_DIGITS = re.compile(r"\d{3}")
_PER_YEAR = {"month": 12, "week": 52, "day": 365}


@dataclass(frozen=True)
class _Table:
    """One table while it is cleaned: where it stands, and what its JSON declares."""

    suffix: str
    relative: str
    context: Context
    declared: Mapping[str, object]

    def cell(self, rule: Rule, name: str, value: str, person: str | None) -> str:
        """One cell by its rule; ``person`` is the identity of the row's participant in tables by person."""
        value = plain_cell(value)
        if value.lower() in {"n/a", ""}:
            return _NA
        return self._kept(rule, name, value, person) or _NA

    def _kept(self, rule: Rule, name: str, value: str, person: str | None) -> str | None:
        paths = self.context.paths
        match rule:
            case Rule.SUBJECT:
                identity = person or paths.subject(value, self.relative)
                return f"sub-{self.context.pseudonyms.patient(identity)}"
            case Rule.SESSION:
                return f"ses-{paths.map_label('ses', value.removeprefix('ses-'))}"
            case Rule.PATH:
                return paths.map_reference(value, self.relative)
            case Rule.STIMULUS:
                stem, extension = split_extension(value)
                return token(self.context.pseudonyms, "stimulus", stem) + extension
            case Rule.MOMENT:
                return self.context.shift_moment(value, person)
            case Rule.AGE:
                return cap_age(value, self._per_year(name))
            case Rule.NUMBER:
                return value if is_number(value) else None
            case Rule.SMALL_NUMBER:
                return value if _NUMBER.fullmatch(value) and abs(float(value)) < 100_000 else None
            case Rule.LEVEL:
                return value if value in self._levels(name) and self._is_clean(value) else None
            case Rule.WORD:
                return self._word(value)
            case Rule.GROUP:
                plain = _GROUP.fullmatch(value) and not _GROUP_DIGITS.search(value)
                return value if plain and self._is_clean(value) else None

    def _word(self, value: str) -> str | None:
        if is_number(value):
            return value
        return self.context.clean_text(value) if _WORD.fullmatch(value) else None

    def _is_clean(self, value: str) -> bool:
        return self.context.clean_text(value) == value

    def _levels(self, name: str) -> Mapping[str, object]:
        column = self.declared.get(name)
        levels = column.get("Levels") if isinstance(column, Mapping) else None
        return levels if isinstance(levels, Mapping) else {}

    def _per_year(self, name: str) -> int:
        column = self.declared.get(name)
        units = str(column.get("Units", "")).lower() if isinstance(column, Mapping) else ""
        return next((count for unit, count in _PER_YEAR.items() if unit in units), 1)


@dataclass(frozen=True)
class CleanTable:
    """A cleaned table, with the places that its cells come from.

    Attributes:
        names: The columns of the source.
        lines: The cells of the source, header left out, as written.
        kept: Numbers of the columns that are kept.
        rows: Place in ``lines`` and cells of every row that is kept, in the order of the release.
    """

    names: list[str]
    lines: list[list[str]]
    kept: list[int]
    rows: list[tuple[int, list[str]]]

    @property
    def removed(self) -> int:
        """How many columns and rows were dropped."""
        return len(self.names) - len(self.kept) + len(self.lines) - len(self.rows)

    def encode(self) -> bytes:
        """The table as UTF-8 with LF."""
        rows = [[self.names[at] for at in self.kept], *(row for _, row in self.rows)]
        return "".join("\t".join(row) + "\n" for row in rows if row).encode()


def plain_cell(cell: str) -> str:
    """The value of a cell without the spaces and quotes around it."""
    value = cell.strip()
    if len(value) > 1 and value[0] == value[-1] == '"':
        return value[1:-1].replace('""', '"').strip()
    return value


def is_number(text: str) -> bool:
    """True for a decimal number, ``nan``, ``inf`` or a truth value."""
    return _NUMBER.fullmatch(text) is not None or text.lower() in _SPECIAL


def scrub_table(
    data: bytes, suffix: str, relative: str, context: Context, declared: Mapping[str, object] | None = None
) -> tuple[bytes, int]:
    """Cleans a TSV by column; see :func:`clean_table`.

    Returns:
        The table as UTF-8 with LF, and the number of dropped columns and rows.

    Raises:
        Held: Over :data:`MAX_TABLE`.
    """
    table = clean_table(data, suffix, relative, context, declared)
    return table.encode(), table.removed


def clean_table(
    data: bytes, suffix: str, relative: str, context: Context, declared: Mapping[str, object] | None = None
) -> CleanTable:
    """Cleans a TSV by column.

    Columns and rows keep their order, but tables by person are sorted by pseudonym: the order of enrolment
    says who is who. Cells that a rule does not accept become ``n/a``; rows without a participant are dropped.

    Args:
        data: The (inflated) file. BOM, CRLF, Latin-1 and quoted cells are tolerated.
        suffix: The kind of table (``participants``, ``events``, ...), see :mod:`deid.nifti.columns`.
        relative: The table's source path.
        context: The table's context; of a table by person, dates are shifted by the person of the row.
        declared: The table's JSON data dictionary.

    Raises:
        Held: Over :data:`MAX_TABLE`.
    """
    if len(data) > MAX_TABLE:
        raise Held("file over the size limit")
    table = _Table(suffix, relative, context, declared or {})
    lines = [line for line in _LINES.split(decode_text(data)) if line.strip()]
    if not lines:
        return CleanTable([], [], [], [])
    names = [name.strip().strip('"') for name in lines[0].split("\t")]
    rules = [column_rule(suffix, name, table.declared.get(name), context.clean_text) for name in names]
    kept = [(at, rule) for at, rule in enumerate(rules) if rule is not None]
    subject = rules.index(Rule.SUBJECT) if Rule.SUBJECT in rules else None
    source = [line.split("\t") for line in lines[1:]]
    rows: list[tuple[int, list[str]]] = []
    for number, cells in enumerate(source):
        person = _person(table, cells, subject)
        if subject is not None and person is None:
            continue
        padded = cells + [""] * (len(names) - len(cells))
        rows.append((number, [table.cell(rule, names[at], padded[at], person) for at, rule in kept]))
    columns = [at for at, _ in kept]
    if subject is not None and suffix in BY_PERSON:
        column = columns.index(subject)
        rows.sort(key=lambda row: row[1][column])
    return CleanTable(names, source, columns, rows)


def _person(table: _Table, cells: list[str], subject: int | None) -> str | None:
    if subject is None or subject >= len(cells):
        return None
    value = cells[subject].strip().strip('"').strip()
    if value.lower() in {"", _NA}:
        return None
    return table.context.paths.subject(value, table.relative)


def table_suffix(relative: str) -> str:
    """The kind of a table or of its dictionary: the last part of its name, or ``phenotype`` by folder."""
    path = PurePosixPath(relative)
    if path.parent.name == "phenotype":
        return "phenotype"
    return split_extension(path.name)[0].rsplit("_", 1)[-1]


def scrub_numbers(source: Path, limits: Limits | None = None) -> Iterator[bytes]:
    """A TSV without header (physio, stim, motion): every cell a number or ``n/a``, in bounded memory.

    Raises:
        Held: A line over the limit, or not readable.
    """
    for lines in whole_lines(source, limits):
        yield b"".join(_number_line(line) for line in lines if line.strip())


def scrub_gradients(source: Path) -> Iterator[bytes]:
    """A ``bval`` or ``bvec`` file: numbers separated by one space, lines kept.

    Raises:
        Held: Anything that is not a number.
    """
    for lines in whole_lines(source):
        for line in lines:
            cells = line.decode("latin-1").lstrip("\u00ef\u00bb\u00bf").split()
            if not all(_NUMBER.fullmatch(cell) or cell.lower() == "nan" for cell in cells):
                raise Held("gradient table holds something that is not a number")
            if cells:
                yield (" ".join(cells) + "\n").encode("ascii")


def _number_line(line: bytes) -> bytes:
    cells = (cell.strip() for cell in line.decode("latin-1").rstrip("\r\n").split("\t"))
    return ("\t".join(cell if is_number(cell) else _NA for cell in cells) + "\n").encode("ascii")


def whole_lines(source: Path, limits: Limits | None = None) -> Iterator[list[bytes]]:
    """The lines of a file, inflated where it is gzip, without their ends, in bounded memory.

    Raises:
        Held: A line over the limit, or not readable.
    """
    with open_source(source, limits) as stream:
        rest = b""
        while piece := stream.read(_MAX_LINE):
            *lines, rest = (rest + piece).replace(b"\r\n", b"\n").split(b"\n")
            if len(rest) > _MAX_LINE:
                raise Held("table line over the limit")
            yield lines
        if rest:
            yield [rest]


def find_declared(
    source: Path, relative: str, read: Callable[[Path], Mapping[str, object]]
) -> Mapping[str, object]:
    """The data dictionary of a table by BIDS inheritance: its own JSON over those of the folders above.

    Args:
        source: The table.
        relative: Its path inside the tree; no folder above the tree is looked at.
        read: Reads one JSON object (empty where it is not usable).
    """
    stem, _ = split_extension(source.name)
    *labels, suffix = stem.split("_")
    merged: dict[str, object] = {}
    folders = list(source.parents)[: len(PurePosixPath(relative).parts)]
    for folder in reversed(folders):
        for candidate in sorted(folder.glob("*.json")):
            *others, other = candidate.name.removesuffix(".json").split("_")
            if other == suffix and set(others) <= set(labels):
                merged |= read(candidate)
    return merged
