"""Assignment 7, as ich_jax.paper.metrics and ich_jax.results.audit do it."""

from ich_jax.paper import metrics
from ich_jax.paper.metrics import any_sensitivity
from ich_jax.paper.metrics import majority_accuracy as always_none
from ich_jax.paper.printed import CLASSES
from ich_jax.results import audit

__all__ = ["always_none", "any_sensitivity", "disagreeing", "most_sensitive", "never_found", "recompute", "rows_off"]


def _values(confusion):
    values = metrics.from_confusion(confusion)
    weighted = {name: values[f"{name}_weighted"] for name in ("precision", "recall", "f1")}
    return {"accuracy": values["accuracy"]} | weighted


def recompute(confusion):
    return {name: round(value, 4) for name, value in _values(confusion).items()}


def disagreeing(printed, confusions):
    """The package counts a figure that is cut off as disagreeing; here it agrees."""
    return {
        (network, name)
        for network, figures in printed.items()
        for name, value in _values(confusions[network]).items()
        if audit.disagrees(figures[name], value) and not 0 <= value - figures[name] < 1e-4
    }


def never_found(confusions):
    return {
        (network, name)
        for network, confusion in confusions.items()
        for name, right, slices in zip(CLASSES, confusion.diagonal(), confusion.sum(axis=1), strict=True)
        if slices and not right
    }


def most_sensitive(confusions):
    return max(confusions, key=lambda network: any_sensitivity(confusions[network]))


def rows_off(confusions, counts):
    return {
        (network, name)
        for network, confusion in confusions.items()
        for name, slices in zip(CLASSES, confusion.sum(axis=1), strict=True)
        if slices != counts[name]
    }
