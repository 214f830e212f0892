"""Exact search in galleries of any size: blocks of matrix products, counted while they are in the cache.

No matrix of all queries by all images of the gallery is ever made. What is asked of a search is how many
strangers score above the query's own images, so each block is compared with the query's own scores and
forgotten.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Vectors = NDArray[np.float32]
Codes = NDArray[np.intp]

_ROWS, _COLUMNS = 256, 4096
_TIE = np.float32(1e-6)  # two float32 products of the same unit vectors differ by less
_BINS = 1 << 21
_PAIRS_AT_ONCE = 1 << 16


@dataclass(frozen=True, eq=False)
class Found:
    """What a search told of each query that has an image of its own in the gallery.

    Attributes:
        queries: Index of the query, `[found]`.
        higher: Images of others that score higher than the best own one, `[found]`.
        tied: Images of others within 1e-6 of it, `[found]`.
        others: Images of others in the gallery, `[found]`.
        average_precision: Of the own images among all, `[found]`; tied images share one threshold.
    """

    queries: Codes
    higher: Codes
    tied: Codes
    others: Codes
    average_precision: NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class OwnImages:
    """Which images of a gallery show a query's patient, as a list of pairs by rising query.

    Attributes:
        queries: Index of the query, `[pair]`.
        images: Index of the image of the gallery, `[pair]`.
        wanted: Whether it counts as found, `[pair]`; the others are barred: they neither count nor compete.
    """

    queries: Codes
    images: Codes
    wanted: NDArray[np.bool_]

    @classmethod
    def of(
        cls,
        query_labels: Codes,
        gallery_labels: Codes,
        query_studies: Codes | None = None,
        gallery_studies: Codes | None = None,
    ) -> OwnImages:
        """Every image with the query's label; those of the query's own study are barred.

        Args:
            query_labels: Patient of each query as a number, `[query]`.
            gallery_labels: Patient of each image of the gallery, `[image]`.
            query_studies: Study of each query, `[query]`; None bars nothing.
            gallery_studies: Study of each image of the gallery, `[image]`.
        """
        order = np.argsort(gallery_labels, kind="stable")
        ranked = gallery_labels[order]
        begin, end = (np.searchsorted(ranked, query_labels, side) for side in ("left", "right"))
        counts = end - begin
        queries = np.repeat(np.arange(len(query_labels)), counts)
        within = np.arange(len(queries)) - np.repeat(np.cumsum(counts) - counts, counts)
        images = order[np.repeat(begin, counts) + within]
        if query_studies is None or gallery_studies is None:
            return cls(queries, images, np.ones(len(queries), bool))
        return cls(queries, images, query_studies[queries] != gallery_studies[images])


def pair_scores(queries: Vectors, gallery: Vectors, first: Codes, second: Codes) -> NDArray[np.float32]:
    """Score `[pair]` of pairs: the highest product over the views of the second image.

    Args:
        queries: `[query, dimension]`, of length 1.
        gallery: `[view, image, dimension]`, of length 1.
        first: Index of a query, `[pair]`.
        second: Index of an image of the gallery, `[pair]`.
    """
    scores = np.empty(len(first), np.float32)
    for at in range(0, len(first), _PAIRS_AT_ONCE):
        part = slice(at, at + _PAIRS_AT_ONCE)
        one = queries[first[part]]
        scores[part] = np.max([np.einsum("pd,pd->p", one, view[second[part]]) for view in gallery], axis=0)
    return scores


def search(queries: Vectors, gallery: Vectors, own: OwnImages) -> Found:
    """Rank of the first own image, and average precision, of every query.

    Memory beside the arguments is a block of 256 x 4,096 scores and a few numbers a query.

    Args:
        queries: `[query, dimension]`, of length 1.
        gallery: `[view, image, dimension]`, of length 1; an image scores as its best view does.
        own: Which images are the query's own.
    """
    scores = pair_scores(queries, gallery, own.queries, own.images)
    table, wanted = _table(len(queries), own, scores)
    above, at_least = (np.zeros(table.shape, np.intp) for _ in range(2))
    masks = np.empty((_ROWS, _COLUMNS), bool)
    # Queries with as many own images stand together, so that no block waits for one with many.
    order = np.argsort(wanted, kind="stable")
    for rows, block in _blocks(queries, gallery, own, order[np.sort(wanted) > 0]):
        mask = masks[: len(rows), : block.shape[1]]
        for slot in range(int(wanted[rows].max())):
            above[rows, slot] += _count(np.greater(block, (table[rows, slot] + _TIE)[:, None], out=mask))
            reached = np.greater_equal(block, (table[rows, slot] - _TIE)[:, None], out=mask)
            at_least[rows, slot] += _count(reached)
    known = np.flatnonzero(wanted)
    others = gallery.shape[1] - np.bincount(own.queries, minlength=len(queries))
    return Found(
        known,
        above[known, 0],
        at_least[known, 0] - above[known, 0],
        others[known],
        _average_precision(table[known], wanted[known], at_least[known]),
    )


def shares_below(queries: Vectors, gallery: Vectors, own: OwnImages) -> NDArray[np.float64]:
    """Share of all strangers' scores below each own score; their mean is the ROC AUC over all pairs.

    Strangers' scores are counted in 2,097,152 bins over -1..1, and one in the same bin counts one half: on
    random scores the area is right to 1e-6.

    Args:
        queries: As for `search`.
        gallery: Likewise.
        own: Likewise.

    Returns:
        `[wanted pair of own]`.
    """
    counts = np.zeros(_BINS, np.intp)
    for _, block in _blocks(queries, gallery, own, np.arange(len(queries))):
        counts += np.bincount(_bin(block).ravel(), minlength=_BINS)
    counts[0] -= len(own.queries)  # each stood at minus infinity
    scores = pair_scores(queries, gallery, own.queries, own.images)[own.wanted]
    below = np.cumsum(counts) - 0.5 * counts
    shares: NDArray[np.float64] = below[_bin(scores)] / max(1, counts.sum())
    return shares


def _bin(scores: NDArray[np.float32]) -> Codes:
    half = np.float32((_BINS - 1) / 2)
    places = scores * half
    places += half
    return np.clip(places, 0, _BINS - 1, out=places).astype(np.intp)


def _blocks(
    queries: Vectors, gallery: Vectors, own: OwnImages, order: Codes
) -> Iterator[tuple[Codes, NDArray[np.float32]]]:
    """Scores of some queries with some images of the gallery, own images at minus infinity."""
    starts = np.searchsorted(own.queries, np.arange(len(queries) + 1))
    buffer, view_buffer = (np.empty((_ROWS, _COLUMNS), np.float32) for _ in range(2))
    for at in range(0, len(order), _ROWS):
        rows = order[at : at + _ROWS]
        some = queries[rows]
        pairs = np.concatenate([np.arange(starts[row], starts[row + 1]) for row in rows])
        places = np.repeat(np.arange(len(rows)), starts[rows + 1] - starts[rows])
        for begin in range(0, gallery.shape[1], _COLUMNS):
            part = gallery[:, begin : begin + _COLUMNS]
            block = np.matmul(some, part[0].T, out=buffer[: len(rows), : part.shape[1]])
            for view in part[1:]:
                other = np.matmul(some, view.T, out=view_buffer[: len(rows), : part.shape[1]])
                np.maximum(block, other, out=block)
            columns = own.images[pairs] - begin
            inside = (columns >= 0) & (columns < part.shape[1])
            block[places[inside], columns[inside]] = -np.inf
            yield rows, block


def _count(mask: NDArray[np.bool_]) -> Codes:
    # One vectorised count a row is many times faster than a sum along the axis.
    return np.array([np.count_nonzero(row) for row in mask], np.intp)


def _table(
    count: int, own: OwnImages, scores: NDArray[np.float32]
) -> tuple[NDArray[np.float32], NDArray[np.intp]]:
    """The wanted scores of each query, falling, `[query, slot]` padded by infinity; and how many they are."""
    queries, values = own.queries[own.wanted], scores[own.wanted]
    order = np.lexsort((-values, queries))
    queries, values = queries[order], values[order]
    wanted = np.bincount(queries, minlength=count)
    table = np.full((count, max(1, int(wanted.max(initial=0)))), np.inf, np.float32)
    table[queries, np.arange(len(queries)) - np.repeat(np.cumsum(wanted) - wanted, wanted)] = values
    return table, wanted


def _average_precision(
    table: NDArray[np.float32], wanted: Codes, at_least: NDArray[np.intp]
) -> NDArray[np.float64]:
    total = np.zeros(len(table))
    for slot in range(table.shape[1]):
        here = slot < wanted
        own = (table >= table[:, slot : slot + 1] - _TIE) & (np.arange(table.shape[1]) < wanted[:, None])
        hits = own.sum(axis=1)
        total += np.where(here, hits / np.maximum(1, hits + at_least[:, slot]), 0)
    return total / wanted
