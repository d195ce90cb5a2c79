"""`python -m benchmarks.narrow COMMAND …`: a command of ich_jax with a narrow network in the place of all four, which
`reproduce` trains in larger batches than the paper's.

The rehearsal is about everything around the networks. Their own speed is what `benchmarks.train_step` measures.
"""

import sys
from functools import partial
from importlib import import_module

from ich_jax.models import MODELS
from ich_jax.models.proposed import ProposedCNN
from ich_jax.plumbing.command import run_command
from ich_jax.results import reproduction

NarrowCNN = partial(ProposedCNN, widths=(4, 8, 16, 32))  # a sixteenth of the paper's
BATCH_SIZE = 256


def main() -> None:
    command, *arguments = sys.argv[1:]
    MODELS.update(dict.fromkeys(MODELS, NarrowCNN))
    reproduction.TRAININGS = tuple(training._replace(batch_size=BATCH_SIZE) for training in reproduction.TRAININGS)
    import_module(f"ich_jax.{command}").main(arguments)


if __name__ == "__main__":
    run_command(main)
