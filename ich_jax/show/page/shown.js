// What is shown: the page's data, the reader's choices, and the slice on the screen, unpacked.

const DATA = JSON.parse(document.getElementById("data").textContent);
const AIR_HU = DATA.air_hu;
const NAMES = { clip: "clip and stretch (paper)", linear: "DICOM LINEAR", exact: "DICOM LINEAR_EXACT" };
const N = DATA.image_size;
const ORDERS = {
  stored: "as stored",
  "window-first": `window, then resize to ${N} × ${N} (paper’s order)`,
  "resize-first": `resize to ${N} × ${N}, then window`,
};
const KEPT = 24; // slices unpacked in memory
const SOFT = [-100, 200]; // HU, the upper histogram
const SCALE = [-1100, 3100];
const NOTCH = 100; // pixels, of a mouse's wheel; browsers say 100 or 120

const $ = (id) => document.getElementById(id);
const state = { index: 0, window: [DATA.windows[0].level, DATA.windows[0].width], name: "clip", order: "stored",
  versus: "", probe: null, truth: false, saliency: 0 };
let shown = null; // the slice on the screen, unpacked
const unpacked = new Map();

const number = (value, digits = 0) => value.toFixed(digits).replace("-", "−");
const trimmed = (value) => number(value, 2).replace(/\.?0+$/, "");
const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
const between = (value, low, high) => Math.min(Math.max(value, low), high);

function element(tag, text = "", ...names) {
  const made = document.createElement(tag);
  made.textContent = text;
  made.classList.add(...names);
  return made;
}

async function unpackSlice(index) {
  const { rows, columns, encoding, saliency, blood } = DATA.slices[index];
  const patterns = await unpack($(`pixels-${index}`).textContent, rows, columns);
  const hu = toSquareOfHu(patterns, rows, columns, encoding);
  const side = Math.max(rows, columns);
  const counts = new Uint32Array(SCALE[1] - SCALE[0]);
  for (const value of hu) counts[between(Math.round(value) - SCALE[0], 0, counts.length - 1)]++;
  return {
    index, hu, side, patterns, counts,
    saliency: saliency && (await inflate($(`saliency-${index}`).textContent)),
    blood: blood && (await inflate($(`blood-${index}`).textContent)),
  };
}

function slice(index) {
  const found = unpacked.get(index) ?? unpackSlice(index);
  unpacked.delete(index);
  unpacked.set(index, found); // the last used is the last to go
  if (unpacked.size > KEPT) unpacked.delete(unpacked.keys().next().value);
  return found;
}

async function go(index) {
  state.index = between(index, 0, DATA.slices.length - 1);
  const asked = state.index;
  try {
    const found = await slice(asked);
    if (asked !== state.index) return; // the reader is elsewhere by now
    shown = found;
  } catch (error) {
    $("trouble").hidden = false;
    $("trouble").textContent = `This slice could not be unpacked (${error.message}). It needs a browser of 2023 or later.`;
    return;
  }
  later("all");
}

// Grey levels of the shown slice, and their side.
function render(window, name = state.name, order = state.order) {
  const { hu, side } = shown;
  if (order === "stored") return [applyWindow(hu, name, window), side];
  if (order === "window-first") return [resize(applyWindow(hu, name, window), side, N), N];
  shown.small ??= resize(hu, side, N);
  return [applyWindow(shown.small, name, window), N];
}
