"""Which attributes an object must have (PS3.3), for the choice between X, Z and D.

PS3.15 Table E.1-1a lets the type of an attribute in the IOD decide combined actions such as ``X/Z/D``. Two
kinds matter: what must have a value (type 1) and what must be present (type 2). A conditional attribute
(1C, 2C) that is present stays present, so it counts as its unconditional type. Where modules of an IOD
disagree, the more demanding wins: a dummy reveals as little as an absent attribute.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping
from enum import IntEnum

from deid.dicom.profile.tables import IODS, data_text


class Need(IntEnum):
    """What an IOD asks of an attribute that is present."""

    OPTIONAL = 0
    """Type 3, not in the IOD, or the IOD is not known: it may go."""
    PRESENT = 2
    """Type 2 or 2C: present, may be empty."""
    VALUE = 1
    """Type 1 or 1C: present with a value."""


_Node = tuple[frozenset[int], frozenset[int], Mapping[int, int]]


@functools.cache
def _tables() -> tuple[Mapping[str, int], list[list[int]], list[list[object]]]:
    table = json.loads(data_text(IODS))
    return table["sop_classes"], table["iods"], table["nodes"]


@functools.lru_cache(4096)
def _node(number: int) -> _Node:
    ones, twos, children = _tables()[2][number]
    assert isinstance(ones, str)
    assert isinstance(twos, str)
    assert isinstance(children, dict)
    return (
        frozenset(int(tag, 16) for tag in ones.split()),
        frozenset(int(tag, 16) for tag in twos.split()),
        {int(tag, 16): child for tag, child in children.items()},
    )


def sop_classes() -> tuple[str, ...]:
    """SOP Class UIDs whose IOD is known."""
    return tuple(_tables()[0])


@functools.lru_cache(4096)
def _needs_at(sop_class: str, parents: tuple[int, ...]) -> tuple[frozenset[int], frozenset[int]]:
    """What must have a value and what must be present at one place, by all modules that know the place."""
    classes, iods, _ = _tables()
    number = classes.get(sop_class)
    if number is None:
        return frozenset(), frozenset()
    path = [tag for index, tag in enumerate(parents) if index == 0 or parents[index - 1] != tag]
    found = []
    for root in iods[number]:
        node: _Node | None = _node(root)
        for tag in path:
            # sequences that hold themselves, such as Content Sequence, are described once (path, above)
            child = node[2].get(tag) if node is not None else None
            node = _node(child) if child is not None else None
        if node is not None:
            found.append(node)
    return frozenset().union(*(node[0] for node in found)), frozenset().union(*(node[1] for node in found))


def need(sop_class: str, parents: tuple[int, ...], tag: int) -> Need:
    """What the IOD asks of an attribute.

    Args:
        sop_class: SOP Class UID of the object.
        parents: Tags of the sequences around the attribute, outermost first.
        tag: Its tag.

    Returns:
        The most demanding need of any module of the IOD at that place.
    """
    values, present = _needs_at(sop_class, parents)
    if tag in values:
        return Need.VALUE
    return Need.PRESENT if tag in present else Need.OPTIONAL
