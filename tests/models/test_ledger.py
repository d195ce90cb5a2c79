import numpy as np
import pytest
from flax import nnx

from ich_jax.models import MODELS, __main__
from ich_jax.models.ledger import ledger, multiply_adds, xla_multiply_adds
from tests.models.test_baselines import COUNTS


@pytest.mark.parametrize("name", MODELS)
def test_the_lines_add_up(name):
    lines = ledger(MODELS[name])
    assert (sum(line.trainable for line in lines), sum(line.total for line in lines)) == COUNTS[name]
    assert len({line.name for line in lines}) == len(lines)
    assert lines[-1].shape == (6,)


@pytest.mark.parametrize(("name", "size"), [("proposed", 96), *((name, 224) for name in MODELS)])
def test_xla_counts_about_as_many_multiply_adds(name, size):
    """XLA leaves out what meets the padding and adds activations; at 96 pixels there is more padding in the whole."""
    ours = sum(line.multiply_adds for line in ledger(MODELS[name], size))
    assert xla_multiply_adds(MODELS[name], size) / ours == pytest.approx(1, abs=0.05 if size == 224 else 0.12)


def test_multiply_adds_by_hand():
    rngs = nnx.Rngs(0)
    assert multiply_adds(nnx.Conv(3, 5, (2, 2), rngs=rngs), (4, 6, 5)) == 4 * 6 * 5 * (2 * 2 * 3)
    assert multiply_adds(nnx.Conv(8, 8, (3, 3), feature_group_count=8, rngs=rngs), (4, 4, 8)) == 4 * 4 * 8 * 9
    assert multiply_adds(nnx.Linear(7, 3, rngs=rngs), (3,)) == 21
    assert multiply_adds(nnx.BatchNorm(7, rngs=rngs), (3, 3, 7)) == 0


def test_the_lines_are_in_the_order_in_which_an_image_meets_them():
    """Each layer's input is what the one before it puts out, but for Inception's branches."""
    for name in ("proposed", "mobilenet"):
        lines = [line for line in ledger(MODELS[name]) if line.kind != "batch norm"]
        sides = [line.shape[0] for line in lines[:-1]]
        assert sides == sorted(sides, reverse=True)
    names = [line.name for line in ledger(MODELS["proposed"])]
    assert names[:6] == [
        "stem.conv",
        "stem.norm",
        "blocks.0.reduce",
        "blocks.0.conv",
        "blocks.0.norm",
        "blocks.0.expand",
    ]
    assert names[-1] == "dense"


def test_the_command(capsys):
    found = __main__.main(["mobilenet", "--size", "64"])
    out = capsys.readouterr().out
    assert list(found) == ["mobilenet"]
    assert "3,245,958" in out
    assert "The paper prints 3.224 M" in out
    with pytest.raises(SystemExit) as stop:
        __main__.main(["resnet"])
    assert stop.value.code == 2
    assert np.prod(found["mobilenet"][0].shape) == 32 * 32 * 32
