import dataclasses

import jax
import numpy as np
import pytest

from ich_jax.data.prepared import open_prepared
from ich_jax.paper.printed import CLASSES
from ich_jax.training.config import Found, Settings
from ich_jax.training.inference import answer, predict
from ich_jax.training.network import build, weights_key
from tests.make import make_dicom

FOUND = Found("toy", "toy", False, "abc", 32, {"train": 48, "validation": 24, "test": 24}, "cpu (cpu)")


@pytest.fixture(scope="module")
def network():
    return build(Settings(), FOUND)


@pytest.fixture(scope="module")
def state(network):
    return network.draw(weights_key(Settings()))


def test_answers_come_in_order_whatever_else_is_in_the_batch(network, state, toy):
    prepared = open_prepared(toy)
    rows = np.array([5, 90, 7, *range(20, 60)])  # one batch and a bit
    logits = answer(network, state, prepared, rows, "toy")
    assert logits.shape == (len(rows), len(CLASSES))
    by_hand = network.steps.evaluate(state.params, state.batch_stats, jax.numpy.asarray(prepared.images[rows[:3]]))
    np.testing.assert_allclose(logits[:3], by_hand, atol=1e-5)
    np.testing.assert_allclose(logits[40:], answer(network, state, prepared, rows[40:], "toy"), atol=1e-5)


def test_a_file_has_the_answer_of_its_image_and_a_bad_one_has_its_reason(network, state, tmp_path):
    rng = np.random.default_rng(0)
    files = [tmp_path / f"ID_{k:02}.dcm" for k in range(19)]  # more than one batch
    for path in files:
        path.write_bytes(make_dicom(rng.integers(900, 1100, (40, 40), np.int16)))
    files[3].write_bytes(b"no slice")
    results = list(predict(network, state, 32, files))
    assert [result["file"] for result in results] == [str(path) for path in files]
    assert results[3] == {"file": str(files[3]), "error": "not a DICOM file"}
    for result in results[:3] + results[4:]:
        assert sum(result["probabilities"].values()) == pytest.approx(1)
        assert result["predicted"] == max(result["probabilities"], key=result["probabilities"].get)
    alone = next(predict(network, state, 32, [files[18]]))
    assert alone["probabilities"] == pytest.approx(results[18]["probabilities"], abs=1e-5)


def test_a_network_is_not_changed_after_it_is_built(network):
    with pytest.raises(dataclasses.FrozenInstanceError):
        network.steps = None
