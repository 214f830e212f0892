"""Whether an image looks like those that a network was trained on.

A network that has learned chests says something about a knee, too, and it means nothing. Headers are often
silent or wrong about what an image shows, so the image itself is asked before it is changed. Coarse pictures
of the training images span a space (principal components); the places in it, and how far outside it a picture
lies, have a normal distribution. An image is familiar if it is not too unlikely under that distribution, and
likelier than under the one of the same images turned, mirrored, inverted, cut and shifted, which stand for
everything else (quadratic discriminant analysis; the idea of altered images is that of Golan and El-Yaniv,
NeurIPS 2018).
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as nnf

_LEAST = 1e-6
_SHRINKAGE = 1e-3


class Familiarity(nn.Module):
    """Compares images with those that it was fitted to; before that, no image is familiar.

    Args:
        side: Rows and columns of the coarse pictures.
        components: Principal components.
    """

    mean: Tensor
    axes: Tensor
    centres: Tensor
    whitening: Tensor
    limits: Tensor

    def __init__(self, side: int = 32, components: int = 48) -> None:
        super().__init__()
        self.side = side
        values = components + 1
        self.register_buffer("mean", torch.zeros(1, side * side))
        self.register_buffer("axes", torch.zeros(components, side * side))
        self.register_buffer("centres", torch.zeros(2, values))
        self.register_buffer("whitening", torch.zeros(2, values, values))
        self.register_buffer("limits", torch.full((2,), -1.0))

    @torch.no_grad()
    def fit(self, images: Tensor, held_out: Tensor, share: float = 0.995) -> None:
        """Take up images.

        Args:
            images: `[image, 1, row, column]` in 0..1, ten or more.
            held_out: Others of the same kind, by which the limits are set.
            share: Of the held-out images, that each of the two limits is to let pass.
        """
        pictures = self._pictures(images)
        self.mean.copy_(pictures.mean(0, keepdim=True))
        axes = torch.linalg.svd(pictures - self.mean, full_matrices=False)[2][: len(self.axes)]
        self.axes[: len(axes)] = axes
        for number, some in enumerate((pictures, self._pictures(altered(images)))):
            values = self._values(some)
            covariance = torch.cov(values.T)
            covariance += _SHRINKAGE * covariance.diagonal().mean() * torch.eye(len(covariance))
            self.centres[number] = values.mean(0)
            self.whitening[number] = torch.linalg.inv(torch.linalg.cholesky(covariance))
        self.limits.copy_(torch.quantile(self._unlikeliness(held_out), share, dim=0))

    @torch.no_grad()
    def forward(self, images: Tensor) -> Tensor:
        """Which images are familiar: bool `[image]`.

        Args:
            images: `[image, 1, row, column]` in 0..1, of any size.
        """
        known = self.whitening.abs().sum() > 0
        return (self._unlikeliness(images) <= self.limits).all(1) & known

    def _pictures(self, images: Tensor) -> Tensor:
        """Coarse pictures `[image, pixel]`, free of exposure: mean 0, deviation 1."""
        small = nnf.interpolate(
            images, (self.side, self.side), mode="bilinear", antialias=True, align_corners=False
        ).flatten(1)
        small = small - small.mean(1, keepdim=True)
        return small / small.std(1, keepdim=True).clamp_min(_LEAST)

    def _values(self, pictures: Tensor) -> Tensor:
        """Places in the space, and the logarithm of the mean square distance from it: `[image, value]`."""
        moved = pictures - self.mean
        places = moved @ self.axes.T
        outside = (moved - places @ self.axes).square().mean(1, keepdim=True)
        return torch.cat([places, outside.clamp_min(_LEAST).log()], 1)

    def _unlikeliness(self, images: Tensor) -> Tensor:
        """Squared Mahalanobis distance, and logarithm of how much likelier the altered are: `[image, 2]`."""
        values = self._values(self._pictures(images))
        whitened = torch.einsum("dvw,ndw->ndv", self.whitening, values[:, None] - self.centres)
        distances = whitened.square().sum(2)
        volumes = self.whitening.diagonal(dim1=1, dim2=2).clamp_min(_LEAST).log().sum(1)
        likelihoods = volumes - distances / 2
        return torch.stack([distances[:, 0], likelihoods[:, 1] - likelihoods[:, 0]], 1)


def altered(images: Tensor) -> Tensor:
    """Images as they are not: each turned, mirrored, inverted, cut or shifted by half, in turns.

    Args:
        images: `[image, 1, row, column]` in 0..1, as many rows as columns.
    """
    half = images.shape[-1] // 2
    ways: tuple[Callable[[Tensor], Tensor], ...] = (
        lambda some: some.flip(2, 3),
        lambda some: some.transpose(2, 3).flip(2),
        lambda some: some.transpose(2, 3).flip(3),
        lambda some: some.flip(2),
        lambda some: 1 - some,
        lambda some: some.roll(half, 2),
        lambda some: some.roll(half, 3),
        lambda some: _enlarged(some[:, :, :half], images),
        lambda some: _enlarged(some[:, :, :, :half], images),
        lambda some: _enlarged(some[:, :, half // 2 : -half // 2, half // 2 : -half // 2], images),
    )
    return torch.cat([way(images[number :: len(ways)]) for number, way in enumerate(ways)])


def _enlarged(part: Tensor, like: Tensor) -> Tensor:
    return nnf.interpolate(part, like.shape[-2:], mode="bilinear", align_corners=False)
