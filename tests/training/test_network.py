from dataclasses import replace

import jax
import numpy as np
import pytest
from flax import nnx

from ich_jax.training.config import Found, Settings
from ich_jax.training.network import build, dropout_key, learning_rate, weights_key

FOUND = Found("toy", "toy", False, "abc", 32, {"train": 48, "validation": 24, "test": 24}, "cpu (cpu)")


def test_the_learning_rate_decays_along_a_cosine_or_not_at_all():
    rate, steps = learning_rate(0.1, 15), np.arange(16)
    np.testing.assert_allclose([rate(k) for k in steps], 0.05 * (1 + np.cos(np.pi * steps / 15)), atol=1e-7)
    assert learning_rate(0.1, None) == 0.1


def test_a_network_is_built_again_only_where_it_would_be_another():
    settings = Settings(decay="cosine", epochs=5, batch_size=20)  # three steps an epoch
    network = build(settings, FOUND)
    assert build(replace(settings, seed=1, split_seed=1, split="patient", patience=9), FOUND) is network
    assert build(replace(settings, epochs=3, batch_size=10), FOUND) is network, "fifteen steps as well"
    for change in ({"epochs": 4}, {"decay": "none"}, {"beta1": 0.9}, {"epsilon": "plain"}, {"model": "mobilenet"}):
        assert build(replace(settings, **change), FOUND) is not network


def test_each_purpose_has_a_key_of_its_own():
    keys = [
        tuple(jax.random.key_data(key(Settings(seed=s))).tolist()) for s in (0, 1) for key in (weights_key, dropout_key)
    ]
    assert len(set(keys)) == 4


def test_the_norms_momentum_reaches_every_batch_norm():
    network = build(Settings(norm_momentum=0.5), FOUND)
    state = network.draw(weights_key(Settings()))
    model = nnx.merge(network.structure, state.params, state.batch_stats)
    norms = [module for _, module in nnx.iter_modules(model) if isinstance(module, nnx.BatchNorm)]
    assert {norm.momentum for norm in norms} == {0.5}
    assert len(norms) == 5


@pytest.mark.parametrize("seed", [0, 1])
def test_what_is_drawn_is_on_its_device_and_as_described(seed):
    network = build(Settings(), FOUND)
    state = network.draw(weights_key(Settings(seed=seed)))
    again = network.draw(weights_key(Settings(seed=seed)))
    for described, drawn, same in zip(*map(jax.tree.leaves, (network.like, state, again)), strict=True):
        assert (described.shape, described.dtype) == (drawn.shape, drawn.dtype)
        assert drawn.committed
        np.testing.assert_array_equal(drawn, same)
