import numpy as np
import pytest

from ich_jax.paper import metrics
from ich_jax.results.bootstrap import auc_of_draws, draws, interval, metric_of_draws, patient_confusions


def answers(patients=60, slices=20, seed=0, spread=0.0):
    """Answers right with a chance that differs from patient to patient by `spread`."""
    rng = np.random.default_rng(seed)
    who = np.repeat(np.arange(patients), slices)
    chance = np.clip(0.8 + spread * rng.standard_normal(patients), 0, 1)[who]
    actual = rng.integers(0, 6, len(who))
    right = rng.random(len(who)) < chance
    return actual, np.where(right, actual, (actual + 1) % 6), who.astype(str)


def test_patients_confusions_add_up_to_the_whole():
    actual, predicted, who = answers()
    parts = patient_confusions(actual, predicted, who)
    assert parts.shape == (60, 6, 6)
    np.testing.assert_array_equal(parts.sum(axis=0), metrics.confusion_matrix(actual, predicted))
    one = who == "17"
    place = sorted(set(who)).index("17")
    np.testing.assert_array_equal(parts[place], metrics.confusion_matrix(actual[one], predicted[one]))


def test_a_draw_has_as_many_patients_as_there_are():
    drawn = draws(30, seed=1, count=50)
    assert drawn.shape == (50, 30)
    assert (drawn.sum(axis=1) == 30).all()
    np.testing.assert_array_equal(drawn, draws(30, seed=1, count=50))
    assert (drawn != draws(30, seed=2, count=50)).any()


def test_a_draw_of_every_patient_once_is_the_metric_itself():
    actual, predicted, who = answers()
    found = metric_of_draws(metrics.accuracy, patient_confusions(actual, predicted, who), np.ones((1, 60)))
    assert found[0] == pytest.approx(np.mean(actual == predicted))


def test_the_interval_has_the_width_that_theory_gives_and_grows_where_patients_differ():
    def width(spread):
        parts = patient_confusions(*answers(patients=100, spread=spread))
        low, high = interval(metric_of_draws(metrics.accuracy, parts, draws(len(parts), seed=0)))
        return high - low

    assert width(0.0) == pytest.approx(2 * 1.96 * np.sqrt(0.8 * 0.2 / 2000), rel=0.3)
    assert width(0.2) > 1.6 * width(0.0)


def test_draws_in_one_product_are_to_the_bit_those_one_by_one():
    confusions = patient_confusions(*answers(patients=300, slices=50, spread=0.2))
    drawn = draws(len(confusions), seed=3)
    flat = confusions.reshape(len(confusions), -1)
    for metric in (metrics.accuracy, metrics.balanced_accuracy, metrics.f1_macro, metrics.matthews_correlation):
        one_by_one = [metric((row.astype(np.int64) @ flat).reshape(6, 6)) for row in drawn]
        np.testing.assert_array_equal(metric_of_draws(metric, confusions, drawn), one_by_one)


def test_the_auc_of_a_draw_is_that_of_its_patients_slices_pair_by_pair():
    rng = np.random.default_rng(0)
    positive, scores, who = rng.random(60) < 0.3, rng.integers(0, 8, 60) / 8, rng.integers(0, 9, 60)  # many ties
    drawn = draws(9, seed=0, count=20)
    for times, found in zip(drawn, auc_of_draws(positive, scores, who, drawn), strict=True):
        chosen = np.repeat(np.arange(60), times[who])  # a patient drawn twice is there twice
        above, below = scores[chosen][positive[chosen]], scores[chosen][~positive[chosen]]
        pairs = [(one > other) + (one == other) / 2 for one in above for other in below]
        assert found == pytest.approx(np.mean(pairs))


def test_the_auc_of_a_draw_of_every_patient_once_is_the_metric():
    rng = np.random.default_rng(1)
    positive, scores = rng.random(500) < 0.2, rng.random(500).round(2)
    found = auc_of_draws(positive, scores, rng.integers(0, 50, 500), np.ones((1, 50), np.uint16))
    assert found.tolist() == [pytest.approx(metrics.auc(positive, scores), rel=1e-12)]


def test_a_draw_without_both_kinds_has_no_auc():
    positive, scores, who = np.array([True, False, False]), np.array([0.9, 0.1, 0.9]), np.arange(3)
    found = auc_of_draws(positive, scores, who, np.array([[3, 0, 0], [0, 2, 1], [1, 0, 2]]))
    np.testing.assert_array_equal(found, [np.nan, np.nan, 0.5])
    assert np.isnan(auc_of_draws(np.ones(3, bool), scores, who, np.ones((1, 3), int))).all()
