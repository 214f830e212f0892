"""The estimate of an audit: what costs time, what is reduced first, and what the user is told."""

import time
from dataclasses import replace

import numpy as np
import pytest
from builders.anonymizers import save_models
from workflows.command import Tool

from deid.audit.assessment import assess
from deid.audit.pairing import study_pairs
from deid.training.phantoms import make_cohort, write_dicom
from deid.workflows.audit.estimate import Costs, Plan, Workload, estimate_line, reductions, within
from deid.workflows.audit.options import Attack, Effort
from deid.workflows.audit.timing import comparing_cost, plan_of, reading_cost

PLAN = Plan(2000, 120, 40, 200, 6, 4, 2, 400, 40, 64, 400, 5, 20_000, 2, 200)
WORK = Workload(2000, 1000, 1, 2, 3, trains=True, wanted=frozenset(Attack))
COSTS = Costs(0.01, 0.05, 0.02, 0.02, 0.01, 0.001, 0.01, 2e-7)


def total(plan=PLAN, work=WORK, costs=COSTS):
    return sum(work.seconds(plan, costs).values())


def test_a_plan_that_is_short_enough_stays():
    assert within(PLAN, WORK, COSTS, 1e9) == replace(PLAN, images=1000)


def test_inversion_is_reduced_before_images_are_left_out():
    plan = within(PLAN, WORK, COSTS, 0.7 * total())
    assert total(plan) <= 0.7 * total()
    assert plan.images == 1000
    assert plan.undone < PLAN.undone and plan.undo_steps < PLAN.undo_steps
    said = reductions(replace(PLAN, images=1000), plan)
    assert said[0] == f"images undone 120 to {plan.undone}"


def test_images_are_left_out_where_nothing_else_helps():
    slow = Costs(reading=2.0, recognition=1.0)
    plan = within(PLAN, WORK, slow, 1500)
    assert 100 <= plan.images < 1000
    assert total(plan, costs=slow) <= 1500


def test_no_plan_goes_below_what_can_say_something():
    plan = within(PLAN, WORK, Costs(reading=100), 1)
    assert plan.shown() == {
        "images": 100, "undone": 40, "undo_steps": 15, "restorer_steps": 50, "epochs": 2,
        "rescrubbed": 150,
    }  # fmt: skip


@pytest.mark.parametrize("more", ["files", "items", "pictures", "recognisers"])
def test_more_work_takes_longer(more):
    assert total(work=replace(WORK, **{more: 2 * getattr(WORK, more)})) > total()


def test_what_is_not_wanted_costs_nothing():
    headers = replace(WORK, wanted=frozenset({Attack.HEADER}))
    assert headers.seconds(PLAN, COSTS) == {"header": 20.0}


def test_the_line_names_the_long_phases():
    assert estimate_line({"header": 12.0}) == "estimated time: less than a minute"
    assert (
        estimate_line({"header": 70.0, "reid": 400, "utility": 3})
        == "estimated time: 8 min (reid 7 min, header 1 min)"
    )
    assert estimate_line({"reid": 36_000}) == "estimated time: 10.0 h"


def test_full_effort_means_more_work_than_quick():
    quick, full = (plan_of(effort, 2000) for effort in Effort)
    assert total(full) > 3 * total(quick)


def test_a_few_items_are_read_for_the_estimate():
    read = []
    seconds, pictures = reading_cost(range(100), lambda item: read.append(item) or 8)
    assert read == [0, 33, 66, 99]
    assert pictures == 8 and 0 <= seconds < 1


def test_the_command_says_how_long_it_takes_and_what_it_used(tmp_path, monkeypatch):
    from deid.workflows.audit import AuditOptions, audit

    monkeypatch.setenv("MAMI_DEID_MODELS", str(save_models(tmp_path / "models", views=())))
    monkeypatch.setattr("deid.workflows.audit.QUICK_SECONDS", 1e-9)
    monkeypatch.setattr("deid.workflows.audit.within", lambda *given: within(*given, 1e-9))
    write_dicom(make_cohort(6, 2, 1, "chest", 32, ("DX",)), tmp_path / "in")
    tool, said = Tool(tmp_path), []
    tool.direct(tmp_path / "in", device="cpu")
    wanted = (Attack.HEADER, Attack.LINKAGE)
    options = AuditOptions(tmp_path / "report", state=tool.state, attacks=wanted, device="cpu")
    done = audit(options, lambda *_: None, say=said.append)
    assert said[0].startswith("estimated time: ")
    assert said[1].startswith("reduced to end in about 0 min: images undone 120 to 40")
    assert done.result["manifest"]["options"]["undone"] == 40
    assert done.result["release"]["images"] == 12


def test_intervals_take_as_long_as_was_timed():
    """On twice the pairs and five times the replicates; wide bounds, as the machine may be busy."""
    images = np.arange(1000)
    pairs = study_pairs(images // 2, images, np.zeros_like(images), 8000)
    scores = np.random.default_rng(1).random(len(pairs.first))
    started = time.process_time()
    figures = assess("", pairs, scores, None, 100, 0)
    took = (time.process_time() - started) / (100 * len(scores))
    assert figures["auc"]["lower"] < 0.5 < figures["auc"]["upper"]
    assert took / 10 < comparing_cost() < 30 * took


def test_more_trained_attackers_take_longer_only_where_they_are_trained():
    more = replace(PLAN, trained=6)
    assert total(more) > total()
    untrained = replace(WORK, trains=False)
    assert total(more, work=untrained) == total(work=untrained)
