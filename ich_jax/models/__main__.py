"""`python -m ich_jax.models [NETWORK …]`: the parameter ledger, layer by layer (paper: Önerilen Model, Table 3)."""

import argparse

from ich_jax.models import MODELS
from ich_jax.models.derivation import WHY, derivation, weighed
from ich_jax.models.ledger import Line, ledger, xla_multiply_adds
from ich_jax.paper import printed
from ich_jax.plumbing import tables
from ich_jax.plumbing.command import run_command

BIAS_NOTE = (
    "In training, a batch norm takes the mean off its input, and with it any bias added just before: those biases get\n"
    "no gradient then. In evaluation, with fixed statistics, every parameter has one."
)


def print_ledger(name: str, image_size: int) -> tuple[Line, ...]:
    """Print one network's table; returns its lines."""
    lines = ledger(MODELS[name], image_size)
    trainable, total, cost = (sum(line[k] for line in lines) for k in (3, 4, 5))
    rows = [(line.name, line.kind, "×".join(map(str, line.shape)), *(f"{n:,}" for n in line[3:])) for line in lines]
    rows.append(("all", "", "", f"{trainable:,}", f"{total:,}", f"{cost:,}"))
    header = ("layer", "kind", "output", "trainable", "total", "multiply-adds")
    millions = printed.table_3()[name]["parameters_millions"]
    print(f"{name}, {image_size}×{image_size}\n\n{tables.text(header, rows)}\n")
    print(f"The paper prints {millions:.3f} M parameters (Table 3).")
    print(f"Multiply-adds by XLA's own count: {xla_multiply_adds(MODELS[name], image_size) / cost:.3f} times ours.\n")
    if name in WHY:
        print(f"{weighed(name)}\n")
    return lines


def main(argv: list[str] | None = None) -> dict[str, tuple[Line, ...]]:
    parser = argparse.ArgumentParser(
        prog="python -m ich_jax.models", description="What each layer of a network puts out, holds and costs."
    )
    parser.add_argument("networks", nargs="*", metavar="NETWORK", help=f"{', '.join(MODELS)} (default: all)")
    parser.add_argument("--size", type=int, default=224, help="side of the images in pixels (default: 224)")
    args = parser.parse_args(argv)
    unknown = [name for name in args.networks if name not in MODELS]
    if unknown:
        parser.error(f"no network is called {unknown[0]!r}; there are {', '.join(MODELS)}")
    if args.size < 64:
        parser.error("--size must be at least 64")
    found = {name: print_ledger(name, args.size) for name in args.networks or MODELS}
    if "proposed" in found:
        print(f"{derivation()}\n")
    print(BIAS_NOTE)
    return found


if __name__ == "__main__":
    run_command(main)
