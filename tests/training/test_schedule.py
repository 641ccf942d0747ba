from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from napari_im2im.training.config import EffortConfig
from napari_im2im.training.schedule import StepPlan, learning_rate_factor


@given(st.floats(0, 1), st.floats(0, 1))
def test_the_rate_stays_between_nothing_and_all(progress, warmup):
    assert 0 <= learning_rate_factor(progress, warmup) <= 1


def test_the_rate_rises_then_falls_to_nothing():
    rates = [learning_rate_factor(n / 100, 0.1) for n in range(101)]
    assert rates[0] == 0
    assert rates[10] == 1
    assert rates == sorted(rates[:11]) + sorted(rates[11:], reverse=True)
    assert rates[-1] == pytest.approx(0)


@pytest.mark.parametrize(
    ("effort", "total"),
    [({"steps": 30}, 30), ({"epochs": 3}, 21), ({"steps": 10, "epochs": 3}, 10)],
)
def test_steps_and_epochs_are_counted(effort, total):
    plan = StepPlan(EffortConfig(**effort), steps_per_epoch=7)
    assert plan.total == total
    assert not plan.finished(total - 1)
    assert plan.finished(total)


@given(st.floats(10, 1000), st.lists(st.floats(0.05, 1.0), min_size=20, max_size=20))
def test_a_time_budget_is_kept_at_any_pace(budget, paces):
    plan = StepPlan(EffortConfig(seconds=budget), steps_per_epoch=7)
    step, elapsed, last = 0, 0.0, 0.0
    while not plan.finished(step):
        last = paces[step * 20 // 2000 % 20]
        step, elapsed = step + 1, elapsed + last
        plan.update(step, elapsed)
    assert elapsed <= budget + last
    assert elapsed >= budget - 2 * max(paces)
    assert plan.progress(step) == pytest.approx(1, abs=0.05)


def test_the_time_left_is_told():
    plan = StepPlan(EffortConfig(seconds=100), steps_per_epoch=7)
    plan.update(50, 25.0)
    assert plan.seconds_left(50) == pytest.approx(75)


def test_half_an_hour_is_the_standard():
    assert EffortConfig().time_limit == 1800
    assert EffortConfig(epochs=3).time_limit is None
