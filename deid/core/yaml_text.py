"""YAML of recipes and options, read with the line of every key, and what is wrong with it in YAML's words."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from deid.core.errors import UsageError

if TYPE_CHECKING:
    from pydantic import ValidationError

Place = tuple[str | int, ...]
"""Keys and numbers of list entries (from 0) from the outermost mapping on."""

_WORDS = {
    "missing": "is missing",
    "string_type": "must be text; put it in quotes",
    "bool_type": "must be true or false",
    "tuple_type": "must be a list, such as [first, second]",
    "model_type": "must be a mapping of keys and values",
    "model_attributes_type": "must be a mapping of keys and values",
}
"""What pydantic says with the names of Python's types, by the type of its error."""


def read_yaml(text: str, source: str) -> tuple[Any, dict[Place, int]]:
    """Read YAML without tags that make objects and without doubled keys, of which readers keep only one.

    Args:
        text: The YAML text.
        source: How messages call it.

    Returns:
        The document, None for an empty one, and the line (from 1) of every key and entry.

    Raises:
        UsageError: It is not YAML.
    """
    import yaml

    class Loader(yaml.SafeLoader):
        def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
            keys = [key.value if isinstance(key, yaml.ScalarNode) else None for key, _ in node.value]
            if None in keys:
                raise yaml.constructor.ConstructorError(None, None, "a key is no word", node.start_mark)
            if len(set(keys)) < len(keys):
                raise yaml.constructor.ConstructorError(None, None, "a key stands twice", node.start_mark)
            return super().construct_mapping(node, deep)

    def refuse(loader: Loader, node: yaml.Node) -> None:
        raise yaml.constructor.ConstructorError(None, None, "tags (!...) are not allowed", node.start_mark)

    Loader.add_constructor(None, refuse)
    try:
        loader = Loader(text)
        node = loader.get_single_node()
        if node is None:
            return None, {}
        return loader.construct_document(node), dict(_lines(node, (), set()))
    except yaml.MarkedYAMLError as error:
        line = f"line {error.problem_mark.line + 1}" if error.problem_mark else "somewhere"
        raise UsageError(f"{source}: not valid YAML, {line}: {error.problem}") from None
    except (yaml.YAMLError, RecursionError, ValueError):
        raise UsageError(f"{source}: not valid YAML; see the example in the README") from None


def _lines(node: Any, place: Place, seen: set[int]) -> Iterator[tuple[Place, int]]:
    """The line of every key and entry below a node; what an alias repeats is walked once."""
    if id(node) in seen or isinstance(node.value, str):
        return
    seen.add(id(node))
    for number, child in enumerate(node.value):
        key, value = child if isinstance(child, tuple) else (None, child)
        here = (*place, number if key is None else str(key.value))
        yield here, (key or value).start_mark.line + 1
        yield from _lines(value, here, seen)


def explained(
    error: ValidationError, source: str, lines: Mapping[Place, int], allowed: Mapping[bool, str]
) -> str:
    """One line of text for every problem of a recipe: where it is, and what is allowed there.

    Args:
        error: What pydantic found.
        source: How messages call the recipe.
        lines: Where everything stands.
        allowed: The allowed keys, in words: of an exception (True), of the recipe (False).
    """
    shown = []
    for problem in error.errors(include_url=False, include_input=False):
        place: Place = problem["loc"]
        message = problem["msg"].removeprefix("Value error, ").replace("Input should be", "must be")
        if problem["type"] == "extra_forbidden":
            message = f"unknown key; allowed are {allowed['overrides' in place]}"
        key, _, rest = message.partition(": ")
        if (*place, key) in lines:  # a problem of the whole exception names the key that it lies in
            place, message = (*place, key), rest
        shown.append(f"{source}{_where(place, lines)}: {_WORDS.get(problem['type'], message)}")
    return "\n".join(shown)


def _where(place: Place, lines: Mapping[Place, int]) -> str:
    """A place as a reader finds it: its line, or that of what it is missing from, and its keys."""
    inside = (place[:length] for length in range(len(place), 0, -1))
    line = next((f", line {lines[part]}" for part in inside if part in lines), "")
    keys = [f"entry {part + 1}" if isinstance(part, int) else part for part in place]
    return line + (f", {' > '.join(keys)}" if keys else "")
