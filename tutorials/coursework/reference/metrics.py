"""Assignment 6: it is ich_jax.paper.metrics."""

from ich_jax.paper.metrics import (
    accuracy,
    auc,
    balanced_accuracy,
    confusion_matrix,
    f1,
    matthews_correlation,
    precision,
    recall,
    weighted,
)

__all__ = [
    "accuracy",
    "auc",
    "balanced_accuracy",
    "confusion_matrix",
    "f1",
    "matthews_correlation",
    "precision",
    "recall",
    "weighted",
]
