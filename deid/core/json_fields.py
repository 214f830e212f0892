"""Strict reading of a JSON file: every field must be there, no other may be, and each has its range.

Every complaint is a :class:`UsageError` that names the file, the field, what was given and what is allowed.
"""

import json
import math
import re
from collections.abc import Callable, Iterator
from enum import StrEnum
from typing import TypeGuard, TypeVar

from deid.core.errors import UsageError

_LONGEST = 2000
_E = TypeVar("_E", bound=StrEnum)


def parse_json(data: bytes, file: str) -> object:
    """The value that a JSON text in UTF-8 stands for; no object may name a field twice.

    Raises:
        UsageError: It is not JSON.
    """

    def unique(pairs: list[tuple[str, object]]) -> dict[str, object]:
        made = dict(pairs)
        if len(made) != len(pairs):
            raise UsageError(f"{file} names a field twice in one object; each is given once.")
        return made

    try:
        return json.loads(data.decode("utf-8"), object_pairs_hook=unique)
    except (ValueError, RecursionError):  # bytes that are not UTF-8 are a ValueError, too
        raise UsageError(f"{file} is not JSON in UTF-8.") from None


class Fields:
    """The fields of one object, each read with its range.

    Args:
        value: What stands in the file.
        file: The name of the file, for messages.
        path: The way to the object in the file, such as ``"metrics[2]"``; empty for the file itself.
        names: The fields that it has; None for an object of which only the values are checked.
        optional: Those of them that may be missing; they are as if they were null.

    Raises:
        UsageError: It is no object, a field is missing, or there is one that is not known.
    """

    def __init__(
        self,
        value: object,
        file: str,
        path: str = "",
        names: tuple[str, ...] | None = None,
        optional: tuple[str, ...] = (),
    ) -> None:
        self._file = file
        self._path = path
        if not isinstance(value, dict):
            raise self.wrong(path or "the whole", value, "a JSON object")
        self._values: dict[str, object] = dict.fromkeys(optional) | value
        for name in names or ():
            if name not in self._values:
                raise UsageError(f"{file}: {self._at(name)} is missing.")
        for name in value:
            if names is not None and name not in names:
                raise self.wrong(self._at(name), value[name], f"no field but {', '.join(names)}")

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def wrong(self, name: str, given: object, allowed: str) -> UsageError:
        """The complaint about one field."""
        return UsageError(f"{self._file}: {name} is {_shown(given)}; allowed is {allowed}.")

    def within(
        self, name: str, names: tuple[str, ...] | None = None, optional: tuple[str, ...] = ()
    ) -> "Fields":
        """The object in a field."""
        return Fields(self._values[name], self._file, self._at(name), names, optional)

    def each(self, name: str, names: tuple[str, ...]) -> "Iterator[Fields]":
        """The objects of a list."""
        for place, value in enumerate(self.items(name)):
            yield Fields(value, self._file, f"{self._at(name)}[{place}]", names)

    def items(self, name: str) -> list[object]:
        """A list."""
        value = self._values[name]
        if not isinstance(value, list):
            raise self.wrong(self._at(name), value, "a list")
        return value

    def text(self, name: str, pattern: str = "", allowed: str = "") -> str:
        """A text of one line, at most 2,000 characters, which matches the pattern where one is given."""
        return self._text(self._values[name], self._at(name), pattern, allowed)

    def texts(self, name: str, pattern: str = "", allowed: str = "", *, least: int = 0) -> tuple[str, ...]:
        """A list of such texts, all different; ``least`` is how many there must be."""
        at = self._at(name)
        texts = [self._text(v, f"{at}[{i}]", pattern, allowed) for i, v in enumerate(self.items(name))]
        if len(set(texts)) != len(texts) or len(texts) < least:
            raise self.wrong(at, texts, f"a list of {least} or more that names nothing twice")
        return tuple(texts)

    def member(self, name: str, kind: type[_E]) -> _E:
        """One of a few words."""
        value = self._values[name]
        if not isinstance(value, str) or value not in list(kind):
            raise self.wrong(self._at(name), value, f"one of {', '.join(kind)}")
        return kind(value)

    def integer(self, name: str, low: int, high: int) -> int:
        """An integer of a range that includes its ends."""
        return self._integer(self._values[name], self._at(name), low, high)

    def integers(self, name: str, count: int, low: int, high: int) -> tuple[int, ...]:
        """A list of so many integers of a range."""
        values, at = self.items(name), self._at(name)
        if len(values) != count:
            raise self.wrong(at, values, f"a list of {count} integers")
        return tuple(self._integer(v, f"{at}[{i}]", low, high) for i, v in enumerate(values))

    def number(self, name: str, low: float = -math.inf, high: float = math.inf) -> float:
        """A finite number of a range that includes its ends."""
        value = self._values[name]
        if not _is_number(value) or not low <= value <= high:
            raise self.wrong(self._at(name), value, _range("a finite number", low, high))
        return float(value)

    def is_null(self, name: str) -> bool:
        """Whether the field is empty."""
        return self._values[name] is None

    def checked(self, name: str, check: Callable[[object], str]) -> object:
        """Any value; ``check`` returns what is allowed instead, or an empty text."""
        value = self._values[name]
        if allowed := check(value):
            raise self.wrong(self._at(name), value, allowed)
        return value

    def _at(self, name: str) -> str:
        name = name if re.fullmatch("[A-Za-z0-9_]{1,40}", name) else _shown(name)
        return f"{self._path}.{name}" if self._path else name

    def _text(self, value: object, at: str, pattern: str, allowed: str) -> str:
        # Not printable are control characters, which a terminal obeys, and halves of surrogate pairs.
        if not isinstance(value, str) or not value.isprintable() or not 0 < len(value) <= _LONGEST:
            raise self.wrong(at, value, allowed or f"a text of one line, 1 to {_LONGEST} characters")
        if pattern and not re.fullmatch(pattern, value):
            raise self.wrong(at, value, allowed)
        return value

    def _integer(self, value: object, at: str, low: int, high: int) -> int:
        if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
            raise self.wrong(at, value, _range("an integer", low, high))
        return value


def _is_number(value: object) -> TypeGuard[int | float]:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    try:
        return math.isfinite(value)
    except OverflowError:  # an integer beyond the largest float
        return False


def _range(what: str, low: float, high: float) -> str:
    if math.isinf(low) and math.isinf(high):
        return what
    return f"{what} from {low} to {high}"


def _shown(value: object) -> str:
    """A value for a message: one short line of ASCII."""
    if isinstance(value, dict):
        return "an object"
    if isinstance(value, list):
        return f"a list of {len(value)}"
    text = json.dumps(value)
    return text if len(text) <= 60 else text[:57] + "..."
