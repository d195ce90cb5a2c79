"""The four networks in PyTorch, channels last, with the layers and weights of ours, for the benchmarks to compare.

PyTorch is not among the requirements: `pip install torch`, for a CPU its CPU build. Without it `torch` is None here.
"""

from typing import Any

import numpy as np
from flax import nnx

from ich_jax.models.inception import MODULES

try:
    import torch
    from torch import nn
    from torch.nn import functional
    from torch.nn.functional import relu
except ImportError:
    torch = None

LAYERS = (nnx.Conv, nnx.Linear, nnx.BatchNorm, nnx.Dropout)


def torch_network(model: nnx.Module) -> "nn.Module":
    """Images (B, S, S, 3) uint8 → logits (B, classes): `model`'s twin, each layer under the same name."""

    class Network(nn.Module):
        def forward(self, images: torch.Tensor) -> torch.Tensor:
            return ANSWERS[type(model).__name__](self, images.permute(0, 3, 1, 2).float() / 255)

    return _filled_as(model, Network()).to(memory_format=torch.channels_last)


def _filled_as(model: nnx.Module, module: "nn.Module") -> "nn.Module":
    for name, child in nnx.iter_children(model):
        if isinstance(child, LAYERS):
            ours = torch_layer(child, flat=name == "dense")
        else:
            ours = _filled_as(child, nn.ModuleList() if isinstance(child, nnx.List) else nn.Module())
        module.add_module(str(name), ours)
    return module


def torch_layer(layer: Any, flat: bool) -> "nn.Module":
    """PyTorch's form of one of ours; a product over the channels is a 1×1 convolution, unless `flat`."""
    if isinstance(layer, nnx.Dropout):
        return nn.Dropout(layer.rate)
    if isinstance(layer, nnx.BatchNorm):
        norm = nn.BatchNorm2d(layer.num_features, eps=layer.epsilon, momentum=1 - layer.momentum)
        weights = {"weight": layer.scale, "bias": layer.bias, "running_mean": layer.mean, "running_var": layer.var}
        return _with(norm, weights)
    kernel = np.asarray(layer.kernel[...])
    weights = {"weight": np.moveaxis(kernel, (-1, -2), (0, 1)), "bias": layer.bias}  # H, W, in, out → out, in, H, W
    if flat:
        return _with(nn.Linear(*kernel.shape), weights)
    if isinstance(layer, nnx.Linear):
        return _with(nn.Conv2d(*kernel.shape, 1), weights)
    size, stride, groups = kernel.shape[0], layer.strides, layer.feature_group_count
    stride = stride if isinstance(stride, int) else stride[0]
    inputs, outputs = kernel.shape[2] * groups, kernel.shape[3]
    if stride == 1:
        return _with(nn.Conv2d(inputs, outputs, size, padding=size // 2, groups=groups), weights)
    strided = _with(nn.Conv2d(inputs, outputs, size, stride=stride, groups=groups), weights)
    strided.register_forward_pre_hook(lambda _, inputs: (same_padding(inputs[0], size, stride),))
    return strided


def _with(layer: "nn.Module", weights: dict) -> "nn.Module":
    theirs = layer.state_dict()
    for name, tensor in weights.items():
        theirs[name].copy_(torch.from_numpy(np.array(tensor[...]).reshape(theirs[name].shape)))
    return layer


def same_padding(x: "torch.Tensor", size: int, stride: int) -> "torch.Tensor":
    """Zeros around (B, C, H, W) as Keras's 'same' has them: where their number is odd, one more at the end."""
    total = [max((-(-side // stride) - 1) * stride + size - side, 0) for side in (x.shape[3], x.shape[2])]
    return functional.pad(x, [pad for both in total for pad in (both // 2, both - both // 2)])


def max_pool(x: "torch.Tensor") -> "torch.Tensor":
    """3×3, stride 2, 'same': of an even side the last window hangs over the end, of an odd one the first as well."""
    return functional.max_pool2d(x, 3, stride=2, padding=x.shape[2] % 2, ceil_mode=True)


def average_pool(x: "torch.Tensor") -> "torch.Tensor":
    return functional.avg_pool2d(x, 2, ceil_mode=True, count_include_pad=False)


def _proposed(net: Any, x: "torch.Tensor") -> "torch.Tensor":
    x = net.stem.norm(max_pool(relu(net.stem.conv(x))))
    for block in net.blocks:
        x = block.norm(relu(block.conv(relu(block.reduce(x)))))
        x = average_pool(relu(block.expand(x)))
    return net.dense(x.permute(0, 2, 3, 1).flatten(1))


def _densenet121(net: Any, x: "torch.Tensor") -> "torch.Tensor":
    x = max_pool(net.stem(x))
    for stage in net.stages:
        if hasattr(stage, "conv"):
            new = stage.reduce(relu(stage.norm_1(x)))
            x = torch.cat([x, stage.conv(relu(stage.norm_2(new)))], 1)
        else:
            x = average_pool(stage.reduce(relu(stage.norm(x))))
    return net.dense(x.mean((2, 3)))


def _mobilenet(net: Any, x: "torch.Tensor") -> "torch.Tensor":
    x = relu(net.norm(net.stem(x)))
    for block in net.blocks:
        x = relu(block.norm_1(block.depthwise(x)))
        x = relu(block.norm_2(block.pointwise(x)))
    return net.dense(x.mean((2, 3)))


def _inception_v1(net: Any, x: "torch.Tensor") -> "torch.Tensor":
    x = relu(net.reduce(max_pool(relu(net.stem(x)))))
    x = functional.max_pool2d(relu(net.conv(x)), 3, stride=2)
    inceptions = iter(net.inceptions)
    for module in MODULES:
        if module == "pool":
            x = max_pool(x)
            continue
        branch = next(inceptions)
        pooled = functional.max_pool2d(x, 3, stride=1, padding=1)
        three, five = branch.three(relu(branch.three_reduce(x))), branch.five(relu(branch.five_reduce(x)))
        x = relu(torch.cat([branch.one(x), three, five, branch.pool(pooled)], 1))
    return net.dense(net.dropout(x.mean((2, 3))))


ANSWERS = {"ProposedCNN": _proposed, "DenseNet121": _densenet121, "MobileNet": _mobilenet, "InceptionV1": _inception_v1}
