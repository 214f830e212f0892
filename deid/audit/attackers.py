"""Attackers: what turns pictures into templates, and compares them.

Most templates are unit vectors, compared by their product. Keypoints are compared pair by pair, which takes
so much longer that their searches are of a part of the pictures.

Three kinds. *Training-free* ones need no network at all. *Frozen* ones are networks that have never seen a
scrubbed image. *Adaptive* ones were trained on what the anonymizer makes, original to scrubbed.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Literal, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as nnf

from deid.audit.correspondence import agreement
from deid.audit.keypoints import Keypoints, find_keypoints
from deid.audit.pictures import Pictures
from deid.audit.search import Codes, Vectors, pair_scores
from deid.reid.embedding import embed_images

Kind = Literal["training_free", "frozen", "adaptive"]

_HASH, _GREY = 32, 24
_REACH = 2  # of 24 pixels: a shift of 8 % of the side to each of four directions


class Templates(Protocol):
    """What an attacker keeps of each picture, to search with and to be found."""

    def scores(self, gallery: Any, first: Codes, second: Codes) -> NDArray[np.float32]:
        """Score `[pair]`, higher is more alike.

        Args:
            gallery: Templates of the same attacker.
            first: Index of one of these pictures, `[pair]`.
            second: Index of one of the gallery's, `[pair]`.
        """

    def searchable(self, gallery: Any, queries: Codes, images: Codes) -> tuple[Vectors, Vectors]:
        """Queries `[query, dimension]` and gallery `[view, image, dimension]` for `deid.audit.search`.

        Args:
            gallery: Templates of the same attacker.
            queries: Indices of these pictures.
            images: Indices of the gallery's.
        """


@dataclass(frozen=True, eq=False)
class VectorTemplates:
    """Vectors of length 1; see `Templates`.

    Attributes:
        probe: `[image, dimension]`, to search with.
        gallery: `[view, image, dimension]`, to be found: the best view counts.
    """

    probe: Vectors
    gallery: Vectors

    def scores(self, gallery: VectorTemplates, first: Codes, second: Codes) -> NDArray[np.float32]:
        """The highest product over the views of the second picture."""
        return pair_scores(self.probe, gallery.gallery, first, second)

    def searchable(self, gallery: VectorTemplates, queries: Codes, images: Codes) -> tuple[Vectors, Vectors]:
        """The chosen vectors."""
        return self.probe[queries], gallery.gallery[:, images]


@dataclass(frozen=True, eq=False)
class KeypointTemplates:
    """Keypoints, compared by how many agree with one similarity; see `Templates`."""

    points: Keypoints

    def scores(self, gallery: KeypointTemplates, first: Codes, second: Codes) -> NDArray[np.float32]:
        """Agreement of each pair, 0..1."""
        return agreement(self.points, gallery.points, first, second)

    def searchable(
        self, gallery: KeypointTemplates, queries: Codes, images: Codes
    ) -> tuple[Vectors, Vectors]:
        """All scores of each query, and a unit matrix: the product of the two is the scores."""
        pairs = np.repeat(queries, len(images)), np.tile(images, len(queries))
        table = self.scores(gallery, *pairs).reshape(len(queries), len(images))
        return table, np.eye(len(images), dtype=np.float32)[None]


@dataclass(frozen=True, eq=False)
class Attacker:
    """One attacker.

    Attributes:
        name: For the report.
        kind: Training-free, frozen or adaptive.
        templates: From all pictures of the audit, in its order.
        folds: Which of several networks answers for an image, `[image]`; images of two folds cannot be
            compared. None for one network.
    """

    name: str
    kind: Kind
    templates: Callable[[Pictures], Templates]
    folds: Codes | None = None


def perceptual_hash(pictures: Pictures) -> VectorTemplates:
    """Signs of low frequencies (pHash) and of differences of neighbours (dHash), 127 bits.

    The product of two templates is 1 - 2 x their Hamming distance / 127.
    """
    small = _resized(pictures, _HASH, _HASH)
    cosines = _cosine_transform(_HASH)[:8]
    low = (cosines @ small @ cosines.T).reshape(len(small), 64)[:, 1:]
    neighbours = np.diff(_resized(pictures, 8, 9), axis=2).reshape(len(small), 64)
    bits = np.concatenate([low > np.median(low, axis=1, keepdims=True), neighbours > 0], axis=1)
    vectors = _unit(np.where(bits, 1, -1).astype(np.float32))
    return VectorTemplates(vectors, vectors[None])


def aligned_correlation(pictures: Pictures) -> VectorTemplates:
    """Correlation of grey values at 24 x 24 pixels, the best of 25 shifts by up to two of them."""
    small = _resized(pictures, _GREY, _GREY)
    padded = np.pad(small, ((0, 0), (_REACH, _REACH), (_REACH, _REACH)), mode="edge")
    steps = range(2 * _REACH + 1)
    views = [padded[:, row : row + _GREY, column : column + _GREY] for row in steps for column in steps]
    gallery = np.stack([_unit(_centred(view.reshape(len(small), -1))) for view in views])
    return VectorTemplates(gallery[len(views) // 2], gallery)


def keypoints(pictures: Pictures) -> KeypointTemplates:
    """Ribs, vessels and their crossings, found again wherever they moved together."""
    return KeypointTemplates(find_keypoints(pictures))


KEYPOINTS = "keypoints"
TRAINING_FREE: Mapping[str, Callable[[Pictures], Templates]] = MappingProxyType(
    {"perceptual_hash": perceptual_hash, "aligned_correlation": aligned_correlation, KEYPOINTS: keypoints}
)
PAIR_BY_PAIR = frozenset({KEYPOINTS})
"""Attackers whose comparisons take so long that a search must be of few pictures."""


def embedding(network: nn.Module) -> Callable[[Pictures], Templates]:
    """Embeddings of a network, compared by cosine."""

    def templates(pictures: Pictures) -> Templates:
        vectors = embed_images(network, pictures)
        return VectorTemplates(vectors, vectors[None])

    return templates


class Remembered(nn.Module):
    """A network that embeds each batch once: several attacks of one audit ask it for the same pictures.

    Embeddings stay in memory with a digest of the batch, and are gone with the object.

    Args:
        network: With `embed`.
    """

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network
        self._known: dict[bytes, Tensor] = {}

    def embed(self, images: Tensor) -> Tensor:
        """As `deid.networks.encoder.Embedder.embed`, without gradients."""
        key = hashlib.sha256(images.detach().cpu().contiguous().numpy().data).digest()
        if key not in self._known:
            with torch.no_grad():
                self._known[key] = self.network.embed(images).cpu()  # type: ignore[operator]
        return self._known[key].to(images.device)


def folded(networks: Sequence[nn.Module], folds: Codes) -> Callable[[Pictures], Templates]:
    """Embeddings of the network that has not seen an image's patient.

    Args:
        networks: One a fold, of one dimension.
        folds: Of each image, `[image]`.
    """

    def templates(pictures: Pictures) -> Templates:
        vectors: NDArray[np.float32] | None = None
        for fold, network in enumerate(networks):
            chosen = np.flatnonzero(folds == fold)
            found = embed_images(network, pictures[chosen])
            if vectors is None:
                vectors = np.zeros((len(pictures), found.shape[1]), np.float32)
            vectors[chosen] = found
        assert vectors is not None
        return VectorTemplates(vectors, vectors[None])

    return templates


def _resized(pictures: Pictures, rows: int, columns: int) -> Pictures:
    given: Tensor = torch.from_numpy(np.ascontiguousarray(pictures))[:, None]
    made = nnf.interpolate(given, (rows, columns), mode="bilinear", antialias=True, align_corners=False)
    small: Pictures = made[:, 0].numpy()
    return small


def _cosine_transform(size: int) -> NDArray[np.float32]:
    """The matrix of the discrete cosine transform II, `[frequency, place]`."""
    frequency, place = np.mgrid[:size, :size]
    matrix: NDArray[np.float32] = np.cos(np.pi * frequency * (2 * place + 1) / (2 * size)).astype(np.float32)
    return matrix


def _centred(vectors: Vectors) -> Vectors:
    centred: Vectors = vectors - vectors.mean(axis=1, keepdims=True)
    return centred


def _unit(vectors: Vectors) -> Vectors:
    """Of length 1; a vector of zeros, such as of an even image, becomes a fixed one."""
    length = np.linalg.norm(vectors, axis=1, keepdims=True)
    fixed = np.full_like(vectors, vectors.shape[1] ** -0.5)
    return np.where(length > 1e-6, vectors / np.maximum(length, 1e-6), fixed).astype(np.float32)
