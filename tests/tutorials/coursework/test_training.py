"""Typical mistakes of assignment 5, at the marks that they are meant to get."""

import math

import jax.numpy as jnp
import numpy as np
import optax
import pytest

from ich_jax.paper import steps
from ich_jax.paper.printed import BETA1
from tests.tutorials.coursework.marked import points, reasons
from tutorials.coursework.assignments.training import Step
from tutorials.coursework.assignments.training import adam_step as right_step

pytestmark = pytest.mark.filterwarnings("ignore::RuntimeWarning")  # of the mistakes


def _adam(parameter, gradient, m, v, step, rate, beta1, beta2, epsilon, keras, *, correct=True, inside=False):
    """Right but for what the keywords say; in float64, in another form than the grader's."""
    m, v = m + (1 - beta1) * (gradient - m), v + (1 - beta2) * (gradient * gradient - v)
    a, b = (1 - beta1**step, 1 - beta2**step) if correct else (1.0, 1.0)
    if inside:
        return parameter - rate * m / a / np.sqrt(v / b + epsilon), m, v
    if keras:
        return parameter - rate * m * math.sqrt(b) / a / (np.sqrt(v) + epsilon), m, v
    return parameter - rate * m / a / (np.sqrt(v / b) + epsilon), m, v


def _stop(losses, patience, rule, better=lambda a, b: a < b, late=0):
    best, where, last, bad = math.inf, 0, math.inf, 0
    for epoch, loss in enumerate(losses, 1):
        is_better = better(loss, best)
        bad = 0 if (is_better if rule == "no-improvement" else loss <= last) else bad + 1
        if is_better:
            best, where = loss, epoch
        last = loss
        if bad >= patience + late:
            return epoch, where
    return len(losses), where


def test_right_work_of_another_style_loses_nothing():
    def loss(actual, logits):
        z = logits - logits.max(axis=-1, keepdims=True)
        return np.float32(sum(np.log(np.sum(np.exp(row))) - row[k] for row, k in zip(z, actual, strict=True)) / len(z))

    def lists(gradient, m, v, beta1, beta2):
        return [beta1 * m + gradient * (1 - beta1), (v * beta2 + gradient**2 * (1 - beta2)).astype(np.float32)]

    def stop(losses, patience, rule):
        return [np.int64(k) for k in _stop(losses, patience, rule)]

    assert points("training", cross_entropy=loss, moments=lists, adam_step=_adam, early_stopping=stop) == {}


@pytest.mark.parametrize("keras", [True, False])
def test_the_graders_adam_is_the_packages(keras):
    """Over many steps with gradients so small that ε counts."""
    rng = np.random.default_rng(0)
    optimizer = steps.adam(0.1, BETA1, keras)
    theirs, mine = jnp.zeros(5), (np.zeros(5), np.zeros(5), np.zeros(5))
    state = optimizer.init(theirs)
    for step in range(1, 41):
        gradient = 1e-6 * rng.standard_normal(5)
        settings = 0.1, BETA1, steps.BETA2, steps.EPSILON, keras
        mine = right_step(Step(mine[0], gradient, *mine[1:], step, *settings))
        update, state = optimizer.update(jnp.float32(gradient), state, theirs)
        theirs = optax.apply_updates(theirs, update)
    np.testing.assert_allclose(theirs, mine[0], rtol=1e-3)


def test_a_softmax_that_overflows():
    def naive(actual, logits):
        p = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
        return -np.log(p[np.arange(len(actual)), actual]).mean()

    assert points("training", cross_entropy=naive) == {"cross_entropy": 2}
    assert "if softmax divides infinities or zeros" in reasons("training", cross_entropy=naive)


def test_the_logarithm_of_a_softmax():
    def shifted(actual, logits):
        e = np.exp(logits - logits.max(axis=1, keepdims=True))
        return -np.log((e / e.sum(axis=1, keepdims=True))[np.arange(len(actual)), actual]).mean()

    assert points("training", cross_entropy=shifted) == {"cross_entropy": 3}
    assert "if softmax comes first and its 0 then has no logarithm" in reasons("training", cross_entropy=shifted)


def test_probabilities_that_are_clipped():
    def clipped(actual, logits):
        e = np.exp(logits - logits.max(axis=1, keepdims=True))
        p = np.clip(e / e.sum(axis=1, keepdims=True), 1e-7, 1)
        return -np.log(p[np.arange(len(actual)), actual]).mean()

    assert points("training", cross_entropy=clipped) == {"cross_entropy": 3}
    assert "if the probability is kept above 1e-07" in reasons("training", cross_entropy=clipped)


def test_a_sum_instead_of_a_mean():
    def summed(actual, logits):
        top = logits.max(axis=1)
        log_sum = top + np.log(np.exp(logits - top[:, None]).sum(axis=1))
        return (log_sum - logits[np.arange(len(actual)), actual]).sum()

    assert points("training", cross_entropy=summed) == {"cross_entropy": 0}
    assert "if the slices are summed and not averaged" in reasons("training", cross_entropy=summed)


def test_the_two_betas_exchanged():
    def exchanged(gradient, m, v, beta1, beta2):
        return beta2 * m + (1 - beta2) * gradient, beta1 * v + (1 - beta1) * gradient**2

    assert points("training", moments=exchanged) == {"moments": 0}
    assert "if β1 and β2 are exchanged" in reasons("training", moments=exchanged)


def test_a_gradient_that_is_not_squared():
    def plain(gradient, m, v, beta1, beta2):
        return beta1 * m + (1 - beta1) * gradient, beta2 * v + (1 - beta2) * gradient

    assert points("training", moments=plain) == {"moments": 0}
    assert "if the gradient is not squared for v" in reasons("training", moments=plain)


def test_moments_changed_in_place():
    def in_place(gradient, m, v, beta1, beta2):
        m *= beta1
        m += (1 - beta1) * gradient
        return m, beta2 * v + (1 - beta2) * gradient**2

    assert points("training", moments=in_place) == {"moments": 0}
    assert "changes its input" in reasons("training", moments=in_place)


def test_steps_counted_from_0():
    def from_0(moment, beta, step):
        return moment / (1 - beta ** (step - 1)) if step > 1 else moment * np.inf

    assert points("training", bias_corrected=from_0) == {"bias_corrected": 0}
    assert "if the steps are counted from 0" in reasons("training", bias_corrected=from_0)


def test_the_examples_beta_for_any():
    def only_095(moment, beta, step):
        return moment / (1 - 0.95**step)

    assert points("training", bias_corrected=only_095) == {"bias_corrected": 1}


@pytest.mark.parametrize(
    ("keras", "said"), [(False, "ε is added after the correction"), (True, "ε is added before the correction")]
)
def test_only_one_place_for_epsilon(keras, said):
    def one_form(*arguments):
        return _adam(*arguments[:-1], keras)

    assert points("training", adam_step=one_form) == {"adam_step": 2}
    assert f"if {said}" in reasons("training", adam_step=one_form)


def test_epsilon_under_the_root():
    def inside(*arguments):
        return _adam(*arguments, inside=True)

    assert points("training", adam_step=inside) == {"adam_step": 1}
    assert "if ε is added to v, under the root" in reasons("training", adam_step=inside)


def test_no_bias_correction():
    def uncorrected(*arguments):
        return _adam(*arguments, correct=False)

    assert points("training", adam_step=uncorrected) == {"adam_step": 0}
    assert "if the moments are not corrected" in reasons("training", adam_step=uncorrected)


def test_corrected_moments_handed_back():
    def corrected(*arguments):
        parameter, m, v = _adam(*arguments)
        step, _, beta1, beta2, *_ = arguments[4:]
        return parameter, m / (1 - beta1**step), v / (1 - beta2**step)

    assert points("training", adam_step=corrected) == {"adam_step": 0}
    assert "if the corrected moments are handed back" in reasons("training", adam_step=corrected)


def test_patience_off_by_one():
    def late(losses, patience, rule):
        return _stop(losses, patience, rule, late=1)

    assert points("training", early_stopping=late) == {"early_stopping": 0}
    assert "if it ends an epoch too late" in reasons("training", early_stopping=late)


def test_one_rule_for_both():
    def one_rule(losses, patience, rule):
        return _stop(losses, patience, "no-improvement")

    assert points("training", early_stopping=one_rule) == {"early_stopping": 2}
    assert "if the rule is 'no-improvement'" in reasons("training", early_stopping=one_rule)


def test_equal_losses_as_better():
    def equal(losses, patience, rule):
        return _stop(losses, patience, rule, better=lambda a, b: a <= b)

    assert points("training", early_stopping=equal)["early_stopping"] == 1  # that of the run without equal losses
    assert "if an equal loss counts as better" in reasons("training", early_stopping=equal)


def test_nan_that_is_not_bad():
    def forgiving(losses, patience, rule):
        bad, last, best, where = 0, math.inf, math.inf, 0
        for epoch, loss in enumerate(losses, 1):
            is_bad = loss >= best if rule == "no-improvement" else loss > last
            bad, last = bad + 1 if is_bad else 0, loss
            if loss < best:
                best, where = loss, epoch
            if bad == patience:
                return epoch, where
        return len(losses), where

    assert points("training", early_stopping=forgiving) == {"early_stopping": 3}
    assert "if an epoch of NaN does not count as bad" in reasons("training", early_stopping=forgiving)
