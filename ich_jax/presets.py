"""The settings of a training: the paper's, those for a phantom, and what tells them apart."""

from ich_jax import paper
from ich_jax.data.preprocess import IMAGE_SIZE
from ich_jax.run import Config

SETTINGS = [
    "model",
    "batch_size",
    "learning_rate",
    "beta1",
    "decay",
    "epochs",
    "patience",
    "stopping",
    "split",
    "seed",
    "limit",
    "norm_momentum",
]
# The paper's settings are made for 360,000 training slices. Its small steps learn 1,500 synthetic ones by heart: larger
# ones, and more of them, carry over to other patients better, but leave the weights restless to the end (the validation
# loss jumps from epoch to epoch), so they shrink again. Only whole patients kept apart show whether anything was
# learned but faces.
PRESETS = {
    "paper": {
        "batch_size": paper.BATCH_SIZE,
        "learning_rate": paper.LEARNING_RATE,
        "decay": "none",
        "epochs": paper.EPOCHS,
        "patience": paper.PATIENCE,
        "split": "image",
    },
    "phantom": {
        "batch_size": 8,
        "learning_rate": 3e-4,
        "decay": "cosine",
        "epochs": 10,
        "patience": 10,
        "split": "patient",
    },
}


def unlike_the_paper(config: Config) -> list[str]:
    """Each setting that is not the paper's, with the paper's in brackets."""
    usual = Config(config.data, image_size=IMAGE_SIZE)
    names = [name for name in (*SETTINGS, "image_size") if name not in ("seed", "stopping", "model", "limit")]
    changed = [name for name in names if getattr(config, name) != getattr(usual, name)]
    said = [f"{name.replace('_', ' ')} {getattr(config, name)} ({getattr(usual, name)})" for name in changed]
    if config.limit:
        said.insert(0, f"at most {config.limit:,} slices (all)")
    return [*(["synthetic data (RSNA 2019)"] if config.phantom else []), *said]
