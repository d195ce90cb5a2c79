import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from ich_jax.models import MODELS
from ich_jax.paper.printed import CLASSES
from ich_jax.results.explainer import BLOOD, BOX, BRIGHTEST, RANDOM, TRAINED, Explainer
from ich_jax.training.config import Found, Settings
from ich_jax.training.network import build, weights_key

PATCH = slice(12, 16), slice(16, 20)


class Patch(nnx.Module):
    """Logit 3 is the red of one patch; fresh weights look at nothing. One block, as it is."""

    def __init__(self, image_size, classes, norm_momentum, *, rngs):
        self.blocks = nnx.List([Weight(image_size)])

    def __call__(self, x, *, rngs=None):
        return jnp.zeros((len(x), 6)).at[:, 3].add(self.blocks[0](x)[..., 0].mean(axis=(1, 2)))


class Weight(nnx.Module):
    def __init__(self, image_size):
        self.weight = nnx.Param(jnp.zeros((image_size, image_size, 1)))

    def __call__(self, x):
        return x * self.weight[...]


@pytest.fixture(scope="module")
def explained():
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(MODELS, "proposed", Patch)
        network = build(Settings(), Found("", "", False, "", 32, {"train": 1}, ""))
    random = network.draw(weights_key(Settings()))
    weight = np.zeros((32, 32, 1), np.float32)
    weight[PATCH] = 400
    params = nnx.State({"blocks": nnx.State({0: nnx.State({"weight": nnx.Param(weight)})})})
    nnx.replace_by_pure_dict(params, {"blocks": {0: {"weight": weight}}})
    image = np.zeros((32, 32, 3), np.uint8)
    image[4:28, 4:28] = 112, 140, 76
    image[PATCH] = 200, 160, 80
    blood = np.zeros((32, 32), bool)
    blood[PATCH] = True
    explainer = Explainer(network, {TRAINED: random._replace(params=params), RANDOM: random}, percent=100 * 16 / 24**2)
    return explainer.explain(image, blood), explainer.explain(image, None)


def test_a_network_that_looks_at_the_blood_alone_is_found_to(explained):
    answer, _ = explained
    assert answer.named == CLASSES[3]
    rows = {(row["map"], row["network"]): row for row in answer.rows}
    for name in ("gradient", "Grad-CAM"):
        row = rows[name, TRAINED]
        assert (row["mass_on_blood"], row["marked_on_blood"], row["mass_outside_head"]) == (1, 1, 0)
        assert row["elsewhere_covered"] == pytest.approx(answer.probability, abs=1e-5)
    assert rows["occlusion", TRAINED]["mass_on_blood"] == 1  # the patch is a square of four pixels itself
    assert rows[BRIGHTEST, ""]["mass_on_blood"] == 1
    assert 0 < rows[BOX, ""]["mass_on_blood"] < 0.2
    for key in (("gradient", TRAINED), (BRIGHTEST, ""), (BLOOD, "")):
        assert rows[key]["marked_covered"] < answer.probability - 0.1


def test_an_empty_map_is_told_and_has_no_numbers(explained):
    answer, _ = explained
    for row in answer.rows:
        if row["network"] == RANDOM:
            assert row["empty"]
            assert all(np.isnan(row[name]) for name in ("mass_on_blood", "rank_correlation", "marked_covered"))


def test_where_nobody_knows_of_blood_the_rest_is_the_same(explained):
    answer, blind = explained
    assert all(np.isnan(row["mass_on_blood"]) for row in blind.rows)
    assert {row["map"] for row in answer.rows} - {row["map"] for row in blind.rows} == {BLOOD}
    outside = [[row["mass_outside_head"] for row in one.rows if row["map"] == "gradient"] for one in explained]
    np.testing.assert_array_equal(*outside)
