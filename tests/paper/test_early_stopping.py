import itertools
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ich_jax.paper.early_stopping import RULES, EarlyStopping

losses = st.lists(st.integers(0, 12).map(lambda n: n / 4), min_size=1, max_size=40)  # few values: ties are common
PAPER = [0.40, 0.34, 0.30, 0.28, 0.26, 0.2561, 0.26, 0.27, 0.28, 0.20]  # in shape: lowest at 6, rising to 9


def run(values, patience, rule):
    state = EarlyStopping(patience, rule)
    for value in values:
        state = state.after(value)
        if state.should_stop:
            break
    return state


@pytest.mark.parametrize("rule", RULES)
def test_the_papers_run_fits_both_readings(rule):
    state = run(PAPER, 3, rule)
    assert (state.epoch, state.best_epoch, state.best_loss) == (9, 6, 0.2561)


def test_where_the_readings_differ():
    zigzag = [0.5, 0.6, 0.55, 0.6, 0.55, 0.4]
    assert run(zigzag, 3, "no-improvement").epoch == 4  # three epochs that do not beat 0.5
    assert run(zigzag, 3, "rises").epoch == 6  # but never three rises in a row


@given(losses, st.integers(1, 5))
def test_no_improvement_against_a_plain_search(values, patience):
    state = run(values, patience, "no-improvement")
    for epoch in range(1, len(values) + 1):
        best = min(range(epoch), key=values.__getitem__) + 1
        if epoch - best >= patience or epoch == len(values):
            assert (state.epoch, state.best_epoch) == (epoch, best)
            assert state.should_stop == (epoch - best >= patience)
            return


@given(losses, st.integers(1, 5))
def test_rises_against_a_plain_search(values, patience):
    state = run(values, patience, "rises")
    for epoch in range(1, len(values) + 1):
        tail = values[max(0, epoch - patience - 1) : epoch]
        rose = len(tail) == patience + 1 and all(a < b for a, b in itertools.pairwise(tail))
        if rose or epoch == len(values):
            assert (state.epoch, state.should_stop) == (epoch, rose)
            assert values[state.best_epoch - 1] == min(values[:epoch])
            return


def test_an_equal_loss_improves_nothing_but_is_no_rise():
    ties = [0.5, 0.5, 0.5, 0.5]
    assert run(ties, 3, "no-improvement") == EarlyStopping(3, "no-improvement", 4, 1, 0.5, 0.5, 3)
    assert run(ties, 3, "rises") == EarlyStopping(3, "rises", 4, 1, 0.5, 0.5, 0)


@pytest.mark.parametrize("rule", RULES)
def test_it_stops_at_patience_and_not_before(rule):
    state = run([0.5, 0.6, 0.7], 3, rule)
    assert (state.bad_epochs, state.should_stop) == (2, False)
    state = state.after(0.8)
    assert (state.bad_epochs, state.should_stop) == (3, True)


@pytest.mark.parametrize("rule", RULES)
def test_nan_is_never_best_and_counts_as_bad(rule):
    state = run([0.5, math.nan, math.nan], 2, rule)
    assert (state.epoch, state.best_epoch, state.should_stop) == (3, 1, True)


def test_the_state_is_not_changed():
    state = EarlyStopping(3)
    state.after(1.0)
    assert state == EarlyStopping(3)


def test_a_misspelt_rule_is_refused():
    with pytest.raises(ValueError, match="must be one of no-improvement, rises, not 'no_improvement'"):
        EarlyStopping(3, "no_improvement").after(0.5)
