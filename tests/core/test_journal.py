import os
import sqlite3
import stat
import threading
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deid.core.database import Database, guarded
from deid.core.errors import UsageError
from deid.core.journal import InputRow, Journal
from deid.core.keys import ProjectKey, new_key
from deid.core.outcomes import Outcome, Status
from deid.core.pseudonyms import Pseudonyms

KEY = ProjectKey(bytes(range(32)))
P = Pseudonyms(KEY)


def row(path: str, patient: str = "", size: int = 1) -> InputRow:
    owner = P.digest("patient", patient) if patient else b""
    record = f"record of CANARY {path}".encode("utf-8", "surrogatepass")
    return InputRow(P.path_digest(path), size, 10, 20, "dicom", owner, record, path)


@pytest.fixture
def journal(tmp_path: Path) -> Journal:
    return Journal(tmp_path / "journal.sqlite", KEY)


def test_the_file_is_private_and_holds_no_source_value(journal: Journal, tmp_path: Path) -> None:
    journal.inputs.upsert([row("CANARY/é\udcff.dcm", "CANARY^Jane")], 1)
    journal.add_paths([(P.path_digest("CANARY2"), "CANARY2/readme.txt")])
    journal.start_run({"out": "/CANARY"}, {"inputs": ["/CANARY/in"]}, "r1")
    files = list(tmp_path.iterdir())
    assert len(files) == 3, "the write-ahead log and its index lie beside the journal"
    for path in files:
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert b"CANARY" not in path.read_bytes()
    journal.close()


def test_a_loose_mode_is_tightened(tmp_path: Path) -> None:
    path = tmp_path / "j"
    Journal(path, KEY).close()
    path.chmod(0o644)
    Journal(path, KEY).close()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_inputs_come_back_by_patient_in_a_fixed_order(journal: Journal) -> None:
    rows = [row(f"{i}.dcm", patient) for i in range(2100) for patient in ("", "A", "B")][:5000]
    rows = list({r.ref: r for r in rows}.values())
    journal.inputs.upsert(rows, 1)
    found = list(journal.inputs.records())
    assert [(r.patient, r.ref) for r in found] == sorted((r.patient, r.ref) for r in rows)
    for owner, number in journal.inputs.patients():
        mine = list(journal.inputs.records(owner))
        assert len(mine) == number and {r.patient for r in mine} == {owner}
    assert found[0].record.startswith(b"record of CANARY")


def test_writing_while_reading_is_allowed(journal: Journal) -> None:
    journal.inputs.upsert([row(f"{i}", "A") for i in range(3000)], 1)
    seen = 0
    for record in journal.inputs.records():
        seen += 1
        if seen % 500 == 0:
            journal.outcomes.record([Outcome(record.ref, b"d", b"c", Status.HELD, "r")])
    assert seen == 3000


def test_stats_and_changed_inputs(journal: Journal) -> None:
    journal.inputs.upsert([row("a"), row("b")], 1)
    journal.inputs.upsert([row("a", size=9)], 2)
    a, b = P.path_digest("a"), P.path_digest("b")
    assert journal.inputs.known_stats() == {a: (9, 10, 20), b: (1, 10, 20)}
    assert journal.inputs.known_stats([b, b"unknown"]) == {b: (1, 10, 20)}
    assert journal.inputs.known_stats([]) == {}


def test_a_record_moved_to_another_row_does_not_open(journal: Journal, tmp_path: Path) -> None:
    journal.inputs.upsert([row("a"), row("b")], 1)
    with sqlite3.connect(tmp_path / "journal.sqlite") as raw:
        one = raw.execute("SELECT record FROM inputs WHERE ref=?", (P.path_digest("a"),)).fetchone()
        raw.execute("UPDATE inputs SET record=? WHERE ref=?", (*one, P.path_digest("b")))
    with pytest.raises(UsageError, match="does not open"):
        list(journal.inputs.records())


def test_gone_inputs_and_their_outputs(journal: Journal) -> None:
    journal.inputs.upsert([row("a"), row("b"), row("c")], 1)
    a, b, c = (P.path_digest(name) for name in "abc")
    journal.outcomes.record([Outcome(b, b"d", b"ctx", Status.RELEASED, outputs=("P/b.dcm",))])
    journal.inputs.mark_seen([a, c], 2)
    # A shard that began earlier marks late: it must not take a newer mark back.
    journal.inputs.mark_seen([a], 1)
    assert journal.inputs.gone(2) == [b] and journal.inputs.gone(1) == []
    journal.inputs.forget([b])
    assert set(journal.inputs.known_stats()) == {a, c}
    assert journal.resolve(P.reference("b")) == [] and journal.outcomes.lookup([b]) == {}
    assert journal.outcomes.stale_outputs() == ["P/b.dcm"], "the file is ours until it is deleted"
    journal.outcomes.forget_outputs(["P/b.dcm"])
    assert journal.outcomes.known_outputs() == {}


def test_outcomes_and_the_register_of_outputs(journal: Journal) -> None:
    a, b = P.path_digest("a"), P.path_digest("b")
    planned = Outcome(a, b"k1", b"c1", Status.PLANNED, outputs=("P/1", "P/2"))
    journal.outcomes.record([planned, Outcome(b, b"k", b"c1", Status.HELD, "risk: face")])
    assert journal.outcomes.known_outputs() == {"P/1": b"c1", "P/2": b"c1"}
    done = Outcome(a, b"k1", b"c2", Status.RELEASED, "", ("P/2", "P/3"), 5, 6, {"steps": ["header"]})
    journal.outcomes.record([done])
    assert journal.outcomes.lookup([a, b"none"]) == {a: done}
    assert journal.outcomes.known_outputs() == {"P/1": b"c1", "P/2": b"c2", "P/3": b"c2"}
    assert journal.outcomes.stale_outputs() == ["P/1"]
    assert journal.outcomes.counts() == {(Status.RELEASED, ""): 1, (Status.HELD, "risk: face"): 1}
    assert [o.ref for o in journal.outcomes.all()] == sorted([a, b])
    assert [o.ref for o in journal.outcomes.all(Status.HELD)] == [b]


def test_a_failed_transaction_leaves_nothing(journal: Journal) -> None:
    bad = Outcome(b"r2", b"k", b"c", Status.HELD, details={"x": object()})
    with pytest.raises(TypeError):
        journal.outcomes.record([Outcome(b"r1", b"k", b"c", Status.HELD, outputs=("P/1",)), bad])
    assert journal.outcomes.counts() == {} and journal.outcomes.known_outputs() == {}
    journal.outcomes.record([Outcome(b"r1", b"k", b"c", Status.HELD)])


@given(st.text(min_size=1, max_size=30))
def test_references_resolve_to_paths(path: str) -> None:
    import tempfile

    with tempfile.TemporaryDirectory() as folder, Journal(Path(folder) / "j", KEY) as journal:
        journal.add_paths([(P.path_digest(path), path), (b"\0" * 16, "other")])
        reference = P.reference(path)
        assert journal.resolve(reference) == [path]
        assert path in journal.resolve(reference[:6].upper()) and path in journal.resolve(reference[1:])
        assert journal.path(P.path_digest(path)) == path and journal.path(b"x") is None


@pytest.mark.parametrize("reference", ["", "#", "#12", "zzzz", "#" + "0" * 33, "%", "CANARY"])
def test_what_is_not_a_reference_is_refused(journal: Journal, reference: str) -> None:
    with pytest.raises(UsageError) as caught:
        journal.resolve(reference)
    assert "CANARY" not in str(caught.value)


def test_runs_and_exports(journal: Journal) -> None:
    first = journal.start_run({"jobs": 2}, {"inputs": ["/in"], "out": "/out"}, "recipe-1")
    second = journal.start_run({}, {}, "recipe-2")
    journal.end_run(first, {"released": 3}, 0)
    assert second == first + 1
    latest, earlier = journal.runs()
    assert (latest.ended, latest.exit_status, latest.recipe) == (None, None, "recipe-2")
    assert (earlier.options, earlier.roots) == ({"jobs": 2}, {"inputs": ["/in"], "out": "/out"})
    assert (earlier.counts, earlier.exit_status) == ({"released": 3}, 0) and earlier.ended is not None
    journal.record_export("passphrase", 12)
    assert [(who, rows) for _, who, rows in journal.exports()] == [("passphrase", 12)]


def test_the_wrong_key_is_refused(tmp_path: Path) -> None:
    Journal(tmp_path / "j", KEY).close()
    with pytest.raises(UsageError, match="not the one this project was made with"):
        Journal(tmp_path / "j", new_key())
    Journal(tmp_path / "j", KEY).close()


def foreign(path: Path) -> None:
    with sqlite3.connect(path) as raw:
        raw.execute("CREATE TABLE other (x)")


def newer(path: Path) -> None:
    Journal(path, KEY).close()
    with sqlite3.connect(path) as raw:
        raw.execute("PRAGMA user_version=99")


def damaged(path: Path) -> None:
    Journal(path, KEY).close()
    data = bytearray(path.read_bytes())
    data[100:] = os.urandom(len(data) - 100)
    path.write_bytes(data)


def text(path: Path) -> None:
    path.write_bytes(b"CANARY, this is not a database " * 100)


@pytest.mark.parametrize("make", [foreign, newer, damaged, text, Path.mkdir])
def test_files_that_are_no_journal_are_refused_with_advice(tmp_path: Path, make: object) -> None:
    path = tmp_path / "CANARY.sqlite"
    assert callable(make)
    make(path)
    with pytest.raises(UsageError) as caught:
        Journal(path, KEY)
    assert "CANARY" not in str(caught.value) and str(caught.value).count(" ") > 5


def test_a_missing_journal_is_made_only_on_demand(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no journal"):
        Journal(tmp_path / "j", KEY, create=False)
    assert not (tmp_path / "j").exists()


def test_shards_write_at_the_same_time(tmp_path: Path) -> None:
    def shard(number: int) -> None:
        with Journal(tmp_path / "j", KEY) as journal:
            for batch in range(10):
                journal.outcomes.record(
                    [
                        Outcome(P.path_digest(f"{number}-{batch}-{i}"), b"k", b"c", Status.RELEASED)
                        for i in range(20)
                    ]
                )

    threads = [threading.Thread(target=shard, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with Journal(tmp_path / "j", KEY) as journal:
        assert journal.outcomes.counts() == {(Status.RELEASED, ""): 800}


def test_errors_of_sqlite_become_advice(tmp_path: Path) -> None:
    database = Database(tmp_path / "d")
    with pytest.raises(UsageError), guarded():
        database.rows("SELECT CANARY FROM nothing")
    with database.transaction() as connection:
        connection.execute("PRAGMA max_page_count=20")
    with pytest.raises(UsageError, match="full"), database.transaction() as connection:
        connection.execute("INSERT INTO paths VALUES (?, ?)", (b"r", bytes(1_000_000)))
    assert database.rows("SELECT count(*) FROM paths") == [(0,)]
    database.close()
