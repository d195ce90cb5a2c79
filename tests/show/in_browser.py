"""What the tests of the viewer's page do in it, through its own fields, and read from its canvases."""

import base64
from typing import NamedTuple

import numpy as np

# Sets the fields as a reader does, waits until the canvas shows it, and returns what is on `canvas`: the three channels
# in base64, one after the other.
READ = """
async ({canvas, cases}) => {
  const set = (id, value, kind) => {
    const field = document.getElementById(id);
    if (field.value === String(value)) return;
    field.value = value;
    field.dispatchEvent(new Event(kind));
  };
  const found = [];
  for (const wanted of cases) {
    set("slice", wanted.index, "input");
    set("level", wanted.level, "input");
    set("width", wanted.width, "input");
    set("function", wanted.name, "change");
    set("order", wanted.order, "change");
    const picture = document.getElementById("picture");
    const there = () => {
      const shows = JSON.parse(picture.dataset.shows);
      return Object.keys(wanted).every((key) => shows[key] === wanted[key]);
    };
    do await new Promise(requestAnimationFrame); while (!there());
    const seen = document.querySelectorAll(canvas)[canvas === "#picture" ? 0 : 3];
    const { data } = seen.getContext("2d").getImageData(0, 0, seen.width, seen.height);
    const channels = [0, 1, 2, 3].map((channel) => {
      const bytes = new Uint8Array(data.length / 4);
      for (let k = 0; k < bytes.length; k++) bytes[k] = data[4 * k + channel];
      return bytes;
    });
    if (channels.pop().some((opacity) => opacity !== 255)) throw new Error("not opaque");
    found.push([seen.width, channels.map((bytes) => {
      let text = "";
      for (let k = 0; k < bytes.length; k += 8192) text += String.fromCharCode(...bytes.subarray(k, k + 8192));
      return btoa(text);
    })]);
  }
  return found;
}
"""


class Case(NamedTuple):
    """What the page is asked to show: slice, window, function and order of resizing."""

    index: int = 0
    level: float = 40
    width: float = 80
    name: str = "clip"
    order: str = "stored"


def pictures(page, cases: list[Case], canvas: str = "#picture") -> list[np.ndarray]:
    """Of each case what is on the canvas, (side, side, 3) uint8: "#picture", or ".panels canvas" for the stack."""
    found = page.evaluate(READ, {"canvas": canvas, "cases": [case._asdict() for case in cases]})
    return [
        np.stack([np.frombuffer(base64.b64decode(one), np.uint8).reshape(side, side) for one in channels], axis=-1)
        for side, channels in found
    ]


def until(page, condition: str) -> dict:
    """Wait until a condition on `shows`, what is on the canvas, holds, and return that. (Playwright's own waiting for
    conditions needs `eval`, which the page forbids.)"""
    return page.evaluate(
        f"""async () => {{
            const shows = () => JSON.parse(document.getElementById("picture").dataset.shows);
            const holds = (shows) => {condition};
            while (!holds(shows())) await new Promise(requestAnimationFrame);
            return shows();
        }}"""
    )
