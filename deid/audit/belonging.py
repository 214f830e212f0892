"""Whether audits are of shards of one release: made alike, and of different patients as far as they tell."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from deid.audit.numerals import part
from deid.core.errors import UsageError

Result = Mapping[str, Any]

_ALIKE = (
    (("tool",), "version of mami-deid"),
    (("manifest", "recipe"), "recipe"),
    (("manifest", "editions"), "edition of the standard's tables"),
    (("manifest", "options", "effort"), "--effort"),
    (("manifest", "options", "preset"), "preset"),
    (("release", "mode"), "mode (with or without originals)"),
)
_FOUND = ("release", "reid", "linkage", "inversion", "header", "utility")
_APART = "audit each shard of the release with --shard I/N, and give each audit once."


def check_alike(results: Sequence[Result]) -> None:
    """Refuse audits that were made differently, so that their figures are not of one kind.

    Raises:
        UsageError: They differ in version, recipe, tables, models, effort, preset or mode; or one is merged.
    """
    for path, what in _ALIKE:
        if len({json.dumps(_at(result, path), sort_keys=True) for result in results}) > 1:
            raise UsageError(f"the audits do not belong together: they differ in the {what}; {_REPEAT}")
    digests: dict[str, str] = {}
    for result in results:
        for name, digest in part(result, "manifest", "models").items():
            if digests.setdefault(name, digest) != digest:
                raise UsageError(
                    f"the audits do not belong together: a model has other weights in one of them; {_REPEAT}"
                )
    if any("merged" in result for result in results):
        raise UsageError("one of the audits is merged already; give the audits of all shards at once.")


_REPEAT = "audit all shards with the same tool and options."


def check_apart(results: Sequence[Result]) -> int:
    """Refuse audits that share patients, as far as the audits tell.

    Returns:
        How many shards the release has; 0 where the audits do not say.

    Raises:
        UsageError: Two are of one shard, of differently cut shards, or say the same in everything.
    """
    parts = [part(result, "release").get("part") for result in results]
    known = [each for each in parts if each is not None]
    if not known:
        found = {json.dumps([result.get(name) for name in _FOUND], sort_keys=True) for result in results}
        if len(found) < len(results):
            raise UsageError(f"two of the audits say the same in everything, as of one shard; {_APART}")
        return 0
    if len(known) < len(parts):
        raise UsageError(f"some of the audits say which shard they are of and others do not; {_APART}")
    if len({(each["split"], each["of"]) for each in known}) > 1:
        raise UsageError(
            f"the audits are of different projects, or of shards that were cut differently; {_APART}"
        )
    if len({each["number"] for each in known}) < len(known):
        raise UsageError(f"two of the audits are of the same shard, so patients would count twice; {_APART}")
    return int(known[0]["of"])


def _at(result: Result, path: Sequence[str]) -> object:
    here = part(result, *path[:-1])
    return here.get(path[-1])
