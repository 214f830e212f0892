"""Who a file belongs to where its header does not say, or says it wrong: a table of the user's."""

from __future__ import annotations

import csv
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from deid.core.errors import UsageError
from deid.core.files import strerror


@dataclass(frozen=True)
class PatientMap:
    """Path, folder or id -> patient.

    Attributes:
        entries: What stands in the file, keys and patients stripped.
        digest: Of the entries; part of what an output depends on.
    """

    entries: Mapping[str, str] = field(default_factory=dict)
    digest: str = ""

    def patient(self, relative: str, *ids: str) -> str | None:
        """The patient of a file by its path below the input, else by a folder above it, else by an id."""
        if not self.entries:
            return None
        path = PurePosixPath(relative)
        for candidate in (relative, *map(str, path.parents), *ids):
            found = self.entries.get(candidate)
            if found is not None:
                return found
        return None


def read_patient_map(path: Path) -> PatientMap:
    """Read a CSV of two columns: path, folder or id, and the patient; a header line is optional.

    Raises:
        UsageError: It cannot be read, a row has not two values, or one key has two patients.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError:
        raise UsageError("the patient map is not UTF-8; save it as UTF-8 CSV.") from None
    except OSError as error:
        raise UsageError(f"the patient map cannot be read: {strerror(error)}.") from None
    entries: dict[str, str] = {}
    for number, row in enumerate(csv.reader(text.splitlines()), start=1):
        cells = [cell.strip() for cell in row]
        if not any(cells) or (number == 1 and cells[-1].lower() in ("patient", "patient_id", "subject")):
            continue
        if len(cells) != 2 or not all(cells):
            raise UsageError(f"line {number} of the patient map needs two values: path or id, patient.")
        if entries.setdefault(cells[0].rstrip("/"), cells[1]) != cells[1]:
            raise UsageError(
                f"line {number} of the patient map gives a second patient to the same path or id."
            )
    if not entries:
        raise UsageError("the patient map is empty; give lines of the form: path or id, patient.")
    canonical = "\n".join(f"{key}\t{value}" for key, value in sorted(entries.items()))
    return PatientMap(entries, hashlib.sha256(canonical.encode("utf-8", "surrogatepass")).hexdigest())
