"""A network as an ONNX graph, for programs without JAX: the same layers with the same weights, written node by node.

A converter would have to install beside this project. The one that reads Flax NNX, jax2onnx 0.17, wants an Orbax before
0.11.37, this project one from 0.12.8 on; so each network's `__call__` is said again here, in ONNX's operators, and a
test holds the two together. ONNX has channels before rows; nothing else is arranged otherwise.
"""

import numpy as np
from flax import nnx
from onnx import TensorProto, checker, helper, numpy_helper

from ich_jax.models.densenet import DenseLayer, DenseNet121
from ich_jax.models.inception import MODULES, InceptionV1
from ich_jax.models.mobilenet import MobileNet
from ich_jax.models.proposed import ProposedCNN

OPSET, IR_VERSION = 17, 8  # of 2022, so that older runtimes read it too


def to_onnx(model: nnx.Module, image_size: int, classes: int, facts: dict[str, str]) -> bytes:
    """The network in evaluation mode, with weights, computing in float32.

    Its input is `images`, (batch, image_size, image_size, 3) uint8, scaled to 0…1 inside; its output `probabilities`,
    (batch, classes) float32. The batch's size is free.

    `facts` is text that the file carries, by name. Raises KeyError for a network that has no graph here.
    """
    graph = Graph(model)
    x = graph.add("Cast", "images", to=TensorProto.FLOAT)
    x = graph.add("Div", x, graph.weight("levels", np.float32(255)))
    x = graph.add("Transpose", x, perm=(0, 3, 1, 2))
    graph.add("Softmax", GRAPHS[type(model)](graph, model, x), axis=-1, output="probabilities")
    shape = ("batch", image_size, image_size, 3)
    whole = helper.make_graph(
        graph.nodes,
        type(model).__name__,
        [helper.make_tensor_value_info("images", TensorProto.UINT8, shape)],
        [helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, ("batch", classes))],
        [numpy_helper.from_array(values, name) for name, values in graph.weights.items()],
    )
    opsets = [helper.make_opsetid("", OPSET)]
    found = helper.make_model(whole, opset_imports=opsets, ir_version=IR_VERSION, producer_name="ich_jax")
    helper.set_model_props(found, facts)
    checker.check_model(found, full_check=True)
    return found.SerializeToString(deterministic=True)


class Graph:
    """Nodes in the order of computation. Each method adds one layer to the value `x` and returns the new value's name.
    Values of pictures are (B, C, H, W)."""

    def __init__(self, model: nnx.Module):
        self.nodes, self.weights = [], {}
        self.names = {id(module): ".".join(map(str, path)) for path, module in nnx.iter_modules(model)}

    def add(self, operator: str, *inputs: str, output: str = "", **attributes) -> str:
        output = output or f"{operator}_{len(self.nodes)}"
        self.nodes.append(helper.make_node(operator, inputs, [output], name=output, **attributes))
        return output

    def weight(self, name: str, values: np.ndarray) -> str:
        self.weights[name] = np.ascontiguousarray(values, np.float32)
        return name

    def of_layer(self, layer: nnx.Module, *names: str) -> list[str]:
        return [self.weight(f"{self.names[id(layer)]}.{name}", getattr(layer, name)[...]) for name in names]

    def conv(self, x: str, layer: nnx.Conv | nnx.Linear) -> str:
        kernel = np.asarray(layer.kernel[...])
        kernel = kernel if kernel.ndim == 4 else kernel[None, None]  # a 1×1 convolution: (inputs, outputs)
        weight = self.weight(f"{self.names[id(layer)]}.kernel", kernel.transpose(3, 2, 0, 1))
        stride, groups = getattr(layer, "strides", 1), getattr(layer, "feature_group_count", 1)
        steps = {"strides": np.broadcast_to(stride, 2).tolist(), "group": groups, "auto_pad": "SAME_UPPER"}
        return self.add("Conv", x, weight, *self.of_layer(layer, "bias"), **steps)

    def conv_relu(self, x: str, layer: nnx.Conv | nnx.Linear) -> str:
        return self.add("Relu", self.conv(x, layer))

    def norm(self, x: str, layer: nnx.BatchNorm) -> str:
        parts = self.of_layer(layer, "scale", "bias", "mean", "var")
        return self.add("BatchNormalization", x, *parts, epsilon=layer.epsilon)

    def norm_relu(self, x: str, layer: nnx.BatchNorm) -> str:
        return self.add("Relu", self.norm(x, layer))

    def max_pool_3x3(self, x: str, stride: int = 2, padding: str = "SAME_UPPER") -> str:
        return self.add("MaxPool", x, kernel_shape=(3, 3), strides=(stride, stride), auto_pad=padding)

    def average_pool_2x2(self, x: str) -> str:
        return self.add("AveragePool", x, kernel_shape=(2, 2), strides=(2, 2), auto_pad="SAME_UPPER")

    def mean(self, x: str) -> str:
        return self.add("Flatten", self.add("GlobalAveragePool", x))

    def dense(self, x: str, layer: nnx.Linear) -> str:
        return self.add("Gemm", x, *self.of_layer(layer, "kernel", "bias"))


def _proposed(graph: Graph, net: ProposedCNN, x: str) -> str:
    x = graph.norm(graph.max_pool_3x3(graph.conv_relu(x, net.stem.conv)), net.stem.norm)
    for block in net.blocks:
        x = graph.conv_relu(graph.conv_relu(x, block.reduce), block.conv)
        x = graph.average_pool_2x2(graph.conv_relu(graph.norm(x, block.norm), block.expand))
    x = graph.add("Transpose", x, perm=(0, 2, 3, 1))  # the dense layer reads channel by channel, then pixel by pixel
    return graph.dense(graph.add("Flatten", x), net.dense)


def _densenet121(graph: Graph, net: DenseNet121, x: str) -> str:
    x = graph.conv_relu(x, net.stem) if net.stem_relu else graph.conv(x, net.stem)
    x = graph.max_pool_3x3(x)
    for stage in net.stages:
        if isinstance(stage, DenseLayer):
            new = graph.conv(graph.norm_relu(x, stage.norm_1), stage.reduce)
            x = graph.add("Concat", x, graph.conv(graph.norm_relu(new, stage.norm_2), stage.conv), axis=1)
        else:
            x = graph.average_pool_2x2(graph.conv(graph.norm_relu(x, stage.norm), stage.reduce))
    return graph.dense(graph.mean(x), net.dense)


def _mobilenet(graph: Graph, net: MobileNet, x: str) -> str:
    x = graph.norm_relu(graph.conv(x, net.stem), net.norm)
    for block in net.blocks:
        x = graph.norm_relu(graph.conv(x, block.depthwise), block.norm_1)
        x = graph.norm_relu(graph.conv(x, block.pointwise), block.norm_2)
    return graph.dense(graph.mean(x), net.dense)


def _inception_v1(graph: Graph, net: InceptionV1, x: str) -> str:
    x = graph.max_pool_3x3(graph.conv_relu(x, net.stem))
    x = graph.conv_relu(graph.conv_relu(x, net.reduce), net.conv)
    x = graph.max_pool_3x3(x, padding="VALID")
    inceptions = iter(net.inceptions)
    for module in MODULES:
        if module == "pool":
            x = graph.max_pool_3x3(x)
            continue
        branches = next(inceptions)
        one = graph.conv(x, branches.one)
        three = graph.conv(graph.conv_relu(x, branches.three_reduce), branches.three)
        five = graph.conv(graph.conv_relu(x, branches.five_reduce), branches.five)
        pool = graph.conv(graph.max_pool_3x3(x, stride=1), branches.pool)
        x = graph.add("Relu", graph.add("Concat", one, three, five, pool, axis=1))
    return graph.dense(graph.mean(x), net.dense)  # dropout does nothing in evaluation


GRAPHS = {ProposedCNN: _proposed, DenseNet121: _densenet121, MobileNet: _mobilenet, InceptionV1: _inception_v1}
