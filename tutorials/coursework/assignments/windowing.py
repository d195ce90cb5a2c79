"""Marks of assignment 1, windowing. Compared with ich_jax.paper.windowing."""

import numpy as np

from ich_jax.paper.windowing import (
    BONE,
    BRAIN,
    SUBDURAL,
    WINDOWS,
    apply_window,
    hu_to_rgb,
    lookup_table,
    window_limits,
)
from tutorials.coursework.marking import Ask, Assignment

windowing = Assignment("windowing")
LINEAR = "the window is DICOM's LINEAR and not LINEAR_EXACT"
ROUNDED_DOWN = "the grey level is cut off, not rounded"


@windowing.given("window_limits", 1, "the three windows of the paper")
def _(ask: Ask, draw: np.random.Generator) -> None:
    for window in WINDOWS:
        ask.expect(window_limits(*window), "window_limits", *window, known=_wrong_limits(*window))


@windowing.drawn("window_limits", 1, "any other window")
def _(ask: Ask, draw: np.random.Generator) -> None:
    for _ in range(3):
        window = _some_window(draw)
        ask.expect(
            window_limits(*window),
            "window_limits",
            *window,
            tolerance=1e-9,
            known=_wrong_limits(*window),
        )


@windowing.drawn("window_limits", 1, "a width that is not above 0 is an error")
def _(ask: Ask, draw: np.random.Generator) -> None:
    ask.expect_error(("ValueError",), "window_limits", 40, 0)
    ask.expect_error(("ValueError",), "window_limits", 40, -float(draw.integers(1, 100)))


@windowing.given("apply_window", 1, "the example of the sheet")
def _(ask: Ask, draw: np.random.Generator) -> None:
    hu = np.array([-50, 0, 20, 40, 80, 500])
    _expect_greys(ask, hu, *BRAIN)


@windowing.drawn("apply_window", 1, "whole HU in each of the paper's windows, rounded to nearest")
def _(ask: Ask, draw: np.random.Generator) -> None:
    for window in (BRAIN, SUBDURAL, BONE):
        hu = draw.integers(-1100, 3000, (4, 60)).astype(np.int16)
        hu[0] = draw.integers(-20, 200, 60)
        _expect_greys(ask, hu, *window)


@windowing.drawn("apply_window", 1, "HU with fractions, any window, any shape")
def _(ask: Ask, draw: np.random.Generator) -> None:
    for shape in ((50,), (3, 4, 5)):
        level, width = _some_window(draw)
        hu = (level + width * draw.uniform(-0.8, 0.8, shape)).astype(np.float32)
        _expect_greys(ask, hu, level, width)


@windowing.drawn("apply_window", 1, "the ends of the window and what lies far outside")
def _(ask: Ask, draw: np.random.Generator) -> None:
    level, width = 50, 2 * int(draw.integers(20, 300))
    low, high = window_limits(level, width)
    hu = np.array([-32768, -3024, low - 1, low, high, high + 1, 32767]).astype(np.int16)
    _expect_greys(ask, hu, level, width)


@windowing.given("hu_to_rgb", 1, "the example of the sheet")
def _(ask: Ask, draw: np.random.Generator) -> None:
    hu = np.array([-1000, 0, 40, 1200])
    _expect_colours(ask, hu, list(WINDOWS))


@windowing.drawn("hu_to_rgb", 1, "a slice that is not square, windows in another order")
def _(ask: Ask, draw: np.random.Generator) -> None:
    windows = [_some_window(draw) for _ in range(3)]
    hu = draw.integers(-1000, 2000, (5, 7)).astype(np.float32)
    _expect_colours(ask, hu, windows)


@windowing.given("lookup_table", 1, "unsigned values: HU = stored − 1024")
def _(ask: Ask, draw: np.random.Generator) -> None:
    _expect_table(ask, 1.0, -1024.0, signed=False)


@windowing.drawn("lookup_table", 2, "signed values: row 65,535 is for −1")
def _(ask: Ask, draw: np.random.Generator) -> None:
    _expect_table(ask, float(draw.choice([0.5, 1.0, 2.0])), -float(draw.integers(0, 1025)), signed=True)


def _expect_greys(ask: Ask, hu: np.ndarray, level: float, width: float) -> None:
    either, known = _other_greys(hu, level, width), _wrong_greys(hu, level, width)
    ask.expect(apply_window(hu, level, width), "apply_window", hu, level, width, either=either, known=known)


def _expect_colours(ask: Ask, hu: np.ndarray, windows: list) -> None:
    either, known = _other_colours(hu, windows), _wrong_colours(hu, windows)
    ask.expect(hu_to_rgb(hu, windows), "hu_to_rgb", hu, windows, either=either, known=known)


def _other_greys(hu: np.ndarray, level: float, width: float) -> np.ndarray:
    """The other level of a tie, or of what is one but for how a formula rounds; elsewhere the right level."""
    exact = np.clip(hu.astype(np.float64) - (level - width / 2), 0, width) * 255 / width
    right = apply_window(hu, level, width)
    below = np.floor(exact).astype(np.uint8)
    tie = np.abs(exact - np.floor(exact) - 0.5) < 1e-4
    return np.where(tie, np.where(right == below, below + 1, below), right).astype(np.uint8)


def _other_colours(hu: np.ndarray, windows: list) -> np.ndarray:
    return np.stack([_other_greys(hu, *window) for window in windows], axis=-1)


def _expect_table(ask: Ask, slope: float, intercept: float, signed: bool) -> None:
    def to_hu(dtype: type) -> np.ndarray:
        return np.arange(65536, dtype=np.uint16).view(dtype).astype(np.float32) * slope + intercept

    def table(dtype: type) -> np.ndarray:
        return lookup_table(lambda stored: stored.astype(np.float32) * slope + intercept, dtype)

    right, other = (np.int16, np.uint16) if signed else (np.uint16, np.int16)
    known = {
        f"the values are taken for {'un' if signed else ''}signed": table(other),
        "row 0 is for −32,768": np.roll(table(right), 32768, axis=0),
    }
    known |= _wrong_levels(to_hu(right), list(WINDOWS))
    either = _other_colours(to_hu(right), list(WINDOWS))
    ask.expect(table(right), "lookup_table", slope, intercept, signed, either=either, known=known)


def _some_window(draw: np.random.Generator) -> tuple[float, float]:
    return float(draw.integers(-100, 700)), float(draw.integers(30, 3000))


def _wrong_limits(level: float, width: float) -> dict:
    return {
        "the width is taken for half of it": (level - width, level + width),
        LINEAR: (level - 0.5 - (width - 1) / 2, level - 0.5 + (width - 1) / 2),
        "level and width are mixed up": (width - level / 2, width + level / 2),
    }


def _wrong_greys(hu: np.ndarray, level: float, width: float) -> dict:
    low = level - width / 2
    share = (np.clip(hu.astype(np.float64), low, low + width) - low) / width
    linear = np.clip((hu.astype(np.float64) - (level - 0.5)) / (width - 1) + 0.5, 0, 1)
    unclipped = np.round((hu.astype(np.float64) - low) * 255 / width)
    return {
        ROUNDED_DOWN: (share * 255).astype(np.uint8),
        LINEAR: np.round(linear * 255).astype(np.uint8),
        "white is 256": np.minimum(np.round(share * 256), 255).astype(np.uint8),
        "nothing is clipped, so that what is outside wraps around": unclipped.astype(np.int64).astype(np.uint8),
    }


def _wrong_colours(hu: np.ndarray, windows: list) -> dict:
    right = hu_to_rgb(hu, windows)
    return {
        "the channels come first": np.moveaxis(right, -1, 0),
        "red and blue are exchanged": right[..., ::-1],
    } | _wrong_levels(hu, windows)


def _wrong_levels(hu: np.ndarray, windows: list) -> dict:
    """The mistakes of apply_window, in all channels."""
    channels = [_wrong_greys(hu, *window) for window in windows]
    return {words: np.stack([channel[words] for channel in channels], axis=-1) for words in (ROUNDED_DOWN, LINEAR)}
