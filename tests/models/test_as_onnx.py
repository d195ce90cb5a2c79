import jax
import numpy as np
import onnx
import onnxruntime
import pytest
from flax import nnx

from ich_jax.models import MODELS
from ich_jax.models.as_onnx import to_onnx
from ich_jax.training.config import Found, Settings
from ich_jax.training.network import build
from tests.conftest import compiled_quickly
from tests.make import make_weights

SIZE = 37  # odd sides at every stage: padding on one side alone, average pools cut off at the edge
FOUND = Found("toy", "toy", False, "abc", SIZE, {"train": 48, "validation": 24, "test": 24}, "cpu (cpu)")


@pytest.mark.parametrize("name", MODELS)
def test_it_answers_as_the_network_does_in_batches_of_any_size(name):
    network = build(Settings(model=name), FOUND)
    params, batch_stats = (network.devices.put(make_weights(tree)) for tree in network.like[1:3])
    images = np.random.default_rng(1).integers(0, 256, (3, SIZE, SIZE, 3), np.uint8)
    images[1] //= 8
    with compiled_quickly():
        logits = network.steps.evaluate(params, batch_stats, images)
    ours = np.asarray(jax.nn.softmax(logits))
    assert np.ptp(ours, axis=0).max() > 1e-3, "the images make a difference"
    written = to_onnx(nnx.merge(network.structure, params, batch_stats), SIZE, 6, {})
    session = onnxruntime.InferenceSession(written, providers=["CPUExecutionProvider"])
    for chosen in (slice(0, 3), slice(1, 2)):
        (theirs,) = session.run(["probabilities"], {"images": images[chosen]})
        np.testing.assert_allclose(theirs, ours[chosen], atol=1e-5, rtol=0)


def test_what_the_file_says_of_itself():
    described = nnx.eval_shape(lambda: MODELS["proposed"](SIZE, 6, widths=(4, 4), rngs=nnx.Rngs(0)))
    structure, state = nnx.split(described)
    model = nnx.merge(structure, make_weights(state))
    written = to_onnx(model, SIZE, 6, {"about": "for learning"})
    assert to_onnx(model, SIZE, 6, {"about": "for learning"}) == written
    found = onnx.load_from_string(written)
    assert {one.key: one.value for one in found.metadata_props} == {"about": "for learning"}
    (images,), (probabilities,) = found.graph.input, found.graph.output
    shapes = [
        [one.dim_param or one.dim_value for one in value.type.tensor_type.shape.dim]
        for value in (images, probabilities)
    ]
    assert shapes == [["batch", SIZE, SIZE, 3], ["batch", 6]]
    assert images.type.tensor_type.elem_type == onnx.TensorProto.UINT8
    assert "blocks.1.expand.kernel" in {one.name for one in found.graph.initializer}
