"""Strides and padding of the proposed network: every way that ends at the printed parameter count (paper: Önerilen
Model, Tables 3 and 4).

The paper prints kernels and widths but neither strides nor padding. They do not touch the parameters of convolutions
and batch norms; but the dense layer reads the last feature map, so its size shows in the count.
"""

from itertools import product
from typing import NamedTuple

from ich_jax.models import MODELS
from ich_jax.models.ledger import ledger
from ich_jax.models.proposed import WIDTHS, ProposedCNN
from ich_jax.paper import printed
from ich_jax.plumbing import tables

STRIDES, PADDINGS = (1, 2, 3, 4), ("same", "valid")  # 'valid': none
CHANNELS = 4 * WIDTHS[-1]  # of the last feature map


class Layout(NamedTuple):
    """One way to shrink the picture. Assumed in all: 3×3 convolutions padded 'same', average pools with stride 2."""

    conv_stride: int
    conv_padding: str
    pool_stride: int  # of the max-pool
    pool_padding: str
    average_padding: str
    sides: tuple[int, ...]  # of the feature maps, in pixels: after the first convolution, the max-pool, each block
    multiply_adds: int  # for one image


def parameters(side: int) -> int:
    """Of the whole network, if its last feature map is side × side pixels.

    >>> parameters(4)
    5434246
    """
    return _body() + side**2 * CHANNELS * 6 + 6


def _body() -> int:
    """The parameters of all but the dense layer, which alone depend on no size."""
    return sum(line.total for line in ledger(ProposedCNN)[:-1])


def layouts() -> list[Layout]:
    """Every combination of STRIDES and PADDINGS in the first convolution and the max-pool, and of PADDINGS in the
    average pools."""
    tried = []
    for conv_stride, conv, pool_stride, pool, average in product(STRIDES, PADDINGS, STRIDES, PADDINGS, PADDINGS):
        sides = [shrunk(printed.IMAGE_SIZE, 7, conv_stride, conv)]
        sides.append(shrunk(sides[-1], 3, pool_stride, pool))
        for _ in WIDTHS:
            sides.append(shrunk(sides[-1], 2, 2, average))
        tried.append(Layout(conv_stride, conv, pool_stride, pool, average, tuple(sides), _multiply_adds(sides)))
    return tried


def shrunk(side: int, window: int, stride: int, padding: str) -> int:
    """What a window of `window` pixels makes of a picture of `side` pixels.

    >>> shrunk(112, 3, 2, "same"), shrunk(112, 3, 2, "valid")
    (56, 55)
    """
    return -(-side // stride) if padding == "same" else (side - window) // stride + 1


def fitting() -> list[Layout]:
    """Those with the printed parameter count (cut off after three decimals of a million), cheapest first."""
    thousands = round(printed.table_3()["proposed"]["parameters_millions"] * 1000)
    ends = {side for side in {one.sides[-1] for one in layouts()} if parameters(side) // 1000 == thousands}
    return sorted((one for one in layouts() if one.sides[-1] in ends), key=lambda one: one.multiply_adds)


def _multiply_adds(sides: list[int]) -> int:
    """Each value of a kernel is used once at each place of the output."""
    total, channels = sides[0] ** 2 * 7 * 7 * 3 * 64, 64
    for side, width in zip(sides[1:-1], WIDTHS, strict=True):
        total += side**2 * (channels * width + 9 * width**2 + width * 4 * width)
        channels = 4 * width
    return total + sides[-1] ** 2 * channels * 6


def derivation() -> str:
    """The count, the table of all that fits, and what speaks for the default."""
    count = printed.table_3()["proposed"]["parameters_millions"]
    sides = "; ".join(f"s = {s}: {parameters(s) / 1e6:.3f} M" for s in (3, 4, 5))
    minutes = printed.table_4()
    work = {name: sum(line.multiply_adds for line in ledger(MODELS[name])) for name in printed.NETWORKS[1:]}
    ours = sum(line.multiply_adds for line in ledger(ProposedCNN))
    found = fitting()
    rows = [
        (
            "default" if one.multiply_adds == ours else "",
            f"{one.conv_stride} {one.conv_padding}",
            f"{one.pool_stride} {one.pool_padding}",
            one.average_padding,
            " → ".join(map(str, one.sides)),
            f"{one.multiply_adds / 1e9:.2f}",
            *(f"{cost / one.multiply_adds:.2f}" for cost in work.values()),
        )
        for one in found
    ]
    names = [printed.NETWORK_NAMES[name] for name in work]
    rows.append(("minutes", *[""] * 5, *(f"{minutes[name] / minutes['proposed']:.2f}" for name in work)))
    header = ("", "conv", "max-pool", "average", f"sides, from {printed.IMAGE_SIZE}", "G", *(f"{n} ×" for n in names))
    below = sum(one.multiply_adds < 1e9 for one in found)
    return f"""Strides and padding of the proposed network, from its parameter count

The paper prints kernels and widths but neither strides nor padding. They do not touch the parameters of the
convolutions and batch norms, {_body():,} together; but the dense layer reads the last feature map, {CHANNELS} channels
of side s, and has 6·{CHANNELS}·s² + 6 parameters. In all:

  {sides}

The paper prints {count:.3f} M (cut off after three decimals), so s = 4. Tried: strides 1 to 4 and padding 'same' or
'valid' (none) in the first convolution and in the max-pool, either padding in the average pools; the 3×3 convolutions
padded 'same'. Of {len(layouts())} ways, {len(found)} end at 4×4. G: billion multiply-adds for an image. The last
columns: how many times as many another network takes, and in the last line, how many times as many minutes (Table 4).

{tables.text(header, rows)}

If time follows work, DenseNet121's ratio fits the cheapest way best; Inception v1's lies between the {below} ways
below 1 G and the others; MobileNet's fits none (its grouped convolutions take longer than their work). That speaks for
one of the {below}, with strides 4 and 1 or 2 and 2; which of them, and padded how, stays undecided. The default is 2
and 2, 'same' everywhere: the stem of ResNet, the commonest of its time, and one padding for all layers."""


class Candidate(NamedTuple):
    """A layout that could be behind a printed count."""

    assumed: str
    trainable: int
    total: int
    speaks_for_it: str


def candidates(name: str) -> list[Candidate]:
    """For a baseline of WHY, whose layout the printed count leaves open: what could be assumed, and what that counts.

    The first is the default. The paper names no source, so all of it is inference.
    """
    lines = ledger(MODELS[name])
    trainable, total = sum(line.trainable for line in lines), sum(line.total for line in lines)
    normed = sum(line.shape[-1] for line in lines if line.kind == "batch norm")  # channels
    if name == "densenet121":
        stem = lines[0].shape[-1]
        return [
            Candidate("stem: convolution alone", trainable, total, "the layout of a public Keras notebook"),
            Candidate("stem: convolution, ReLU", trainable, total, "Huang et al. have a ReLU; stem_relu=True"),
            Candidate("stem: convolution, batch norm, ReLU", trainable + 2 * stem, total + 4 * stem, "Huang et al."),
        ]
    biases = sum(line.shape[-1] for line in lines if line.kind != "batch norm") - lines[-1].shape[-1]
    with_scale, without = "convolutions without biases", "convolutions without biases, batch norms without scale"
    return [
        Candidate("biases on all convolutions", trainable, total, "the layout of a public Keras notebook"),
        Candidate(without, trainable - biases - normed, total - biases - normed, "the total is what is printed"),
        Candidate(with_scale, trainable - biases, total - biases, "Howard et al.; neither number is printed"),
    ]


WHY = {
    "densenet121": """All three print 7.049. The first is the default: the public notebooks of
Machine-Learning-Tokyo/CNN-Architectures have exactly this layout, and their MobileNet and GoogLeNet fit the paper's
other rows. A ReLU in the stem changes no count and, while weights are fresh, no answer in evaluation: a ReLU follows
on every path, and a fresh batch norm only scales. In training it changes the answers.""",
    "mobilenet": """Two of them print 3.224: the first if Table 3 gives trainable parameters here and totals elsewhere,
the second as the total. The first is the default: the public notebooks that have DenseNet121's count have this
layout.""",
}


def weighed(name: str) -> str:
    """The candidates as a table, and why the first is the default."""
    rows = [(one.assumed, f"{one.trainable:,}", f"{one.total:,}", one.speaks_for_it) for one in candidates(name)]
    return f"{tables.text(('assumed', 'trainable', 'total', 'what speaks for it'), rows)}\n\n{WHY[name]}"
