"""Shifted dates that fall on other dates of the patient are no leak; the dates themselves are."""

import json
from datetime import date, timedelta
from pathlib import Path

import pytest

from deid.core.errors import Held
from deid.core.identifiers import Identifier, Kind, KnownIdentifiers
from deid.core.pseudonyms import Pseudonyms
from deid.nifti.context import Context
from deid.nifti.kinds import FileKind
from deid.nifti.scrub import check_text, scrub_file

LATER = date(2020, 3, 1)


@pytest.fixture
def earlier(pseudonyms: Pseudonyms) -> date:
    """The date that the patient's shift makes of ``LATER``."""
    return LATER + timedelta(days=pseudonyms.shift("bids::01").days)


@pytest.fixture
def context(pseudonyms: Pseudonyms, earlier: date) -> Context:
    known = KnownIdentifiers(Identifier(Kind.DATE, str(day)) for day in (earlier, LATER))
    return Context(pseudonyms, known, "bids::01")


def written(context: Context, folder: Path, document: dict[str, object]) -> Path:
    source = folder / "in.json"
    source.write_text(json.dumps(document))
    (output,) = scrub_file(FileKind.SIDECAR, source, "sub-01/anat/sub-01_T1w.json", context)
    place = folder / "out.json"
    place.write_bytes(b"".join(chunk for chunk in output.chunks if isinstance(chunk, bytes)))
    return place


@pytest.mark.parametrize(
    "document",
    [
        {"AcquisitionDate": LATER.isoformat()},
        {"AcquisitionDate": LATER.strftime("%Y%m%d")},
        {"AcquisitionDateTime": f"{LATER}T00:00:00"},
        {"AcquisitionDate": LATER.isoformat(), "AcquisitionTime": "00:00:01"},
    ],
)
def test_a_date_may_stand_where_shifting_has_put_it(
    tmp_path: Path, context: Context, earlier: date, document: dict[str, object]
) -> None:
    place = written(context, tmp_path, document)
    assert str(earlier).replace("-", "") in place.read_text().replace("-", "")
    check_text(place, context)


def test_once_more_than_it_was_shifted_is_a_leak(tmp_path: Path, context: Context, earlier: date) -> None:
    place = written(context, tmp_path, {"AcquisitionDate": str(LATER)})
    place.write_text(place.read_text() + str(earlier))
    with pytest.raises(Held, match="verification: date in the written text"):
        check_text(place, context)


def test_a_date_that_shifting_did_not_make_is_a_leak(tmp_path: Path, context: Context) -> None:
    place = written(context, tmp_path, {"AcquisitionDate": str(LATER)})
    place.write_text(place.read_text() + str(LATER))
    with pytest.raises(Held, match="verification: date in the written text"):
        check_text(place, context)
