"""Strides and padding from the parameter count, and the layouts that are weighed for two baselines."""

import jax
import numpy as np
import pytest
from flax import nnx

from ich_jax.models import densenet
from ich_jax.models.densenet import DenseNet121
from ich_jax.models.derivation import WHY, candidates, derivation, fitting, layouts, parameters, weighed
from ich_jax.models.ledger import ledger
from ich_jax.models.proposed import ProposedCNN


def leaves(model, kind) -> int:
    return sum(leaf.size for leaf in jax.tree.leaves(nnx.state(model, kind)))


def test_every_way_is_tried_and_those_that_fit_end_at_four():
    assert len(layouts()) == len(set(layouts())) == 4 * 2 * 4 * 2 * 2
    found = fitting()
    assert [one for one in layouts() if one.sides[-1] == 4] == sorted(found, key=layouts().index)
    assert {(one.conv_stride, one.pool_stride) for one in found} == {(4, 1), (2, 2), (3, 1), (1, 4), (1, 3)}
    costs = [round(one.multiply_adds / 1e9, 2) for one in found]
    assert (costs[0], costs[-1]) == (0.75, 1.77)


def test_the_default_is_the_network():
    (default,) = (one for one in fitting() if one[:5] == (2, "same", 2, "same", "same"))
    lines = ledger(ProposedCNN)
    assert default.multiply_adds == sum(line.multiply_adds for line in lines)
    assert default.sides[0] == lines[0].shape[0]
    assert parameters(default.sides[-1]) == sum(line.total for line in lines) == 5_434_246


def test_the_text_shows_all_that_fits():
    text = derivation()
    for words in ("s = 4: 5.434 M", "5,237,632", "Of 128 ways, 20 end at 4×4", "3.77", "1.59"):
        assert words in text
    assert all(" → ".join(map(str, one.sides)) in text for one in fitting())


@pytest.mark.parametrize("name", WHY)
def test_the_candidates_are_in_the_text(name):
    text = weighed(name)
    assert all(f"{one.total:,}" in text and one.assumed in text for one in candidates(name))


def test_the_candidates_counts():
    """Counted by hand: 64 channels in DenseNet's stem; 10,944 normed ones in MobileNet."""
    assert [one.total for one in candidates("densenet121")] == [7_049_542, 7_049_542, 7_049_542 + 4 * 64]
    default, scaleless, original = candidates("mobilenet")
    assert (default.trainable, scaleless.total) == (3_224_070, 3_224_070)
    assert original.total == default.total - 10_944 == scaleless.total + 10_944


def test_what_a_relu_in_densenets_stem_changes(monkeypatch):
    """No count. With fresh weights no answer in evaluation, where a ReLU follows on every path and batch norm only
    scales; but every answer in training. Shown with two layers."""
    monkeypatch.setattr(densenet, "LAYERS", (1, 1))
    models = [DenseNet121(64, stem_relu=relu, rngs=nnx.Rngs(0)) for relu in (True, False)]
    assert leaves(models[0], nnx.Param) == leaves(models[1], nnx.Param)
    images, answers = jax.random.uniform(jax.random.key(0), (2, 64, 64, 3)), {True: [], False: []}
    for model in models:
        for training in (False, True):  # training moves the statistics
            answers[training].append(np.asarray(nnx.view(model, use_running_average=not training)(images)))
    np.testing.assert_array_equal(*answers[False])
    assert np.abs(np.subtract(*answers[True])).max() > 0.01
