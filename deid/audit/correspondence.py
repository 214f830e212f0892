"""Do two sets of keypoints show one thing? Matched descriptions whose places agree with one similarity.

The verification is RANSAC's (Fischler and Bolles 1981) without its chance: every pair of the best matches
gives a similarity (shift, turn and scale), and each is tried.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from deid.audit.keypoints import KEYPOINTS, Keypoints
from deid.audit.search import Codes

_MATCHES = 24
_TOLERANCE = 4.0  # pixels of 160
_APART = 12.0  # two matches nearer to each other say little of turn and scale
_SCALE, _TURN = 1.35, 0.35  # at most: the ratio and radians
_UNIT = 512.0
_AT_ONCE = 64


def agreement(one: Keypoints, other: Keypoints, first: Codes, second: Codes) -> NDArray[np.float32]:
    """How many matches agree with the best similarity, each counting by how alike it is, `[pair]`.

    Args:
        one: Keypoints of some pictures.
        other: Those of others, or the same.
        first: Index into the first, `[pair]`.
        second: Index into the second, `[pair]`.

    Returns:
        The sum divided by the most keypoints that there can be, in 0..1.
    """
    scores = np.empty(len(first), np.float32)
    with torch.inference_mode():
        for at in range(0, len(first), _AT_ONCE):
            part = slice(at, at + _AT_ONCE)
            matched = _matched(one, other, first[part], second[part])
            scores[part] = (_verified(*matched) / KEYPOINTS).numpy()
    return scores


def _matched(one: Keypoints, other: Keypoints, first: Codes, second: Codes) -> tuple[Tensor, Tensor, Tensor]:
    """Places on both sides and likeness of the best matches, `[pair, match]`; each is the other's best."""
    places = torch.from_numpy(one.places[first]), torch.from_numpy(other.places[second])
    sides = [
        torch.from_numpy(side.descriptions[index]).float() / _UNIT
        for side, index in ((one, first), (other, second))
    ]
    alike = sides[0] @ sides[1].transpose(1, 2)
    best, there = alike.max(dim=2)
    back = alike.max(dim=1).indices.gather(1, there)
    mutual = back == torch.arange(KEYPOINTS)
    likeness, index = (best * mutual).topk(_MATCHES, dim=1)  # those of empty places are 0
    return places[0].gather(1, index), places[1].gather(1, there.gather(1, index)), likeness


def _verified(here: Tensor, there: Tensor, likeness: Tensor) -> Tensor:
    """Likeness of the matches that the best similarity explains, `[pair]`."""
    known = likeness > 0
    here, there = here.masked_fill(~known, 0), there.masked_fill(~known, 0)
    one, other = torch.triu_indices(_MATCHES, _MATCHES, 1)
    span, image = here[:, other] - here[:, one], there[:, other] - there[:, one]
    turn = image / torch.where(span == 0, torch.ones_like(span), span)
    usable = (span.abs() >= _APART) & known[:, one] & known[:, other]
    usable &= (turn.abs() < _SCALE) & (turn.abs() > 1 / _SCALE) & (turn.angle().abs() < _TURN)
    shift = there[:, one] - turn * here[:, one]
    rest = turn[:, :, None] * here[:, None] + shift[:, :, None] - there[:, None]
    inside = rest.real.square() + rest.imag.square() < _TOLERANCE**2
    agreeing = (inside.float() @ likeness[:, :, None])[:, :, 0]
    return (agreeing * usable).amax(dim=1)
