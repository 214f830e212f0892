"""What makes a phantom radiograph: who it is, what is wrong, how it was taken.

Lengths are in half image sides: ``u`` from -1 to 1 to the right of the image (the patient's left), ``v``
from -1 to 1 downward. Sides: -1 is the patient's right lung (left in the image), 1 the left one.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from deid.training.phantoms.shapes import spread

RIBS = 12
BRANCHES = 8
"""Vessels that leave each hilum."""


@dataclass(frozen=True)
class Identity:
    """Anatomy of one person; nothing of it changes from study to study.

    Attributes:
        width: Half width of the rib cage at its base.
        roundness: How fast the rib cage widens below the apex.
        apex: Height of the lung apices.
        domes: Height of the top of the right and left half of the diaphragm.
        arches: How much the domes bulge.
        mediastinum: Half width of the vessels above the heart.
        trachea: Sideways shift of the windpipe.
        spine: Half width of the vertebrae.
        scoliosis: Sideways bend of the spine.
        heart: Half axes.
        heart_tilt: Turn of the heart's long axis, in radians.
        heart_place: Centre of the heart.
        atrium: How far the right border of the heart stands out.
        knob: Radius and height of the aortic knob.
        rib_spacing: Between neighbouring ribs.
        rib_offset: Height of the first rib.
        rib_drop: How far a rib falls from the spine to the side.
        rib_arch: How far it rises before that.
        rib_width: Half width of a rib.
        rib_shifts: Of each rib from its regular place, as a share of the spacing.
        front_drop: How far the front part of a rib falls on its way to the middle.
        clavicles: Height at the inner end.
        clavicle_slopes: Of the right and left collar bone.
        clavicle_bow: Of their S shape.
        clavicle_width: Half width of a collar bone.
        scapula: Distance of the shoulder blades from the middle.
        scapula_tilt: Of the shoulder blades, in radians.
        shoulders: Height and slope of the shoulders.
        neck: Half width.
        breast: Density and height of the soft tissue before the lower lungs.
        vessels: Of the right and left lung, each with angle in radians, bend and half width.
    """

    width: float
    roundness: float
    apex: float
    domes: tuple[float, float]
    arches: tuple[float, float]
    mediastinum: float
    trachea: float
    spine: float
    scoliosis: float
    heart: tuple[float, float]
    heart_tilt: float
    heart_place: tuple[float, float]
    atrium: float
    knob: tuple[float, float]
    rib_spacing: float
    rib_offset: float
    rib_drop: float
    rib_arch: float
    rib_width: float
    rib_shifts: tuple[float, ...]
    front_drop: float
    clavicles: float
    clavicle_slopes: tuple[float, float]
    clavicle_bow: float
    clavicle_width: float
    scapula: float
    scapula_tilt: float
    shoulders: tuple[float, float]
    neck: float
    breast: tuple[float, float]
    vessels: tuple[tuple[tuple[float, float, float], ...], ...]

    @classmethod
    def draw(cls, rng: np.random.Generator) -> Identity:
        """A person of the population."""
        dome = spread(rng, 0.46, 0.075)
        return cls(
            width=spread(rng, 0.76, 0.055),
            roundness=spread(rng, 2.2, 0.35),
            apex=spread(rng, -0.80, 0.035),
            domes=(dome, spread(rng, dome + 0.05, 0.05)),
            arches=(spread(rng, 0.20, 0.04), spread(rng, 0.20, 0.04)),
            mediastinum=spread(rng, 0.115, 0.02),
            trachea=spread(rng, -0.01, 0.02),
            spine=spread(rng, 0.085, 0.01),
            scoliosis=spread(rng, 0.0, 0.03),
            heart=(spread(rng, 0.345, 0.05), spread(rng, 0.245, 0.03)),
            heart_tilt=spread(rng, 0.55, 0.15),
            heart_place=(spread(rng, 0.11, 0.025), spread(rng, 0.31, 0.03)),
            atrium=spread(rng, 0.17, 0.025),
            knob=(spread(rng, 0.085, 0.015), spread(rng, -0.27, 0.035)),
            rib_spacing=spread(rng, 0.145, 0.010),
            rib_offset=spread(rng, -0.80, 0.035),
            rib_drop=spread(rng, 0.34, 0.07),
            rib_arch=spread(rng, 0.20, 0.05),
            rib_width=spread(rng, 0.030, 0.004),
            rib_shifts=tuple(spread(rng, 0.0, 0.07) for _ in range(RIBS)),
            front_drop=spread(rng, 0.34, 0.07),
            clavicles=spread(rng, -0.56, 0.03),
            clavicle_slopes=(spread(rng, -0.20, 0.07), spread(rng, -0.20, 0.07)),
            clavicle_bow=spread(rng, 0.035, 0.015),
            clavicle_width=spread(rng, 0.034, 0.005),
            scapula=spread(rng, 0.78, 0.035),
            scapula_tilt=spread(rng, 1.25, 0.10),
            shoulders=(spread(rng, -0.80, 0.05), spread(rng, 0.45, 0.10)),
            neck=spread(rng, 0.25, 0.03),
            breast=(max(0.0, spread(rng, 0.05, 0.06)), spread(rng, 0.33, 0.06)),
            vessels=(_vessels(rng), _vessels(rng)),
        )


def _vessels(rng: np.random.Generator) -> tuple[tuple[float, float, float], ...]:
    """Fan out from the hilum, from upward to downward."""
    angles = np.linspace(-1.25, 1.35, BRANCHES)
    return tuple(
        (spread(rng, float(angle), 0.12), spread(rng, 0.0, 0.5), spread(rng, 0.017, 0.004))
        for angle in angles
    )


@dataclass(frozen=True)
class Opacity:
    """A dense patch of one lung: small and round is a nodule, large and uneven a consolidation.

    Attributes:
        side: -1 or 1.
        place: Share of the lung's width from the middle outward, and of its height downward, 0..1.
        lobes: Of each of its parts, the shift from that place and the radius.
        density: In the middle of a part.
    """

    side: int
    place: tuple[float, float]
    lobes: tuple[tuple[float, float, float], ...]
    density: float


@dataclass(frozen=True)
class Effusion:
    """Fluid in the lower part of one side of the chest.

    Attributes:
        side: -1 or 1.
        depth: Of the fluid above the diaphragm's dome.
        density: Of the fluid.
    """

    side: int
    depth: float
    density: float


@dataclass(frozen=True)
class Disease:
    """What is wrong; independent of who it is.

    Attributes:
        consolidations: Uneven opacities.
        nodules: Small round ones.
        effusions: Fluid.
    """

    consolidations: tuple[Opacity, ...] = ()
    nodules: tuple[Opacity, ...] = ()
    effusions: tuple[Effusion, ...] = ()

    @property
    def findings(self) -> tuple[str, ...]:
        """Names of what is there, sorted; none in the healthy."""
        named = {
            "Consolidation": self.consolidations,
            "Effusion": self.effusions,
            "Nodule": self.nodules,
        }
        return tuple(name for name, present in named.items() if present)

    @classmethod
    def draw(cls, rng: np.random.Generator, healthy: float = 0.4) -> Disease:
        """What one study finds: nothing in a share of ``healthy``, else one kind, at times two."""
        ill, second, kinds = rng.random() >= healthy, rng.random() < 0.2, rng.permutation(3)
        parts = _consolidation(rng), _nodules(rng), _effusion(rng)
        chosen = set(kinds[: 1 + second]) if ill else set()
        return cls(
            consolidations=(parts[0],) if 0 in chosen else (),
            nodules=parts[1] if 1 in chosen else (),
            effusions=(parts[2],) if 2 in chosen else (),
        )


def _side(rng: np.random.Generator) -> int:
    return int(rng.choice((-1, 1)))


def _consolidation(rng: np.random.Generator) -> Opacity:
    lobes = tuple((spread(rng, 0, 0.07), spread(rng, 0, 0.07), spread(rng, 0.15, 0.025)) for _ in range(5))
    place = float(rng.uniform(0.4, 0.65)), float(rng.uniform(0.3, 0.75))
    return Opacity(_side(rng), place, lobes, spread(rng, 0.30, 0.03))


def _nodules(rng: np.random.Generator) -> tuple[Opacity, ...]:
    count = int(rng.integers(1, 4))
    drawn = tuple(
        Opacity(
            _side(rng),
            (float(rng.uniform(0.35, 0.75)), float(rng.uniform(0.25, 0.75))),
            ((0.0, 0.0, spread(rng, 0.11, 0.01)),),
            spread(rng, 0.42, 0.03),
        )
        for _ in range(3)
    )
    return drawn[:count]


def _effusion(rng: np.random.Generator) -> Effusion:
    return Effusion(_side(rng), float(rng.uniform(0.12, 0.40)), spread(rng, 0.45, 0.04))


@dataclass(frozen=True)
class Site:
    """How one hospital's machine makes its images.

    Attributes:
        station: Its name.
        modality: ``CR`` or ``DX``.
        sharpness: Width of its blur, in half image sides.
        gamma: Of its grey scale, before what changes from study to study.
        photometric: ``MONOCHROME1`` or ``MONOCHROME2``.
        bits: Stored per pixel.
        marker: Height of its side markers.
    """

    station: str
    modality: str
    sharpness: float
    gamma: float
    photometric: str
    bits: int
    marker: float


SITES = (
    Site("DXROOM1", "DX", 0.004, 1.00, "MONOCHROME2", 14, 0.10),
    Site("CRPLATE", "CR", 0.011, 1.15, "MONOCHROME1", 12, 0.08),
    Site("DXROOM7", "DX", 0.007, 0.88, "MONOCHROME1", 16, 0.13),
)


@dataclass(frozen=True)
class Acquisition:
    """How one image was taken: pose, breath, exposure, machine; drawn anew for every study.

    Attributes:
        site: Whose machine.
        view: ``PA`` or ``AP`` (heart and mediastinum larger).
        angle: Turn of the image, in radians.
        scale: Enlargement.
        shift: Of the image.
        breath: How much deeper than average the breath is; moves diaphragm and heart.
        yaw: Sideways shift of what lies in front against what lies behind.
        exposure: Added brightness.
        contrast: Of the grey scale.
        gamma: Of the grey scale, times the site's.
        collimation: Dark borders at left, right, top and bottom.
        marker: ``L``, ``R`` or empty.
        marker_place: Of the marker, as distances from the image's upper corner.
        noise: Standard deviation of the noise at medium brightness.
        noise_seed: Seed of the noise.
    """

    site: Site
    view: str
    angle: float
    scale: float
    shift: tuple[float, float]
    breath: float
    yaw: float
    exposure: float
    contrast: float
    gamma: float
    collimation: tuple[float, float, float, float]
    marker: str
    marker_place: tuple[float, float]
    noise: float
    noise_seed: int

    @property
    def modality(self) -> str:
        """Modality (0008,0060)."""
        return self.site.modality

    @classmethod
    def draw(cls, rng: np.random.Generator, modalities: tuple[str, ...] = ("CR", "DX")) -> Acquisition:
        """One study at one of the sites that have such a modality."""
        sites = [site for site in SITES if site.modality in modalities]
        return cls(
            site=sites[int(rng.integers(len(sites)))],
            view="AP" if rng.random() < 0.25 else "PA",
            angle=spread(rng, 0, 0.018),
            scale=spread(rng, 1.0, 0.02),
            shift=(spread(rng, 0, 0.016), spread(rng, 0, 0.016)),
            breath=spread(rng, 0, 0.03),
            yaw=spread(rng, 0, 0.02),
            exposure=spread(rng, 0, 0.05),
            contrast=spread(rng, 1.0, 0.08),
            gamma=float(np.exp(spread(rng, 0, 0.15))),
            collimation=(_border(rng), _border(rng), _border(rng), _border(rng)),
            marker=("L", "R", "")[int(rng.integers(3))],
            marker_place=(float(rng.uniform(0.10, 0.22)), float(rng.uniform(0.10, 0.30))),
            noise=float(rng.uniform(0.006, 0.02)),
            noise_seed=int(rng.integers(2**31)),
        )


def _border(rng: np.random.Generator) -> float:
    return float(max(0.0, rng.uniform(-0.05, 0.05)))
