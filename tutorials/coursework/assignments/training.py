"""Marks of assignment 5, training. Compared with ich_jax.paper's metrics, early_stopping and, by a test, steps.adam.

Adam is written out here in float64: the package's is float32, and where ε counts, gradients are tiny.
"""

import math
from typing import NamedTuple

import numpy as np

from ich_jax.paper.early_stopping import RULES, EarlyStopping
from ich_jax.paper.metrics import cross_entropy, log_softmax
from ich_jax.paper.printed import BETA1, PATIENCE
from tutorials.coursework.marking import Ask, Assignment

training = Assignment("training")
NO_IMPROVEMENT, RISES = RULES
# Shaped like the paper's own run: lowest at epoch 6, stopped after 9.
LIKE_THE_PAPERS = [0.62, 0.48, 0.41, 0.35, 0.31, 0.27, 0.28, 0.29, 0.30, 0.26, 0.25]


@training.given("cross_entropy", 1, "equal logits, and the example of the sheet")
def _(ask: Ask, draw: np.random.Generator) -> None:
    _expect_loss(ask, np.array([2, 0]), np.zeros((2, 6)))
    _expect_loss(ask, np.array([0, 1, 1]), np.array([[2.0, 0.0, -1.0], [0.5, 1.5, 0.0], [3.0, 0.0, 0.0]]))


@training.drawn("cross_entropy", 1, "any slices and classes")
def _(ask: Ask, draw: np.random.Generator) -> None:
    for slices, classes in ((1, 2), (5, 6), (40, 3)):
        _expect_loss(ask, draw.integers(0, classes, slices), 3 * draw.standard_normal((slices, classes)))


@training.drawn("cross_entropy", 1, "logits around 1000 and around −1000")
def _(ask: Ask, draw: np.random.Generator) -> None:
    for middle in (1000, -1000):
        logits = middle + draw.integers(-100, 100, (6, 1)) + 2 * draw.standard_normal((6, 6))
        _expect_loss(ask, draw.integers(0, 6, 6), logits)


@training.drawn("cross_entropy", 1, "an actual class that the network gives no chance")
def _(ask: Ask, draw: np.random.Generator) -> None:
    logits = 2 * draw.standard_normal((5, 6))
    logits[np.arange(5), 1 + np.arange(5)] -= draw.integers(40, 100)
    _expect_loss(ask, 1 + np.arange(5), logits)
    logits[0, 1] = -float(draw.integers(1000, 2000))  # its probability is below the smallest float
    _expect_loss(ask, 1 + np.arange(5), logits)


@training.given("moments", 1, "the example of the sheet")
def _(ask: Ask, draw: np.random.Generator) -> None:
    _expect_moments(ask, np.array([2.0, -1.0]), np.array([0.0, 1.0]), np.array([0.0, 4.0]), 0.95, 0.75)


@training.drawn("moments", 1, "any gradients, any β")
def _(ask: Ask, draw: np.random.Generator) -> None:
    for shape in ((4,), (2, 3)):
        betas = float(draw.uniform(0.5, 0.9)), float(draw.uniform(0.9, 0.98))
        _expect_moments(ask, *_gradient_and_moments(draw, shape), *betas)


@training.given("bias_corrected", 1, "β1 = 0.95 after 1, 2 and 20 steps of the same gradient")
def _(ask: Ask, draw: np.random.Generator) -> None:
    for step in (1, 2, 20):
        _expect_corrected(ask, np.array([0.5, -2.0]) * (1 - BETA1**step), BETA1, step)


@training.drawn("bias_corrected", 1, "any moment, β and step")
def _(ask: Ask, draw: np.random.Generator) -> None:
    for shape in ((4,), (2, 3)):
        _expect_corrected(ask, draw.standard_normal(shape), float(draw.uniform(0.8, 0.99)), int(draw.integers(2, 60)))


@training.given("adam_step", 1, "the example of the sheet: a first step, where ε does not count")
def _(ask: Ask, draw: np.random.Generator) -> None:
    zero = np.zeros(2)
    _expect_step(ask, Step(np.array([1.0, -0.5]), np.array([2.0, -0.5]), zero, zero, 1, 0.1, BETA1, 0.999, 1e-7, False))


@training.drawn("adam_step", 1, "Algorithm 1: ε added after the correction")
def _(ask: Ask, draw: np.random.Generator) -> None:
    for step in _some_steps(draw, keras=False):
        _expect_step(ask, step)


@training.drawn("adam_step", 1, "Keras: ε added before the correction")
def _(ask: Ask, draw: np.random.Generator) -> None:
    for step in _some_steps(draw, keras=True):
        _expect_step(ask, step)


@training.given("early_stopping", 1, "a run like the paper's: lowest at 6, ends after 9 by both rules")
def _(ask: Ask, draw: np.random.Generator) -> None:
    for rule in RULES:
        _expect_end(ask, LIKE_THE_PAPERS, PATIENCE, rule)


@training.drawn("early_stopping", 1, "no improvement, equal losses among them")
def _(ask: Ask, draw: np.random.Generator) -> None:
    for losses, patience in _some_runs(draw):
        _expect_end(ask, losses, patience, NO_IMPROVEMENT)


@training.drawn("early_stopping", 1, "rises, equal losses among them")
def _(ask: Ask, draw: np.random.Generator) -> None:
    for losses, patience in _some_runs(draw):
        _expect_end(ask, losses, patience, RISES)


@training.drawn("early_stopping", 1, "losses that are NaN")
def _(ask: Ask, draw: np.random.Generator) -> None:
    for losses, patience in [*_some_runs(draw, nan=0.3), ([math.nan] * 4, 2), ([math.nan, 0.5, 0.6, 0.7], 3)]:
        for rule in RULES:
            _expect_end(ask, losses, patience, rule)


class Step(NamedTuple):
    """The arguments of `adam_step`."""

    parameter: np.ndarray
    gradient: np.ndarray
    m: np.ndarray
    v: np.ndarray
    step: int
    learning_rate: float
    beta1: float
    beta2: float
    epsilon: float
    keras_epsilon: bool


def _some_steps(draw: np.random.Generator, keras: bool) -> list[Step]:
    """First and later ones; ordinary gradients with a large ε, the usual ε with gradients so small that it counts."""
    steps = []
    for number, shape in ((1, (4,)), (int(draw.integers(2, 30)), (2, 3))):
        for scale, beta2, epsilon in ((1.0, float(draw.uniform(0.9, 0.99)), 0.01), (1e-6, 0.999, 1e-7)):
            gradient, m, v = _gradient_and_moments(draw, shape)
            if number == 1:
                m, v = np.zeros(shape), np.zeros(shape)
            settings = float(draw.uniform(0.05, 0.2)), BETA1, beta2, epsilon, keras
            steps.append(
                Step(draw.standard_normal(shape), scale * gradient, scale * m, scale**2 * v, number, *settings)
            )
    return steps


def adam_step(given: Step, before: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The step as Kingma and Ba write it, in the form that `given` asks for. `before`: steps too few in its count."""
    m, v = _moments(*given[1:4], given.beta1, given.beta2)
    step = given.step - before
    with np.errstate(divide="ignore", invalid="ignore"):
        if given.keras_epsilon:
            root = (np.sqrt(v) + given.epsilon) / np.sqrt(1 - given.beta2**step)
        else:
            root = np.sqrt(v / (1 - given.beta2**step)) + given.epsilon
        return given.parameter - given.learning_rate * m / (1 - given.beta1**step) / root, m, v


def _moments(gradient, m, v, beta1, beta2) -> tuple[np.ndarray, np.ndarray]:
    return beta1 * m + (1 - beta1) * gradient, beta2 * v + (1 - beta2) * gradient**2


def _gradient_and_moments(draw: np.random.Generator, shape: tuple) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Of ordinary size: between 0.2 and 2, m with either sign."""
    gradient, m = draw.uniform(0.2, 2, (2, *shape)) * draw.choice([-1, 1], (2, *shape))
    return gradient, m, draw.uniform(0.2, 2, shape)


def _some_runs(draw: np.random.Generator, nan: float = 0) -> list[tuple[list[float], int]]:
    """Losses with few different values, so that some are equal, and a patience."""
    runs = []
    for _ in range(30):
        losses = np.round(draw.uniform(0.2, 0.8, draw.integers(1, 16)), 1)
        losses[draw.random(len(losses)) < nan] = math.nan
        runs.append((losses.tolist(), int(draw.integers(1, 5))))
    return runs


def _expect_loss(ask: Ask, actual: np.ndarray, logits: np.ndarray) -> None:
    ask.expect(
        cross_entropy(actual, logits),
        "cross_entropy",
        actual,
        logits,
        tolerance=1e-4,
        known=_wrong_losses(actual, logits),
    )


def _wrong_losses(actual: np.ndarray, logits: np.ndarray) -> dict:
    slices = np.arange(len(actual))
    log_p = log_softmax(logits)[slices, actual]
    p = np.exp(log_p)
    with np.errstate(over="ignore", divide="ignore", invalid="ignore"):
        overflown = np.exp(logits[slices, actual]) / np.exp(logits).sum(axis=1)
        log_sum = np.log(np.exp(logits).sum(axis=1)) - logits[slices, actual]
        known = {
            "softmax comes first and its 0 then has no logarithm": float(-np.log(p).mean()),
            "exp overflows or gives 0, since the largest logit is not taken out first": float(log_sum.mean()),
            "softmax divides infinities or zeros, since the largest logit is not taken out first": float(
                -np.log(overflown).mean()
            ),
            "the logarithm is to base 2": float(-log_p.mean() / math.log(2)),
            "the logarithm is to base 10": float(-log_p.mean() / math.log(10)),
            "the mean is taken before the logarithm": float(-np.log(p.mean())),
        }
    known |= {
        "the slices are summed and not averaged": float(-log_p.sum()),
        "the sign is wrong": float(log_p.mean()),
        "the probabilities are averaged without a logarithm": float(p.mean()),
        "the mean is over all classes and not the actual ones": float(-log_softmax(logits).mean()),
    }
    if len(logits) > max(actual):
        across = log_softmax(logits.T).T
        known["softmax goes over the slices and not over the classes"] = float(-across[slices, actual].mean())
    for least in (1e-7, 1e-8, 1e-9, 1e-10, 1e-12, 1e-15, 1e-16):
        mistake = f"the probability is kept above {least:g} before its logarithm, by clipping or by adding"
        known[mistake] = float(-np.log(np.maximum(p, least)).mean())
    return known


def _expect_moments(ask: Ask, gradient, m, v, beta1: float, beta2: float) -> None:
    new_m, new_v = _moments(gradient, m, v, beta1, beta2)
    known = {
        "β1 and β2 are exchanged": _moments(gradient, m, v, beta2, beta1),
        "the gradient is not squared for v": (new_m, beta2 * v + (1 - beta2) * gradient),
        "the new gradient gets the weight β, the old mean 1 − β": _moments(gradient, m, v, 1 - beta1, 1 - beta2),
        "the gradient is not weighted with 1 − β": (beta1 * m + gradient, beta2 * v + gradient**2),
        "v comes first": (new_v, new_m),
        "m and v are mixed up": _moments(gradient, v, m, beta1, beta2),
        "v is made of the square of m": (new_m, beta2 * v + (1 - beta2) * new_m**2),
        "they are already corrected": (new_m / (1 - beta1), new_v / (1 - beta2)),
    }
    ask.expect((new_m, new_v), "moments", gradient, m, v, beta1, beta2, tolerance=1e-5, known=known)


def _expect_corrected(ask: Ask, moment: np.ndarray, beta: float, step: int) -> None:
    known = {
        "nothing is corrected": moment,
        "the steps are counted from 0": moment / (1 - beta ** (step - 1)) if step > 1 else moment * math.inf,
        "one step too many is counted": moment / (1 - beta ** (step + 1)),
        "β is not raised to the power of the step": moment / (1 - beta),
        "the correction is multiplied with": moment * (1 - beta**step),
        "it is divided by βᵗ and not by 1 − βᵗ": moment / beta**step,
        "it is divided by 1 − β·t and not by 1 − βᵗ": moment / (1 - beta * step),
    }
    ask.expect(moment / (1 - beta**step), "bias_corrected", moment, beta, step, tolerance=1e-5, known=known)


def _expect_step(ask: Ask, given: Step) -> None:
    ask.expect(adam_step(given), "adam_step", *given, tolerance=1e-5, known=_wrong_steps(given))


def _wrong_steps(given: Step) -> dict:
    parameter, gradient, old_m, old_v, step, rate, beta1, beta2, epsilon, keras = given
    right, m, v = adam_step(given)
    m_hat, v_hat = m / (1 - beta1**step), v / (1 - beta2**step)
    other = "after the correction, as in Algorithm 1" if keras else "before the correction, as Keras does"
    swapped = adam_step(given._replace(beta1=beta2, beta2=beta1))
    with np.errstate(divide="ignore", invalid="ignore"):
        old = parameter - rate * (old_m / (1 - beta1**step)) / (np.sqrt(old_v / (1 - beta2**step)) + epsilon)
    return {
        f"ε is added {other}": adam_step(given._replace(keras_epsilon=not keras)),
        "ε is added to v, under the root": (parameter - rate * m_hat / np.sqrt(v_hat + epsilon), m, v),
        "ε is left out": adam_step(given._replace(epsilon=0.0)),
        "the moments are not corrected": (parameter - rate * m / (np.sqrt(v) + epsilon), m, v),
        "only m is corrected": (parameter - rate * m_hat / (np.sqrt(v) + epsilon), m, v),
        "only v is corrected": (parameter - rate * m / (np.sqrt(v_hat) + epsilon), m, v),
        "the steps are counted from 0": adam_step(given, before=1),
        "one step too many is counted": adam_step(given, before=-1),
        "β1 and β2 are exchanged": swapped,
        "the moments before this step are used": (old, m, v),
        "the corrected moments are handed back": (right, m_hat, v_hat),
        "v comes before m in what is handed back": (right, v, m),
        "no root is taken of v": (parameter - rate * m_hat / (v_hat + epsilon), m, v),
        "the gradient is used where m belongs": (parameter - rate * gradient / (np.sqrt(v_hat) + epsilon), m, v),
        "the step goes up the gradient": (2 * parameter - right, m, v),
    }


def _expect_end(ask: Ask, losses: list[float], patience: int, rule: str) -> None:
    right = _end(losses, patience, rule)
    numbers = [math.inf if math.isnan(loss) else loss for loss in losses]
    calm = [(k, loss) for k, loss in enumerate(losses, 1) if not math.isnan(loss)]
    without = _end([loss for _, loss in calm], patience, rule)
    known = {
        "it ends an epoch too late: patience is the bad epochs that end it": _end(losses, patience + 1, rule),
        "epochs are counted from 0": (right[0] - 1, right[1] - 1),
        "the best epoch is looked for after the end, too": (right[0], 1 + int(np.argmin(numbers))),
        f"the rule is {RULES[rule == NO_IMPROVEMENT]!r}": _end(losses, patience, RULES[rule == NO_IMPROVEMENT]),
        "the best epoch and the last are exchanged": right[::-1],
        "an equal loss counts as better": _badly_ended(losses, patience, rule, ties="good"),
        "an equal loss counts as a rise": _badly_ended(losses, patience, rule, ties="bad"),
        "the bad epochs need not be in a row": _badly_ended(losses, patience, rule, in_a_row=False),
        "an epoch of NaN does not count as bad": _badly_ended(losses, patience, rule, nan="good"),
        "an epoch of NaN is passed over": tuple(calm[k - 1][0] if k else 0 for k in without),
    }
    if patience > 1:
        known["it ends an epoch too early: patience is the bad epochs that end it"] = _end(losses, patience - 1, rule)
    ask.expect(right, "early_stopping", losses, patience, rule, known=known)


def _end(losses: list[float], patience: int, rule: str) -> tuple[int, int]:
    state = EarlyStopping(patience, rule)
    for loss in losses:
        state = state.after(loss)
        if state.should_stop:
            break
    return state.epoch, state.best_epoch


def _badly_ended(losses, patience, rule, ties="", in_a_row=True, nan="bad") -> tuple[int, int]:
    """As `_end`, with one of its points got wrong."""
    best, best_epoch, last, bad, epoch = math.inf, 0, math.inf, 0, 0
    for epoch, loss in enumerate(losses, 1):
        improved = loss <= best if ties == "good" and rule == NO_IMPROVEMENT else loss < best
        good = improved
        if rule == RISES:
            good = loss < last or (loss == last and ties != "bad")
        good |= nan == "good" and (math.isnan(loss) or (rule == RISES and math.isnan(last)))
        if improved:
            best, best_epoch = loss, epoch
        bad = bad + 1 if not good else 0 if in_a_row else bad
        last = loss
        if bad >= patience:
            break
    return epoch, best_epoch
