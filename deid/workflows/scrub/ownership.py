"""OUT belongs to one project, made in one way: anything else in it stops the run."""

from __future__ import annotations

from deid.core.errors import UsageError
from deid.core.files import strerror
from deid.core.journal import Journal
from deid.core.outputs import list_outputs
from deid.workflows.scrub.options import ScrubOptions

_SHARDS = (
    "the shards of one output need one state folder and one key: give all of them the same --state or "
    "--project, or neither"
)


def check_output(options: ScrubOptions, journal: Journal, context: bytes) -> None:
    """Refuse an output with files that this project did not write, or wrote in another way.

    Raises:
        UsageError: It has such files, or cannot be read.
    """
    try:
        exists = options.out.is_dir()
    except OSError as error:
        raise UsageError(
            f"the output folder cannot be reached: {strerror(error)}; check its rights."
        ) from None
    if options.replace or not exists:
        return
    found = list(list_outputs(options.out))
    known = journal.outcomes.known_outputs()
    unknown = sum(name not in known for name in found)
    if unknown and options.shard.of > 1:
        raise UsageError(
            f"the output holds {unknown} file(s) that this project did not write; {_SHARDS}. "
            "Or give an empty or new folder."
        )
    if unknown:
        raise UsageError(
            f"the output holds {unknown} file(s) that this project did not write; "
            "give an empty or new folder, the project that wrote them (--project, --state), "
            "or --replace to delete them once the new files are in place."
        )
    other = sum(known[name] != context for name in found)
    if other:
        raise UsageError(
            f"the output holds {other} file(s) made with another recipe, option or version; "
            "give a new folder, or --replace to make them anew."
        )


def check_no_stranger(options: ScrubOptions, journal: Journal) -> None:
    """Look once more at the end of a shard: another project that began with it saw an empty output too.

    Each project cuts the patients by its own key, so together they would lose some and write others twice.

    Raises:
        UsageError: The output holds files of another project.
    """
    if options.dry_run or options.shard.of == 1 or not options.out.is_dir():
        return
    found = list(list_outputs(options.out))
    known = journal.outcomes.known_outputs()
    unknown = sum(name not in known for name in found)
    if unknown:
        raise UsageError(
            f"another project wrote {unknown} file(s) into the output during this run; {_SHARDS}. "
            "Empty the output and run all shards again."
        )
