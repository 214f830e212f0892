"""What makes a phantom head: who it is, what is wrong, how it was taken.

Lengths are in half sides of the cubic field of view: ``x`` toward the patient's left, ``y`` to the back,
``z`` up.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from deid.training.phantoms.shapes import spread

WAVES = 10
SHAPE_TERMS = 7


@dataclass(frozen=True)
class Identity:
    """Anatomy of one person; nothing of it changes from study to study.

    Attributes:
        cranium: Half axes of the head above the face, outer surface.
        shape: Weights of low-order surface terms: front and back, sides, corners, asymmetries.
        skin: Thickness of the scalp.
        skull: Thickness of the bone.
        atrophy: Width of the fluid round the brain.
        waves: Folds of the cortex: of each plane wave the wave vector and its phase.
        fold_depth: Depth of the sulci.
        ventricles: Half axes of a lateral ventricle.
        ventricle_gap: Of each from the midline.
        ventricle_skew: How much the left one is larger.
        jaw: Half width and length of the face.
        nose: Length, width and height of the nose.
        brow: How far the brow stands out.
        chin: How far the chin stands out.
        eyes: Distance from the midline, height and radius.
        ears: Size and height.
        neck: Radius.
    """

    cranium: tuple[float, float, float]
    shape: tuple[float, ...]
    skin: float
    skull: float
    atrophy: float
    waves: tuple[tuple[float, float, float, float], ...]
    fold_depth: float
    ventricles: tuple[float, float, float]
    ventricle_gap: float
    ventricle_skew: float
    jaw: tuple[float, float]
    nose: tuple[float, float, float]
    brow: float
    chin: float
    eyes: tuple[float, float, float]
    ears: tuple[float, float]
    neck: float

    @classmethod
    def draw(cls, rng: np.random.Generator) -> Identity:
        """A person of the population."""
        return cls(
            cranium=(spread(rng, 0.61, 0.035), spread(rng, 0.77, 0.04), spread(rng, 0.66, 0.035)),
            shape=tuple(spread(rng, 0, 0.028) for _ in range(SHAPE_TERMS)),
            skin=spread(rng, 0.045, 0.008),
            skull=spread(rng, 0.06, 0.009),
            atrophy=spread(rng, 0.022, 0.006),
            waves=tuple(_wave(rng) for _ in range(WAVES)),
            fold_depth=spread(rng, 0.10, 0.015),
            ventricles=(spread(rng, 0.065, 0.014), spread(rng, 0.29, 0.035), spread(rng, 0.11, 0.02)),
            ventricle_gap=spread(rng, 0.085, 0.012),
            ventricle_skew=spread(rng, 0.0, 0.12),
            jaw=(spread(rng, 0.44, 0.03), spread(rng, 0.56, 0.03)),
            nose=(spread(rng, 0.17, 0.03), spread(rng, 0.095, 0.015), spread(rng, -0.34, 0.03)),
            brow=spread(rng, 0.045, 0.02),
            chin=spread(rng, 0.06, 0.03),
            eyes=(spread(rng, 0.26, 0.018), spread(rng, -0.14, 0.02), spread(rng, 0.105, 0.008)),
            ears=(spread(rng, 0.17, 0.02), spread(rng, -0.16, 0.03)),
            neck=spread(rng, 0.40, 0.03),
        )


def _wave(rng: np.random.Generator) -> tuple[float, float, float, float]:
    direction = rng.standard_normal(3)
    x, y, z = direction / np.linalg.norm(direction) * rng.uniform(17, 30)
    return float(x), float(y), float(z), float(rng.uniform(0, 2 * np.pi))


@dataclass(frozen=True)
class Lesion:
    """A spot in the brain.

    Attributes:
        place: Relative to the brain's half axes, within -1..1.
        radius: Half axes are this times 1, 1.25 and 0.9.
        strength: 0..1, how much of the tissue it replaces.
    """

    place: tuple[float, float, float]
    radius: float
    strength: float


@dataclass(frozen=True)
class Disease:
    """What is wrong; independent of who it is.

    Attributes:
        lesions: Small spots round the ventricles: dark in both.
        hemorrhages: Blood: bright in both.
    """

    lesions: tuple[Lesion, ...] = ()
    hemorrhages: tuple[Lesion, ...] = ()

    @property
    def findings(self) -> tuple[str, ...]:
        """Names of what is there, sorted; none in the healthy."""
        named = {"Hemorrhage": self.hemorrhages, "Lesion": self.lesions}
        return tuple(name for name, present in named.items() if present)

    @classmethod
    def draw(cls, rng: np.random.Generator, healthy: float = 0.4) -> Disease:
        """What one study finds: nothing in a share of ``healthy``, else one kind, at times both."""
        ill, kind = rng.random() >= healthy, rng.random()
        lesions = tuple(_lesion(rng, spread(rng, 0.095, 0.01), 0.9) for _ in range(int(rng.integers(4, 9))))
        blood = (_lesion(rng, spread(rng, 0.18, 0.02), 0.95),)
        return cls(lesions if ill and kind < 0.6 else (), blood if ill and kind > 0.45 else ())


def _lesion(rng: np.random.Generator, radius: float, strength: float) -> Lesion:
    side = float(rng.choice((-1, 1)))
    place = side * rng.uniform(0.30, 0.60), rng.uniform(-0.5, 0.5), rng.uniform(-0.05, 0.45)
    return Lesion((float(place[0]), float(place[1]), float(place[2])), radius, strength)


@dataclass(frozen=True)
class Site:
    """One scanner.

    Attributes:
        station: Its name.
        modality: ``MR`` or ``CT``.
        sharpness: Width of its blur, in half sides of the field of view.
        noise: Standard deviation of its noise.
    """

    station: str
    modality: str
    sharpness: float
    noise: float


SITES = (
    Site("MRA1", "MR", 0.008, 0.020),
    Site("MRB2", "MR", 0.016, 0.012),
    Site("CTA1", "CT", 0.008, 0.010),
    Site("CTB2", "CT", 0.014, 0.006),
)


@dataclass(frozen=True)
class Acquisition:
    """How one volume was taken: pose, scanner, grey scale; drawn anew for every study.

    Attributes:
        site: Whose scanner.
        angles: Turns about ``x`` (nod), ``y`` (tilt) and ``z`` (shake), in radians.
        scale: Enlargement.
        shift: Of the head.
        gain: MR: factor of all values.
        gamma: MR: of the grey scale.
        bias: MR: brightening by the coil's side, along ``x``, ``y`` and ``z``.
        noise_seed: Seed of the noise.
    """

    site: Site
    angles: tuple[float, float, float]
    scale: float
    shift: tuple[float, float, float]
    gain: float
    gamma: float
    bias: tuple[float, float, float]
    noise_seed: int

    @property
    def modality(self) -> str:
        """Modality (0008,0060)."""
        return self.site.modality

    @property
    def view(self) -> str:
        """``T1w`` or ``CT``."""
        return "T1w" if self.modality == "MR" else "CT"

    @classmethod
    def draw(cls, rng: np.random.Generator, modalities: tuple[str, ...] = ("MR",)) -> Acquisition:
        """One study on one of the scanners of such a modality."""
        sites = [site for site in SITES if site.modality in modalities]
        return cls(
            site=sites[int(rng.integers(len(sites)))],
            angles=(spread(rng, 0, 0.035), spread(rng, 0, 0.03), spread(rng, 0, 0.035)),
            scale=spread(rng, 1.0, 0.015),
            shift=(spread(rng, 0, 0.012), spread(rng, 0, 0.016), spread(rng, 0, 0.016)),
            gain=spread(rng, 1.0, 0.08),
            gamma=float(np.exp(spread(rng, 0, 0.15))),
            bias=(spread(rng, 0, 0.08), spread(rng, 0, 0.08), spread(rng, 0, 0.08)),
            noise_seed=int(rng.integers(2**31)),
        )
