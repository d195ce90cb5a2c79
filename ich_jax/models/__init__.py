"""The networks, one per file, and the names `--model` knows them by."""

from ich_jax.models.proposed import ProposedCNN

MODELS = {"proposed": ProposedCNN}
