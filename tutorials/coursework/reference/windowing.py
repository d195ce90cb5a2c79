"""Assignment 1, as ich_jax.paper does it."""

from typing import Any

import numpy as np

from ich_jax.paper import windowing
from ich_jax.paper.windowing import apply_window, hu_to_rgb, window_limits

__all__ = ["apply_window", "hu_to_rgb", "lookup_table", "window_limits"]


def lookup_table(slope: float, intercept: float, signed: bool) -> Any:
    return windowing.lookup_table(
        lambda stored: stored.astype(np.float32) * slope + intercept,
        np.int16 if signed else np.uint16,
    )
