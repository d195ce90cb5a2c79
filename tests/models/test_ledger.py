import numpy as np
import pytest
from flax import nnx

from ich_jax.models import MODELS, __main__
from ich_jax.models.ledger import derivation, ledger, multiply_adds, xla_multiply_adds
from ich_jax.models.proposed import ProposedCNN
from tests.test_baselines import COUNTS


@pytest.mark.parametrize("name", MODELS)
def test_the_lines_add_up(name):
    lines = ledger(MODELS[name])
    assert (sum(line.trainable for line in lines), sum(line.total for line in lines)) == COUNTS[name]
    assert len({line.name for line in lines}) == len(lines)
    assert lines[-1].shape == (6,)


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("size", [224, 96])
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


def test_counting_leaves_no_trace():
    """The layers' own calls are back after the count."""
    calls = [kind.__call__ for kind in (nnx.Conv, nnx.Linear, nnx.BatchNorm)]
    ledger(ProposedCNN, 64)
    assert calls == [kind.__call__ for kind in (nnx.Conv, nnx.Linear, nnx.BatchNorm)]


def test_the_derivation_ends_at_the_printed_count():
    text = derivation()
    assert "s = 4: 5.434 M" in text
    assert "5,237,632" in text
    assert "0.88 G" in text
    assert "1.76 G" in text


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
