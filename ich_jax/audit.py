"""`python -m ich_jax.audit`: the paper's figures, recomputed from its own confusion matrices (paper: Bulgular)."""

import argparse
from typing import TYPE_CHECKING

from ich_jax.plumbing.command import run_command

if TYPE_CHECKING:
    from ich_jax.results.audit import Audit


def main(argv: list[str] | None = None) -> "Audit":
    parser = argparse.ArgumentParser(
        prog="python -m ich_jax.audit", description="Recompute the paper's tables from its confusion matrices."
    )
    parser.add_argument("--markdown", action="store_true", help="Markdown instead of plain text")
    args = parser.parse_args(argv)

    from ich_jax.results.audit import as_markdown, as_text, audit

    result = audit()
    print((as_markdown if args.markdown else as_text)(result))
    return result


if __name__ == "__main__":
    run_command(main)
