"""What happens to each column of a BIDS table.

The written rule, first match wins:

1. a column of the list below has its own rule;
2. a name that speaks of persons, places, contacts, free comments or a calendar year: dropped;
3. a name that speaks of a date: shifted, per row by the patient of the row;
4. declared in the table's JSON with Levels: kept where the value is one of them; with Units: kept where it is
   a number below 100,000;
5. undeclared, in tables of measurements (events, regressors, blood, behaviour): kept where it is a number;
6. else dropped.
"""

import re
from collections.abc import Callable, Mapping
from enum import Enum, auto

from deid.nifti.vocabulary import words


class Rule(Enum):
    """How the cells of one column are treated; what a rule does not accept becomes ``n/a``."""

    SUBJECT = auto()
    SESSION = auto()
    PATH = auto()
    STIMULUS = auto()
    MOMENT = auto()
    AGE = auto()
    NUMBER = auto()
    SMALL_NUMBER = auto()
    LEVEL = auto()
    WORD = auto()
    GROUP = auto()


_PERSON = {
    "participant_id": Rule.SUBJECT,
    "subject_id": Rule.SUBJECT,
    "session_id": Rule.SESSION,
    "session": Rule.SESSION,
    "age": Rule.AGE,
    "Age": Rule.AGE,
    "age_at_scan": Rule.AGE,
    "age_at_first_scan": Rule.AGE,
    "sex": Rule.GROUP,
    "Sex": Rule.GROUP,
    "gender": Rule.GROUP,
    "Gender": Rule.GROUP,
    "handedness": Rule.GROUP,
    "hand": Rule.GROUP,
    "group": Rule.GROUP,
    "Group": Rule.GROUP,
    "diagnosis": Rule.GROUP,
    "species": Rule.GROUP,
    "strain": Rule.GROUP,
    "strain_rrid": Rule.GROUP,
    "pathology": Rule.GROUP,
    "height": Rule.SMALL_NUMBER,
    "weight": Rule.SMALL_NUMBER,
    "bmi": Rule.SMALL_NUMBER,
    "BMI": Rule.SMALL_NUMBER,
    "education": Rule.SMALL_NUMBER,
    "acq_time": Rule.MOMENT,
    "sample_id": Rule.WORD,
    "sample_type": Rule.GROUP,
}
_SENSOR = dict.fromkeys(
    words(
        """
        x y z impedance size low_cutoff high_cutoff sampling_frequency notch template_x template_y
        template_z wavelength_nominal wavelength_actual placement short_channel
        """
    ),
    Rule.NUMBER,
) | dict.fromkeys(
    words(
        """
        name type units reference group status material manufacturer hemisphere source detector
        component tracked_point software_filters orientation_component dimension stim
        """
    ),
    Rule.WORD,
)

_COLUMNS: dict[str, dict[str, Rule]] = {
    "participants": _PERSON,
    "phenotype": _PERSON,
    "sessions": _PERSON,
    "samples": _PERSON,
    "scans": {"filename": Rule.PATH, "acq_time": Rule.MOMENT},
    "events": {
        "onset": Rule.NUMBER,
        "duration": Rule.NUMBER,
        "sample": Rule.NUMBER,
        "response_time": Rule.NUMBER,
        "trial_type": Rule.WORD,
        "value": Rule.WORD,
        "channel": Rule.WORD,
        "HED": Rule.WORD,
        "response": Rule.WORD,
        "stim_file": Rule.STIMULUS,
        "correct": Rule.WORD,
        "condition": Rule.WORD,
    },
    "channels": _SENSOR,
    "electrodes": _SENSOR,
    "optodes": _SENSOR,
    "aslcontext": {"volume_type": Rule.WORD},
    "dseg": {
        "index": Rule.NUMBER,
        "name": Rule.WORD,
        "abbreviation": Rule.WORD,
        "mapping": Rule.NUMBER,
        "color": Rule.WORD,
    },
    "timeseries": {},
    "regressors": {},
    "outliers": {},
    "mixing": {},
    "blood": {},
    "beh": {"trial_type": Rule.WORD, "response": Rule.WORD, "stim_file": Rule.STIMULUS},
}

TABLES = frozenset(_COLUMNS)
STREAMS = frozenset({"physio", "stim", "motion", "physioevents"})
_OPEN = frozenset({"events", "timeseries", "regressors", "outliers", "mixing", "blood", "beh"})
BY_PERSON = frozenset({"participants", "phenotype"})

_SAFE_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_.\-]{0,63}", re.ASCII)
_FORBIDDEN = re.compile(
    r"name|initial|birth|dob|mrn|ssn|phone|mobile|mail|address|zip|postal|postcode|street|city|town|county|country"
    r"|^state$|site|institut|hospital|clinic$|cent(?:er|re)|station|scanner|serial|comment|note|remark|free_?text"
    r"|operator|physician|technician|doctor|rater|investigator|experimenter|accession|record|insur|url|contact|fax"
    r"|photo|username|login|badge|passport|licen[cs]e|employer|occupation|(?:^|_|\b)(?:ids?|uid|guid|pid)(?:$|_)|[a-z]I[Dd]$"
    r"|(?:^|_)year(?:$|_)",
    re.IGNORECASE,
)
_DATE = re.compile(r"date|datum|time_?stamp|acq_time|when$", re.IGNORECASE)
_MAX_LEVELS = 200


def column_rule(table: str, name: str, declared: object, clean: Callable[[str], str]) -> Rule | None:
    """The rule for one column, None where it is dropped.

    Args:
        table: The table's suffix (``events``); ``phenotype`` for tables in that folder.
        name: The column's name.
        declared: What the table's JSON says of the column, if anything.
        clean: The text cleaner; a name or level that it would change is not kept.
    """
    known = _COLUMNS.get(table, {}).get(name)
    if known is not None:
        return known
    if not _SAFE_NAME.fullmatch(name) or _FORBIDDEN.search(name):
        return None
    if _DATE.search(name):
        return Rule.MOMENT
    if clean(name) != name:
        return None
    if isinstance(declared, Mapping):
        levels = declared.get("Levels")
        if isinstance(levels, Mapping) and 0 < len(levels) <= _MAX_LEVELS:
            return Rule.LEVEL
        if isinstance(declared.get("Units"), str):
            return Rule.SMALL_NUMBER
    return Rule.NUMBER if table in _OPEN or table in STREAMS else None


def decode_text(data: bytes) -> str:
    """Decodes UTF-8 (with or without BOM), UTF-16 with BOM, else Latin-1."""
    if data[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return data.decode("utf-16", "replace")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        return data.decode("latin-1")
