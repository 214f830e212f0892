"""Paths of NIfTI and BIDS trees: whose file it is, and the path it gets in the release.

Everything here is a pure function of the relative path (POSIX, ``/``), the subject map and the project's key,
so that two files that name each other still do after the release. Source: BIDS 1.10, "Common principles".

Identity of a file, first match wins: the subject map (path, folder above it, ``sub-<label>`` or ``<label>``);
the ``sub-`` label together with the folder that holds the data set; else the file itself: without any
identity each file (a pair, and what has the same stem: sidecar, bval, bvec) is its own patient.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from deid.nifti.labels import PseudonymSource, is_plain_session, is_technical, split_extension, token
from deid.nifti.vocabulary import DATATYPES, ENTITIES, FOLDERS, PIPELINES, SUFFIXES, TOP_LEVEL

_SUBJECT = re.compile(r"sub-(.+)", re.DOTALL)
_SESSION = re.compile(r"ses-(.+)", re.DOTALL)
_LEADING_SUBJECT = re.compile(r"sub-([^_]+)_")
_PIPELINE_VERSION = re.compile(r"(.+?)(?:[-_]v?\d{1,2}(?:\.\d{1,3}){1,3})?")
_URI = re.compile(r"bids:([^:]*):(.*)", re.DOTALL)


@dataclass(frozen=True)
class PathMapper:
    """Maps source paths to release paths.

    Args:
        pseudonyms: The project's pseudonyms.
        subject_map: Path, folder, ``sub-<label>`` or ``<label>`` to patient identity, from the user's CSV.
    """

    pseudonyms: PseudonymSource
    subject_map: Mapping[str, str] = field(default_factory=dict)

    def map_path(self, relative: str) -> str:
        """The release path of a file.

        ``sub-`` becomes the patient's pseudonym; data types, technical labels and known suffixes stay; every
        other folder or name becomes a keyed token, equal for equal names.
        """
        parts = PurePosixPath(relative).parts
        root = dataset_root(parts)
        folders = [self._folder(parts, at, root) for at in range(len(parts) - 1)]
        return "/".join([*folders, self._file(parts, root)])

    def map_reference(self, value: str, relative: str) -> str | None:
        """Maps a path inside a sidecar: ``IntendedFor``, ``Sources``, ``filename`` columns, ``bids::`` URIs.

        Args:
            value: The path as written.
            relative: The path of the file that holds it.

        Returns:
            None where the value is no path inside the data set.
        """
        parts = PurePosixPath(relative).parts
        root = dataset_root(parts)
        uri = _URI.fullmatch(value)
        if uri:
            name, value = uri.groups()
            base = root
            name = (
                name
                if is_technical("desc", name) or name in PIPELINES
                else name and token(self.pseudonyms, "dataset", name)
            )
            prefix = f"bids:{name}:"
        else:
            base, prefix = _reference_base(value, parts, root), ""
        target = PurePosixPath(value)
        if not value or target.is_absolute() or ".." in target.parts or "\0" in value or "://" in value:
            return None
        mapped = self.map_path("/".join((*base, *target.parts)))
        return prefix + "/".join(PurePosixPath(mapped).parts[len(base) :])

    def identity_of(self, relative: str) -> str:
        """The identity string of the patient whose file this is."""
        return identity_of(relative, self.subject_map)

    def subject(self, label: str, relative: str) -> str:
        """The identity of the subject ``label`` (with or without ``sub-``) of the data set of a file."""
        root = dataset_root(PurePosixPath(relative).parts)
        return _subject_identity(root, label.removeprefix("sub-"), self.subject_map)

    def map_label(self, entity: str, value: str) -> str:
        """The release label of an entity: itself where it is technical, else a keyed token."""
        plain = is_plain_session(value) if entity == "ses" else is_technical(entity, value)
        return value if plain else token(self.pseudonyms, entity, value)

    def _folder(self, parts: tuple[str, ...], at: int, root: tuple[str, ...]) -> str:
        name = parts[at]
        subject, session = _SUBJECT.fullmatch(name), _SESSION.fullmatch(name)
        if subject:
            mapped = mapped_folder_identity(parts[: at + 1], self.subject_map)
            identity = mapped or _subject_identity(root, subject[1], self.subject_map)
            return f"sub-{self.pseudonyms.patient(identity)}"
        if session:
            return f"ses-{self.map_label('ses', session[1])}"
        if at >= len(root) and (name in FOLDERS or name in DATATYPES):
            return name
        if at and parts[at - 1] in {"derivatives", "sourcedata"}:
            known = _PIPELINE_VERSION.fullmatch(name)
            if known and known[1].lower() in PIPELINES:
                return name
        return token(self.pseudonyms, "name", name)

    def _file(self, parts: tuple[str, ...], root: tuple[str, ...]) -> str:
        stem, extension = split_extension(parts[-1])
        entities = parse_name(stem, _folder_subject(parts))
        if entities is None:
            kept = stem if stem in TOP_LEVEL and extension in {".tsv", ".json"} else None
            return (kept or token(self.pseudonyms, "name", stem)) + extension
        labels = []
        for key, value in entities[:-1]:
            if key == "sub":
                mapped = mapped_folder_identity(_up_to_subject(parts, value), self.subject_map)
                identity = mapped or _subject_identity(root, value, self.subject_map)
                labels.append(f"sub-{self.pseudonyms.patient(identity)}")
            else:
                labels.append(f"{key}-{self.map_label(key, value)}")
        return "_".join([*labels, entities[-1][1]]) + extension


def is_bids(root: Path) -> bool:
    """Tells whether a folder is the root of a BIDS data set."""
    return (root / "dataset_description.json").is_file() or any(
        entry.is_dir() and _SUBJECT.fullmatch(entry.name) for entry in root.glob("sub-*")
    )


def dataset_root(parts: tuple[str, ...]) -> tuple[str, ...]:
    """The folders above the first ``sub-`` folder or folder of a fixed name (``derivatives``, ...).

    Without one: the folder of the file. So a raw data set and its derivatives have one root.
    """
    for at, name in enumerate(parts[:-1]):
        if name in FOLDERS or _SUBJECT.fullmatch(name):
            return parts[:at]
    return parts[:-1]


def parse_name(stem: str, folder_subject: str | None = None) -> list[tuple[str, str]] | None:
    """A BIDS file name as (entity, label) pairs; the suffix comes last, with an empty entity.

    Args:
        stem: The name without its extension.
        folder_subject: Label of the ``sub-`` folder above, which may hold an underscore against the rules.

    Returns:
        None where the name is no BIDS name (unknown entity or suffix).
    """
    pairs: list[tuple[str, str]] = []
    if folder_subject is not None and stem.startswith(f"sub-{folder_subject}_"):
        pairs.append(("sub", folder_subject))
        stem = stem[len(folder_subject) + 5 :]
    *labels, suffix = stem.split("_")
    for label in labels:
        entity, dash, value = label.partition("-")
        if not dash or not value or entity not in ENTITIES:
            return None
        pairs.append((entity, value))
    if suffix not in SUFFIXES or not pairs:
        return None
    return [*pairs, ("", suffix)]


def identity_of(relative: str, subject_map: Mapping[str, str]) -> str:
    """The identity string of the patient whose file this is (see the module for the order)."""
    parts = PurePosixPath(relative).parts
    mapped = mapped_folder_identity(parts, subject_map)
    if mapped is not None:
        return mapped
    label = subject_label(relative)
    if label is not None:
        return _subject_identity(dataset_root(parts), label, subject_map)
    stem = "/".join((*parts[:-1], split_extension(parts[-1])[0]))
    return subject_map.get(split_extension(parts[-1])[0], f"nifti:{stem}")


def subject_label(relative: str) -> str | None:
    """The ``sub-`` label of the folder, or else of the name, of a file."""
    parts = PurePosixPath(relative).parts
    folder = _folder_subject(parts)
    if folder is not None:
        return folder
    leading = _LEADING_SUBJECT.match(parts[-1]) if parts else None
    return leading[1] if leading else None


def mapped_folder_identity(parts: tuple[str, ...], subject_map: Mapping[str, str]) -> str | None:
    """What the subject map says about a path or the closest folder above it."""
    if subject_map:
        for end in range(len(parts), 0, -1):
            patient = subject_map.get("/".join(parts[:end]))
            if patient is not None:
                return patient
    return None


def _subject_identity(root: tuple[str, ...], label: str, subject_map: Mapping[str, str]) -> str:
    for key in ("/".join((*root, f"sub-{label}")), f"sub-{label}", label):
        patient = subject_map.get(key)
        if patient is not None:
            return patient
    return f"bids:{'/'.join(root)}:{label}"


def _folder_subject(parts: tuple[str, ...]) -> str | None:
    for name in parts[:-1]:
        subject = _SUBJECT.fullmatch(name)
        if subject:
            return subject[1]
    return None


def _up_to_subject(parts: tuple[str, ...], label: str) -> tuple[str, ...]:
    name = f"sub-{label}"
    return parts[: parts.index(name) + 1] if name in parts[:-1] else ()


def _reference_base(value: str, parts: tuple[str, ...], root: tuple[str, ...]) -> tuple[str, ...]:
    """Where a relative path starts: at the subject, in scans.tsv at the file, in Sources at the root."""
    first = PurePosixPath(value).parts[:1]
    if first and (first[0] in FOLDERS or (_SUBJECT.fullmatch(first[0]) and "/" in value)):
        return root
    if first and first[0].startswith("ses-") and "/" in value:
        label = _folder_subject(parts)
        return _up_to_subject(parts, label) if label else root
    if first and first[0] in DATATYPES and parts[-1].endswith("_scans.tsv"):
        return parts[:-1]
    if first and first[0] in DATATYPES:
        label = _folder_subject(parts)
        return _up_to_subject(parts, label) if label else root
    return parts[:-1]
