"""White-box inversion: what who has the weights, but not the key, gets back from a scrubbed image."""

from __future__ import annotations

import torch
from torch import Tensor

from deid.networks.anonymizer import Anonymizer

_SMOOTHNESS = 1e-3


def fixed_point(
    network: Anonymizer, scrubbed: Tensor, strength: Tensor, noise: Tensor, steps: int = 50
) -> Tensor:
    """Undo by x <- x + (scrubbed - network(x)), which finds the original of every small bounded change.

    Args:
        network: The anonymizer, in eval mode.
        scrubbed: `[image, 1, row, column]` in 0..1.
        strength: `[image]`; the attacker knows it.
        noise: `[image, noise]`: the attacker's guess, or the true noise if the key has leaked.
        steps: Iterations.

    Returns:
        Guesses at the originals, like ``scrubbed``.
    """
    guess = scrubbed.clone()
    with torch.no_grad():
        for _ in range(steps):
            guess = (guess + scrubbed - network(guess, strength, noise)).clamp(0, 1)
    return guess


def gradient_descent(
    network: Anonymizer,
    scrubbed: Tensor,
    strength: Tensor,
    noise: Tensor,
    *,
    fit_noise: bool = True,
    steps: int = 60,
    rate: float = 0.03,
) -> Tensor:
    """Undo by descent on image and noise together, to what the network would turn into the scrubbed image.

    The loss is the mean squared difference, a little total variation against speckle, and the noise's own
    normal prior. Arguments as in `fixed_point`.

    Args:
        network: The anonymizer, in eval mode.
        scrubbed: `[image, 1, row, column]` in 0..1.
        strength: `[image]`.
        noise: `[image, noise]`, where the descent begins.
        fit_noise: Whether the noise is searched, too; not if the true one is known.
        steps: Iterations of Adam.
        rate: Its learning rate.
    """
    guess = torch.logit(scrubbed.clamp(0.01, 0.99)).requires_grad_()
    drawn = noise.clone().requires_grad_(fit_noise)
    optimizer = torch.optim.Adam(
        [{"params": [guess], "lr": 3 * rate}] + ([{"params": [drawn], "lr": rate}] if fit_noise else [])
    )
    weights = list(network.parameters())
    wanted = [weight.requires_grad for weight in weights]
    for weight in weights:
        weight.requires_grad_(False)
    try:
        for _ in range(steps):
            image = torch.sigmoid(guess)
            miss = (network(image, strength, drawn) - scrubbed).square().mean()
            rough = image.diff(dim=2).abs().mean() + image.diff(dim=3).abs().mean()
            prior = drawn.square().mean() if fit_noise else 0.0
            loss = miss + _SMOOTHNESS * rough + 1e-4 * prior
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    finally:
        for weight, flag in zip(weights, wanted, strict=True):
            weight.requires_grad_(flag)
    return torch.sigmoid(guess).detach()
