import numpy as np
import pytest
import sklearn.metrics as reference
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from ich_jax.paper import metrics, printed
from ich_jax.paper.printed import CLASSES

pairs = st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5)), min_size=1, max_size=80)
KEYS = {
    "accuracy",
    "loss",
    "precision_weighted",
    "recall_weighted",
    "f1_weighted",
    "balanced_accuracy",
    "f1_macro",
    "mcc",
    "any_sensitivity",
    "any_specificity",
    "majority_accuracy",
    "per_class",
}


@given(pairs)
@pytest.mark.filterwarnings("ignore")  # scikit-learn warns about the classes that are missing
def test_against_scikit_learn(answers):
    actual, predicted = np.array(answers).T
    confusion = metrics.confusion_matrix(actual, predicted)
    np.testing.assert_array_equal(confusion, reference.confusion_matrix(actual, predicted, labels=range(6)))
    options = {"labels": range(6), "zero_division": 0}
    for ours, theirs in [
        (metrics.precision, reference.precision_score),
        (metrics.recall, reference.recall_score),
        (metrics.f1, reference.f1_score),
    ]:
        np.testing.assert_allclose(ours(confusion), theirs(actual, predicted, average=None, **options), atol=1e-12)
        weighted = theirs(actual, predicted, average="weighted", **options)
        assert metrics.weighted(ours(confusion), confusion) == pytest.approx(weighted)
    assert metrics.accuracy(confusion) == pytest.approx(reference.accuracy_score(actual, predicted))
    assert metrics.balanced_accuracy(confusion) == pytest.approx(reference.balanced_accuracy_score(actual, predicted))
    assert metrics.f1_macro(confusion) == pytest.approx(reference.f1_score(actual, predicted, average="macro"))
    assert metrics.matthews_correlation(confusion) == pytest.approx(
        reference.matthews_corrcoef(actual, predicted), abs=1e-9
    )
    assert metrics.weighted(metrics.recall(confusion), confusion) == pytest.approx(metrics.accuracy(confusion))
    bleeds, called = actual > 0, predicted > 0
    assert metrics.any_sensitivity(confusion) == pytest.approx(
        reference.recall_score(bleeds, called, zero_division=0), abs=1e-12
    )
    assert metrics.any_specificity(confusion) == pytest.approx(
        reference.recall_score(~bleeds, ~called, zero_division=0), abs=1e-12
    )
    assert metrics.majority_accuracy(confusion) == pytest.approx(np.mean(~bleeds))


@given(st.data())
def test_auc_and_log_loss_against_scikit_learn(data):
    count = data.draw(st.integers(2, 50))
    actual = data.draw(arrays(np.int64, count, elements=st.integers(0, 5)))
    logits = data.draw(arrays(np.float32, (count, 6), elements=st.integers(-8, 8).map(float)))  # whole: ties are common
    log_shares = metrics.log_softmax(logits)
    np.testing.assert_allclose(np.exp(log_shares).sum(axis=1), 1)
    assert metrics.cross_entropy(actual, logits) == pytest.approx(
        reference.log_loss(actual, np.exp(log_shares), labels=range(6)), rel=1e-5
    )
    for index in range(6):
        positive, area = actual == index, metrics.auc(actual == index, logits[:, index])
        if positive.all() or not positive.any():
            assert area is None
        else:
            assert area == pytest.approx(reference.roc_auc_score(positive, logits[:, index]))


def test_log_softmax_survives_large_logits():
    assert metrics.cross_entropy(np.array([0]), np.array([[1e4, 0, 0, 0, 0, 0]], np.float32)) == 0
    assert metrics.cross_entropy(np.array([1]), np.array([[1e4, 0, 0, 0, 0, 0]], np.float32)) == 1e4


def test_the_papers_own_matrix():
    """Table 6, the proposed network: what the paper prints to four digits is within 3 of the last one."""
    confusion = printed.confusion("proposed")
    assert round(metrics.accuracy(confusion), 4) == 0.9281
    assert metrics.weighted(metrics.precision(confusion), confusion) == pytest.approx(0.9268, abs=3.5e-4)
    assert metrics.weighted(metrics.f1(confusion), confusion) == pytest.approx(0.9246, abs=3.5e-4)
    assert round(metrics.balanced_accuracy(confusion), 4) == 0.5397
    assert round(metrics.f1_macro(confusion), 4) == 0.6027
    assert round(metrics.any_sensitivity(confusion), 4) == 0.6390
    assert round(metrics.any_specificity(confusion), 4) == 0.9737
    assert round(metrics.majority_accuracy(confusion), 4) == 0.8948


def test_summary_has_every_key_and_names_what_is_undefined():
    logits = np.eye(6)[[0, 0, 1, 0]] * 4
    summary = metrics.summarise(np.array([0, 0, 1, 2]), logits)
    assert summary.keys() >= KEYS
    assert list(summary["per_class"]) == list(CLASSES)
    assert summary["per_class"]["intraparenchymal"] == {
        "support": 1,
        "precision": 0.0,
        "recall": 0.0,
        "f1": 0.0,
        "auc": 0.5,
    }
    assert summary["undefined"] == {
        "recall (no such slice)": ["intraventricular", "subarachnoid", "subdural"],
        "precision (never predicted)": ["intraparenchymal", "intraventricular", "subarachnoid", "subdural"],
    }
    nowhere_none = metrics.summarise(np.array([1, 2]), np.eye(6)[[1, 0]])
    assert nowhere_none["undefined"]["specificity (no slice without)"] == ["any hemorrhage"]
    alone = metrics.summarise(np.zeros(3, int), np.eye(6)[[0, 0, 0]])["undefined"]
    assert set(alone) == {
        "recall (no such slice)",
        "precision (never predicted)",
        "sensitivity (no slice with a hemorrhage)",
        "Matthews correlation (one class only)",
    }


def test_every_number_of_the_summary_stands_under_its_own_name():
    rng = np.random.default_rng(0)
    actual = rng.choice(6, 400, p=[0.5, 0.06, 0.1, 0.08, 0.1, 0.16])
    logits = rng.normal(size=(400, 6)) + np.eye(6)[actual] * rng.uniform(0, 4, (400, 1))
    predicted = logits.argmax(axis=1)
    summary = metrics.summarise(actual, logits)
    shares = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    weighted = {"average": "weighted"}
    expected = {
        "loss": reference.log_loss(actual, shares),
        "accuracy": reference.accuracy_score(actual, predicted),
        "precision_weighted": reference.precision_score(actual, predicted, **weighted),
        "recall_weighted": reference.recall_score(actual, predicted, **weighted),
        "f1_weighted": reference.f1_score(actual, predicted, **weighted),
        "balanced_accuracy": reference.balanced_accuracy_score(actual, predicted),
        "f1_macro": reference.f1_score(actual, predicted, average="macro"),
        "mcc": reference.matthews_corrcoef(actual, predicted),
        "any_sensitivity": np.mean(predicted[actual > 0] > 0),
        "any_specificity": np.mean(predicted[actual == 0] == 0),
        "majority_accuracy": np.mean(actual == 0),
    }
    assert {name: summary[name] for name in expected} == pytest.approx(expected)
    assert summary.keys() - expected.keys() == {"per_class", "undefined"}
    assert summary["undefined"] == {}
    for k, name in enumerate(CLASSES):
        assert summary["per_class"][name] == pytest.approx(
            {
                "support": np.sum(actual == k),
                "precision": reference.precision_score(actual == k, predicted == k),
                "recall": reference.recall_score(actual == k, predicted == k),
                "f1": reference.f1_score(actual == k, predicted == k),
                "auc": reference.roc_auc_score(actual == k, shares[:, k]),
            }
        )


def test_calibration_by_hand():
    probabilities = np.array([[0.9, 0.1], [0.8, 0.2], [0.45, 0.55], [0.5, 0.5], [0.0, 1.0]])
    actual = np.array([0, 1, 1, 0, 1])
    found = metrics.calibration(actual, probabilities, bins=5)
    assert found.counts.tolist() == [0, 0, 2, 0, 3]
    np.testing.assert_allclose(found.confidence, [0, 0, 0.525, 0, 0.9])
    np.testing.assert_allclose(found.accuracy, [0, 0, 1, 0, 2 / 3])
    expected = (2 * (1 - 0.525) + 3 * (0.9 - 2 / 3)) / 5
    assert metrics.expected_calibration_error(found) == pytest.approx(expected)


def test_a_calibrated_network_has_a_small_error_and_an_overconfident_one_a_large():
    rng = np.random.default_rng(0)
    p = rng.uniform(0.5, 1, 40000)
    actual = (rng.random(40000) > p).astype(int)
    probabilities = np.stack([p, 1 - p], axis=1)
    assert metrics.expected_calibration_error(metrics.calibration(actual, probabilities)) < 0.01
    sure = np.stack([0.5 + 0.5 * (2 * p - 1) ** 0.3, 0.5 - 0.5 * (2 * p - 1) ** 0.3], axis=1)
    assert metrics.expected_calibration_error(metrics.calibration(actual, sure)) > 0.05


@pytest.mark.parametrize("wrong", [[6], [-1], [300]])
def test_what_is_no_class_is_refused(wrong):
    for actual, predicted in ((wrong, [0]), ([0], wrong)):
        with pytest.raises(ValueError, match="class indices must be 0…5"):
            metrics.confusion_matrix(np.array(actual), np.array(predicted))
    with pytest.raises(ValueError, match="class indices must be 0…5"):
        metrics.cross_entropy(np.array(wrong), np.zeros((1, 6)))
    with pytest.raises(ValueError, match="class indices must be 0…5"):
        metrics.calibration(np.array(wrong), np.full((1, 6), 1 / 6))


def test_class_indices_of_any_integer_type_count_alike_and_others_are_refused():
    actual, predicted = np.array([0, 5, 5, 3]), np.array([5, 5, 0, 3])
    for dtype in (np.uint8, np.int8, np.int32):
        confusion = metrics.confusion_matrix(actual.astype(dtype), predicted.astype(dtype), classes=200)
        assert confusion[5, 0] == confusion[0, 5] == confusion[5, 5] == confusion[3, 3] == 1
    large = metrics.confusion_matrix(np.array([199], np.uint8), np.array([198], np.uint8), classes=200)
    assert large[199, 198] == 1
    with pytest.raises(TypeError, match="integers"):
        metrics.confusion_matrix(np.array([0.5]), np.array([1]))
    with pytest.raises(ValueError, match="1 actual classes, but 2"):
        metrics.confusion_matrix(np.array([0]), np.array([1, 2]))
    with pytest.raises(ValueError, match="logits of 2"):
        metrics.cross_entropy(np.array([0]), np.zeros((2, 6)))


def test_auc_takes_zero_and_one_as_it_takes_bools():
    rng = np.random.default_rng(0)
    positive, scores = rng.random(50) < 0.3, rng.random(50)
    assert metrics.auc(positive.astype(int), scores) == metrics.auc(positive, scores)
    assert metrics.auc(positive.astype(float).tolist(), scores.tolist()) == metrics.auc(positive, scores)
    for wrong in (np.array([0, 2]), np.array([0.5, 1]), np.array([1])):
        with pytest.raises(ValueError, match="auc needs"):
            metrics.auc(wrong, np.array([0.1, 0.2]))
    with pytest.raises(ValueError, match="NaN"):
        metrics.auc(np.array([True, False]), np.array([0.1, np.nan]))
