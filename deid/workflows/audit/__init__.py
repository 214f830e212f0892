"""``audit``: attack a release, write down what the attacks reach, and check it against gates.

Everything that leaves is ``audit.json``: counts, quantiles and curves; the page is made of it alone. It is
written anew after each attack, so that what was found is kept if the audit is stopped.
"""

from __future__ import annotations

import platform
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from deid import __version__
from deid.audit import ATTACKS
from deid.audit.annex import Annex
from deid.audit.gates import check_gates
from deid.audit.release import Release, read_patients, read_release
from deid.audit.schema import VERSION
from deid.audit.strays import with_strays
from deid.core.errors import Held, UsageError
from deid.core.noise import NoiseCounter
from deid.core.shards import WHOLE
from deid.dicom.profile import editions
from deid.dicom.recipe import Recipe, load_recipe, preset_recipe
from deid.workflows.audit.annexes import save_annex
from deid.workflows.audit.document import Document
from deid.workflows.audit.estimate import QUICK_SECONDS, Plan, estimate_line, reductions, within
from deid.workflows.audit.folder import ReportFolder
from deid.workflows.audit.labels import read_labels
from deid.workflows.audit.options import Attack, AuditOptions, Effort
from deid.workflows.audit.outcome import NOT_ASSESSED, THREATS, Audit
from deid.workflows.audit.sources import Found, Prompt, find_pairs
from deid.workflows.audit.timing import header_cost, plan_of, workload

if TYPE_CHECKING:
    from deid.audit.pictures import AuditImages
    from deid.workflows.audit.networks import Networks

__all__ = ["Attack", "Audit", "AuditOptions", "Effort", "audit"]

LINKABLE, NO_LINK = "linkable", "no link found"
DEFAULT_PRESET = "research"
NOT_WANTED, STOPPED = "not asked for", "the audit ended before"
_PICTURES = (Attack.REID, Attack.LINKAGE, Attack.INVERSION, Attack.UTILITY, Attack.PLANE)
_UNJUDGED = (Attack.UTILITY, Attack.PLANE)
_LEAST_CHANGE = 1e-3
"""Of a range of 1: what rounding does is no change."""
_MOST = {Effort.QUICK: 2_000, Effort.FULL: 20_000}

Progress = Callable[[str, int, int | None], object]
Section = dict[str, Any]


def audit(
    options: AuditOptions,
    progress: Progress,
    prompt: Prompt = None,
    say: Callable[[str], object] = lambda line: None,
) -> Audit:
    """Attack a release.

    Args:
        options: Of the audit.
        progress: Is told how far it is: a phase, how many more are done, how many there are.
        prompt: Asks for the passphrase of an encrypted key; None where nobody can be asked.
        say: Receives lines for the user before the work: how long it will take, and what was reduced.

    Raises:
        UsageError: The release, its originals, a model or the options cannot be used.
    """
    NoiseCounter.installed()  # what the libraries say holds values of the files
    options.check()
    given = load_recipe(options.recipe) if options.recipe else None
    if given is None and options.preset is not None:
        given = preset_recipe(options.preset)
    if options.labels is not None:
        read_labels(options.labels, ())  # a table that cannot be read is refused before the work
    found = find_pairs(options, prompt)
    folder = ReportFolder.new(options.report, found.roots)
    document = Document.new(options.sr, found.roots) if options.sr else None
    run = _Run(options, _recipe_of(found, given), found, folder, progress, document)
    with run.timed("pairs"):
        patients = read_patients(options.patients) if options.patients else {}
        release = read_release(found.pairs, patients, lambda n: progress("pairs", n, len(found.pairs)))
        release = with_strays(replace(release, whole=options.shard == WHOLE), found.strays)
    run.begin(release)
    prepared = run.prepare(release, say)
    run.attack_headers(release)
    if prepared is not None:
        run.attack_pictures(release, *prepared)
    return run.end()


@dataclass
class _Run:
    """One audit under way."""

    options: AuditOptions
    recipe: Recipe
    found: Found
    folder: ReportFolder
    progress: Progress
    document: Document | None = None
    result: dict[str, Any] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)
    left_out: dict[str, int] = field(default_factory=dict)
    annex: Annex = field(default_factory=Annex)

    def begin(self, release: Release) -> None:
        """Write down what is audited, with nothing assessed yet."""
        self.left_out.update(release.left_out)
        self.result = {
            "schema": VERSION,
            "tool": {"name": "mami-deid", "version": __version__},
            "manifest": {
                "created": datetime.now(UTC).isoformat(timespec="seconds"),
                "python": platform.python_version(),
                "torch": None,
                "options": self.options.shown(),
                "models": {},
                "recipe": self.recipe.digest(),
                "seconds": self.seconds,
                # The digest of the recipe binds those of the other sources as well.
                "editions": {k: v for k, v in editions().items() if k.startswith("DICOM PS")},
            },
            "release": {
                "mode": "pairs" if release.paired else "release",
                "patients": len(release.patients),
                "patients_with_several_studies": release.several_studies(),
                "images": len(release.instances),
                "pairs": len(release.instances) if release.paired else 0,
                "modalities": release.modalities(),
            },
        }
        if self.found.part is not None:
            self.result["release"]["part"] = dict(self.found.part)
        for attack in Attack:
            self._keep(attack, _not_assessed(STOPPED if self.options.wants(attack) else NOT_WANTED))
        for name, what in (("text", "detector of text"), ("face", "detector of faces")):
            self.result[name] = _not_assessed(f"there is no {what} yet")
        self.result |= {"gates": [], "verdict": NOT_ASSESSED}
        self.folder.save(self.result)

    def prepare(self, release: Release, say: Callable[[str], object]) -> tuple[Networks, Plan] | None:
        """Load the models, time a little of everything, and say how long it will take.

        Returns:
            What the attacks on pictures need; None if none shall run.
        """
        options, cost = self.options, 0.0
        if options.wants(Attack.HEADER):
            cost = header_cost(release, self.recipe.profile())
        if not any(options.wants(attack) for attack in _PICTURES):
            say(estimate_line({Attack.HEADER: cost * len(release.instances)}))
            return None
        from deid.workflows.audit.networks import load_networks, noted_digest

        digest = noted_digest(release) if release.paired else ""
        networks = load_networks(
            release.modalities(), options.model, self.found.model, digest, options.device
        )
        wanted = plan_of(options.effort, _MOST[options.effort])
        if self.found.model:
            wanted = replace(wanted, strengths=1)
        work, costs = workload(release, networks, options, cost)
        plan = within(wanted, work, costs) if options.effort is Effort.QUICK else wanted
        say(estimate_line(work.seconds(plan, costs)))
        if reduced := reductions(replace(wanted, images=min(wanted.images, work.items)), plan):
            say(f"reduced to end in about {QUICK_SECONDS / 60:.0f} min: {'; '.join(reduced)}")
        self.result["manifest"]["options"] |= plan.shown()
        return networks, plan

    def attack_headers(self, release: Release) -> None:
        """What the headers still say."""
        total = (len(release.instances) + len(release.texts)) * (1 + release.paired)
        profile = self.recipe.profile()
        self._attack(
            Attack.HEADER,
            lambda: ATTACKS["header"](
                release, profile, lambda n: self.progress("header", n, total), self.annex
            ),
        )

    def attack_pictures(self, release: Release, networks: Networks, plan: Plan) -> None:
        """What the pictures still say; both sides are read once for all attacks."""
        import torch

        from deid.workflows.audit.images import chosen_items, load_pictures

        options, most = self.options, plan.images
        self.result["manifest"] |= {
            "torch": torch.__version__,
            "models": dict(sorted(networks.digests.items())),
        }
        total = len(chosen_items(release, most, options.seed))
        with TemporaryDirectory(prefix="mami-deid-") as private:
            with self.timed("images"):
                pictures = load_pictures(
                    release,
                    networks.size,
                    most,
                    options.seed,
                    options.labels,
                    Path(private),
                    lambda n: self.progress("images", n, total),
                )
            self.left_out.update(pictures.left_out)
            if pictures.images is None:
                self._no_pictures()
                return
            self.result["release"]["images"] = len(pictures.images)
            self._attack_each(pictures.images, networks, plan, Path(private))

    def _attack_each(self, images: AuditImages, networks: Networks, plan: Plan, private: Path) -> None:
        """Every attack on pictures, one after the other."""
        from deid.audit.attackers import Remembered
        from deid.audit.inversion import InversionOptions
        from deid.audit.plane import PlaneOptions
        from deid.audit.reid import ReidOptions
        from deid.training.audit_attacker import AuditTraining, RestorerTrainer

        options, effort = self.options, self.options.effort
        training = replace(
            AuditTraining.of(effort.value, private),
            device=options.device,
            epochs=plan.epochs,
            restorer_steps=plan.restorer_steps,
        )
        trainers = training.attackers()
        restorer = RestorerTrainer(training) if _is_changed(images) else None
        reid = ReidOptions.of(effort.value, options.seed)
        undo = replace(
            InversionOptions.of(effort.value, options.seed), images=plan.undone, steps=plan.undo_steps
        )
        frozen, shipped = (
            {name: Remembered(network) for name, network in some.items()}
            for some in (networks.frozen, networks.shipped)
        )
        recognisers = frozen | shipped
        strength = self.found.strength if self.found.model else None
        calls: dict[Attack, Callable[[], Section]] = {
            Attack.REID: lambda: ATTACKS["reid"](images, frozen, trainers, reid, shipped, self.annex),
            Attack.LINKAGE: lambda: ATTACKS["linkage"](
                *(images, recognisers, len(images)),
                seed=options.seed,
                annex=self.annex,
                compared=reid.compared,
            ),
            Attack.INVERSION: lambda: ATTACKS["inversion"](
                images, networks.anonymizer, strength, recognisers, restorer, undo
            ),
            Attack.UTILITY: lambda: ATTACKS["utility"](images, networks.classifier, seed=options.seed),
            Attack.PLANE: lambda: ATTACKS["plane"](
                images,
                networks.anonymizer,
                strength,
                recognisers,
                networks.classifier,
                replace(PlaneOptions.of(effort.value, options.seed), images=plan.rescrubbed),
                networks.missing,
            ),
        }
        for number, (attack, call) in enumerate(calls.items()):
            self.progress("attacks", 1 if number else 0, len(calls))
            self._attack(attack, call)

    def _attack(self, attack: Attack, call: Callable[[], Section]) -> None:
        """One attack; if it cannot be run, the others still are."""
        if not self.options.wants(attack):
            return
        with self.timed(attack):
            try:
                section = call()
            except (UsageError, Held) as refused:
                section = _not_assessed(str(refused))
        self._keep(attack, section)
        self.folder.save(self.result)

    def _keep(self, attack: Attack, section: Section) -> None:
        """What an attack found; utility and the plane are no threats, so nothing of them is judged."""
        judged = ("verdict", "words") if attack in _UNJUDGED else ()
        self.result[attack] = {name: value for name, value in section.items() if name not in judged}

    def _no_pictures(self) -> None:
        for attack in _PICTURES:
            if self.options.wants(attack):
                self._keep(attack, _not_assessed("no picture of the release could be read on both sides"))

    @contextmanager
    def timed(self, phase: str) -> Iterator[None]:
        """Note how long a phase took, in seconds."""
        started = time.perf_counter()
        yield
        self.seconds[str(phase)] = round(time.perf_counter() - started, 3)

    def end(self) -> Audit:
        """Judge, check the gates, and write the report."""
        from deid.audit.report import render

        left_out = dict(sorted(self.left_out.items()))
        self.result["release"]["left_out"] = left_out
        self.result["verdict"] = _overall(self.result)
        gates = check_gates(
            self.options.gates, self.result, allow_not_assessed=self.options.allow_not_assessed
        )
        self.result["gates"] = [gate.to_json() for gate in gates]
        self.folder.save(self.result)
        self.folder.save_page(render(self.result))
        if self.document is not None:
            self.document.save(self.result)
        state = self.found.state
        annex = save_annex(state, self.annex) if state is not None else None
        document = self.document.path if self.document is not None else None
        return Audit(self.folder.path, self.result, left_out, annex, document)


def _recipe_of(found: Found, given: Recipe | None) -> Recipe:
    """By what the release was made: what another recipe keeps would not be searched for.

    Raises:
        UsageError: The project knows another one than the one given.
    """
    if not found.recipe:
        return given or preset_recipe(DEFAULT_PRESET)
    made = Recipe.model_validate_json(found.recipe)
    if given is not None and given.digest() != made.digest():
        raise UsageError(
            "the release was made by another recipe than the one given; leave --recipe and --preset out, and "
            "the project says which, or give those of the scrub."
        )
    return made


def _overall(result: Mapping[str, Any]) -> str:
    """The worst verdict of the threats asked for: where one was not assessed, nobody knows of a link."""
    asked = [result[name] for name in THREATS if result[name].get("reason") != NOT_WANTED]
    verdicts = {section.get("verdict") for section in asked}
    return next((verdict for verdict in (LINKABLE, NOT_ASSESSED) if verdict in verdicts), NO_LINK)


def _is_changed(images: AuditImages) -> bool:
    """Whether there is anything to undo."""
    if images.originals is None:
        return False
    pairs = zip(images.originals, images.scrubbed, strict=True)
    return any(abs(original - scrubbed).max() > _LEAST_CHANGE for original, scrubbed in pairs)


def _not_assessed(reason: str) -> Section:
    return {"status": NOT_ASSESSED, "reason": reason, "verdict": NOT_ASSESSED, "words": NOT_ASSESSED}
