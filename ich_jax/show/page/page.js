// The page: what is shown, what the reader does, and what is drawn then.

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

// ---- slices

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

// ---- drawing

function put(canvas, side, red, green = red, blue = red) {
  canvas.width = canvas.height = side;
  canvas.classList.toggle("coarse", state.order !== "stored");
  const image = new ImageData(side, side);
  const bytes = image.data;
  for (let k = 0; k < red.length; k++) {
    bytes[4 * k] = red[k];
    bytes[4 * k + 1] = green[k];
    bytes[4 * k + 2] = blue[k];
    bytes[4 * k + 3] = 255;
  }
  canvas.getContext("2d", { willReadFrequently: true }).putImageData(image, 0, 0); // kept in plain memory
}

// A canvas as sharp as the screen, in units of CSS pixels.
function sharp(canvas) {
  const { clientWidth: width, clientHeight: height } = canvas;
  const scale = globalThis.devicePixelRatio || 1;
  canvas.width = Math.round(width * scale);
  canvas.height = Math.round(height * scale);
  const pen = canvas.getContext("2d");
  pen.scale(scale, scale);
  return [pen, width, height];
}

function drawPicture() {
  const [grey, side] = render(state.window);
  put($("picture"), side, grey);
  state.grey = grey;
  drawOverlay();
  drawHistogram();
  drawDifference();
  tell();
  const { window, name, order } = state; // for whoever wants to know what is on the canvas
  const { index } = shown; // not state.index, where the reader wants to go and may not be yet
  $("picture").dataset.shows = JSON.stringify({ index, level: window[0], width: window[1], name, order });
}

function drawPanels() {
  const images = DATA.windows.slice(0, 3).map(({ level, width }) => render([level, width]));
  const side = images[0][1];
  const canvases = $("panels").querySelectorAll("canvas");
  images.forEach(([grey], k) => put(canvases[k], side, grey));
  put(canvases[3], side, ...images.map(([grey]) => grey));
}

function drawOverlay() {
  const [pen, width] = sharp($("overlay"));
  if (shown.saliency && state.saliency) {
    const size = DATA.network.image_size;
    const map = document.createElement("canvas");
    map.width = map.height = size;
    const image = new ImageData(size, size);
    shown.saliency.forEach((value, k) => image.data.set([255, 140, 0, (value * state.saliency) / 100], 4 * k));
    map.getContext("2d").putImageData(image, 0, 0);
    pen.drawImage(map, 0, 0, width, width);
  }
  const pixel = width / shown.side;
  if (shown.blood && state.truth) {
    pen.strokeStyle = "#7fd1ff";
    pen.lineWidth = 1.5;
    pen.beginPath();
    outline(shown.blood, shown.side, (...ends) => {
      const [a, b, c, d] = ends.map((end) => end * pixel);
      pen.moveTo(a, b);
      pen.lineTo(c, d);
    });
    pen.stroke();
  }
  if (state.probe) {
    const [x, y] = state.probe.map((place) => (place + 0.5) * pixel);
    pen.strokeStyle = "#ffd34d";
    pen.lineWidth = 1;
    pen.beginPath();
    for (const [a, b] of [[-12, 0], [12, 0], [0, -12], [0, 12]]) {
      pen.moveTo(x + a / 3, y + b / 3);
      pen.lineTo(x + a, y + b);
    }
    pen.stroke();
  }
}

// Calls line(x0, y0, x1, y1) for each edge between a pixel of the mask and one outside it.
function outline(mask, side, line) {
  for (let y = 0; y < side; y++) {
    for (let x = 0; x < side; x++) {
      const k = y * side + x;
      if (x && mask[k] !== mask[k - 1]) line(x, y, x, y + 1);
      if (y && mask[k] !== mask[k - side]) line(x, y, x + 1, y);
    }
  }
}

function drawHistogram() {
  const [pen, width, height] = sharp($("histogram"));
  const middle = Math.round(height * 0.56);
  plot(pen, [0, 4, width, middle - 24], SOFT, (count) => count, 50);
  plot(pen, [0, middle + 4, width, height - 20], SCALE, (count) => Math.log1p(count), 500);
}

function plot(pen, [left, top, right, bottom], [low, high], rise, step) {
  const x = (hu) => left + ((hu - low) / (high - low)) * (right - left);
  const [black, white] = [state.window[0] - state.window[1] / 2, state.window[0] + state.window[1] / 2];
  const columns = Math.min(high - low, Math.floor(right - left));
  const bars = new Float64Array(columns);
  for (let hu = low; hu < high; hu++) bars[Math.floor(((hu - low) * columns) / (high - low))] += shown.counts[hu - SCALE[0]];
  bars.forEach((count, k) => { bars[k] = rise(count); });
  const most = Math.max(1, ...bars);
  pen.save();
  pen.fillStyle = colour("bar");
  const wide = (right - left) / columns;
  bars.forEach((tall, k) => {
    const reach = (tall / most) * (bottom - top);
    pen.fillRect(left + k * wide, bottom - reach, Math.max(wide - (wide > 3 ? 1 : 0), 0.7), reach);
  });
  pen.beginPath();
  pen.rect(left, top - 3, right - left, bottom - top + 6);
  pen.clip();
  pen.fillStyle = pen.strokeStyle = colour("accent");
  pen.globalAlpha = 0.12;
  pen.fillRect(x(black), top, x(white) - x(black), bottom - top);
  pen.globalAlpha = 1;
  pen.lineWidth = 2;
  pen.beginPath();
  for (const [hu, y] of [[Math.min(low, black), bottom], [black, bottom], [white, top], [Math.max(high, white), top]]) pen.lineTo(x(hu), y);
  pen.stroke();
  pen.restore();
  pen.fillStyle = colour("soft");
  pen.font = "12px system-ui, sans-serif";
  pen.fillRect(left, bottom, right - left, 1);
  const every = step * Math.ceil(45 / Math.abs(x(step) - x(0)));
  for (let hu = Math.ceil(low / every) * every; hu <= high; hu += every) {
    const text = number(hu) + (hu === 0 ? " HU" : "");
    const half = pen.measureText(text).width / 2;
    pen.fillRect(x(hu), bottom, 1, 4);
    pen.fillText(text, between(x(hu), left + half, right - half) - half, bottom + 16);
  }
}

function drawDifference() {
  const other = state.versus;
  $("difference").hidden = !other;
  if (!other) {
    $("difference-text").textContent = "";
    return;
  }
  const [name, order] = other in NAMES ? [other, state.order] : [state.name, other];
  const [grey, side] = render(state.window);
  const [against] = render(state.window, name, order);
  const steps = Int16Array.from(grey, (value, k) => value - against[k]);
  const sizes = steps.map(Math.abs);
  const most = sizes.reduce((a, b) => Math.max(a, b), 0);
  const changed = sizes.reduce((sum, size) => sum + (size > 0), 0);
  const mean = sizes.reduce((sum, size) => sum + size, 0) / sizes.length;
  const channels = [0, 1, 2].map(() => new Uint8Array(steps.length));
  steps.forEach((step, k) => { // black where equal; the brighter, the nearer to the largest
    const strength = step && 0.2 + (0.8 * Math.abs(step)) / most;
    const full = step > 0 ? [255, 160, 60] : [90, 175, 255];
    full.forEach((end, channel) => { channels[channel][k] = strength * end; });
  });
  put($("difference"), side, ...channels);
  const here = other in NAMES ? NAMES : ORDERS;
  const own = other in NAMES ? state.name : state.order;
  $("difference-text").textContent = other === own ? "That is the same; choose another." :
    `“${here[own]}” minus “${here[other]}”: at most ${most} grey level${most === 1 ? "" : "s"}, ${mean.toFixed(2)} on average; ` +
    `${((100 * changed) / sizes.length).toFixed(1)} % of the pixels differ. Orange: the first is brighter; blue: darker.`;
}

function drawStrip() {
  if (!DATA.network) return;
  const [pen, width, height] = sharp($("strip"));
  const { left, wide } = stripScale(width);
  const tall = (height - 4) / DATA.classes.length;
  pen.font = "12px system-ui, sans-serif";
  pen.textBaseline = "middle";
  DATA.classes.forEach((name, row) => {
    const top = 2 + row * tall;
    pen.fillStyle = colour("ink");
    pen.fillText(name, 0, top + tall / 2);
    DATA.slices.forEach(({ probabilities, truth }, k) => {
      const x = left + k * wide;
      pen.globalAlpha = 0.06 + 0.94 * probabilities[row];
      pen.fillStyle = colour("accent");
      pen.fillRect(x, top, Math.max(wide - (wide > 4 ? 1 : 0), 0.7), tall - 1);
      pen.globalAlpha = 1;
      if (state.truth && truth && truth.types.includes(name)) {
        pen.fillStyle = colour("mark");
        pen.fillRect(x, top + tall - 4, Math.max(wide - 1, 1), 3);
      }
    });
  });
  pen.fillStyle = colour("soft");
  pen.globalAlpha = 0.4;
  DATA.slices.forEach(({ number: place }, k) => {
    if (place === 1 && k) pen.fillRect(left + k * wide - 1, 0, 1, height); // another series begins
  });
  pen.globalAlpha = 1;
  pen.strokeStyle = colour("ink");
  pen.lineWidth = 2;
  pen.strokeRect(left + shown.index * wide - 0.5, 1, Math.max(wide, 3), height - 2);
}

function stripScale(width) {
  const left = 112;
  return { left, wide: Math.min((width - left - 3) / DATA.slices.length, 36) };
}

// ---- words

function tell() {
  const { series, number: place, of, mm, phantom } = DATA.slices[shown.index];
  const [level, width] = state.window;
  const whole = DATA.slices.at(-1).series;
  const words = [`Slice ${place} of ${of}`];
  if (whole > 1) words[0] += ` in series ${series} of ${whole}`;
  if (mm !== null) words.push(`${number(mm, 1)} mm from the first`);
  if (DATA.mixed) words.push(phantom ? "PHANTOM" : "real");
  words.push(`black up to ${trimmed(level - width / 2)} HU, white from ${trimmed(level + width / 2)} HU`);
  $("status").textContent = `${words.join(", ")}.`;
  $("where").textContent = `${state.index + 1} of ${DATA.slices.length}`;
  $("slice").value = state.index;
  for (const [name, value] of [["level", level], ["width", width]]) {
    if (document.activeElement !== $(name)) $(name).value = value;
    $(name).removeAttribute("aria-invalid");
  }
  $("level-slider").value = level;
  $("width-slider").value = 10 * Math.log2(Math.max(width, 1));
  $("width-slider").setAttribute("aria-valuetext", `${width} HU`);
  for (const [k, button] of [...$("presets").children].entries()) {
    const preset = DATA.windows[k];
    button.setAttribute("aria-pressed", preset.level === level && preset.width === width);
  }
  tellProbe();
}

function tellProbe() {
  if (!state.probe) return;
  const [x, y] = state.probe;
  const { rows, columns, encoding } = DATA.slices[shown.index];
  const [row, column] = [y - ((shown.side - rows) >> 1), x - ((shown.side - columns) >> 1)];
  const hu = `${trimmed(shown.hu[y * shown.side + x])} HU`;
  const scale = Math.sqrt(state.grey.length) / shown.side;
  const grey = state.grey[Math.floor((y + 0.5) * scale) * shown.side * scale + Math.floor((x + 0.5) * scale)];
  const inside = row >= 0 && row < rows && column >= 0 && column < columns;
  const pattern = shown.patterns[row * columns + column];
  const stored = encoding.signed ? (pattern << 16) >> 16 : pattern;
  $("probe").textContent = inside
    ? `${hu}${DATA.resampled ? "" : ` (stored ${number(stored)})`}, grey level ${grey}, at row ${row}, column ${column}`
    : `${hu}, grey level ${grey}, beside the slice, which is not square`;
}

function tellTruth() {
  const { truth } = DATA.slices[shown.index];
  $("truth").hidden = !DATA.slices.some((one) => one.truth);
  const areas = truth ? Object.entries(truth.mm2).map(([kind, area]) => `${kind}, ${number(area)} mm²`) : [];
  const known = truth ? areas.join("; ") || "no hemorrhage" : "not known for this slice";
  $("truth-text").textContent = state.truth ? `${known}${shown.blood ? " (outlined)" : ""}` : "";
  $("strip-truth").hidden = !state.truth;
}

function tellAnswers() {
  if (!DATA.network) return;
  const { probabilities, truth } = DATA.slices[shown.index];
  const most = Math.max(...probabilities);
  $("bars").replaceChildren(...DATA.classes.flatMap((name, k) => {
    const label = element("span", name);
    const bar = element("span", "", "bar");
    const inner = element("i");
    inner.style.width = `${100 * probabilities[k]}%`;
    bar.append(inner);
    label.classList.toggle("named", probabilities[k] === most);
    const here = truth && (truth.types.length ? truth.types.includes(name) : k === 0);
    label.classList.toggle("true", Boolean(state.truth && here));
    return [label, bar, element("span", probabilities[k].toFixed(3), "number")];
  }));
}

// ---- what the reader does

const due = new Set();
function later(what) {
  if (!due.size) requestAnimationFrame(draw);
  due.add(what);
}

function draw() {
  const all = due.has("all");
  due.clear();
  if (!shown) return;
  if (all) {
    drawPanels();
    tellTruth();
    tellAnswers();
    drawStrip();
  }
  drawPicture();
}

function setWindow(level, width) {
  if (!Number.isFinite(level) || !Number.isFinite(width) || width <= 0) return false;
  state.window = [level, width];
  later("window");
  return true;
}

const usePreset = (k) => DATA.windows[k] && setWindow(DATA.windows[k].level, DATA.windows[k].width);

function placeOf(event) {
  const box = $("picture").getBoundingClientRect();
  return [event.clientX - box.left, event.clientY - box.top].map((distance) =>
    between(Math.floor((distance / box.width) * shown.side), 0, shown.side - 1));
}

function listenToPointer() {
  const picture = $("picture");
  let start = null;
  picture.addEventListener("pointerdown", (event) => {
    if (event.button) return;
    picture.setPointerCapture(event.pointerId);
    start = { x: event.clientX, y: event.clientY, window: state.window };
  });
  picture.addEventListener("pointermove", (event) => {
    if (!shown) return;
    if (start) {
      const [level, width] = start.window;
      const wider = width * Math.exp((event.clientX - start.x) / 200);
      const higher = level + ((start.y - event.clientY) * Math.max(width, 20)) / 200;
      if (event.clientX !== start.x || event.clientY !== start.y) setWindow(between(Math.round(higher), ...SCALE), between(Math.round(wider), 1, 8192));
    } else {
      state.probe = placeOf(event);
      drawOverlay();
      tellProbe();
    }
  });
  for (const kind of ["pointerup", "pointercancel"]) {
    picture.addEventListener(kind, (event) => {
      if (start && shown && event.clientX === start.x && event.clientY === start.y) {
        state.probe = placeOf(event);
        later("window");
      }
      start = null;
    });
  }
  let rolled = 0;
  $("stage").addEventListener("wheel", (event) => {
    if (event.ctrlKey) return; // that zooms the page
    event.preventDefault();
    rolled += event.deltaMode ? Math.sign(event.deltaY) * NOTCH : event.deltaY;
    const steps = Math.trunc(rolled / NOTCH);
    rolled -= steps * NOTCH;
    if (steps) go(state.index + steps);
  }, { passive: false });
  $("strip").addEventListener("click", (event) => {
    const { left, wide } = stripScale($("strip").clientWidth);
    go(Math.floor((event.offsetX - left) / wide));
  });
}

function listenToKeys() {
  $("picture").addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.altKey || event.metaKey || !shown) return;
    const [level, width] = state.window;
    const step = Math.max(1, Math.round(width / 40));
    const wide = (factor) => setWindow(level, Math.max(1, Math.round(width + factor * step * 2)));
    const probe = (x, y) => {
      const start = state.probe ?? [shown.side >> 1, shown.side >> 1];
      state.probe = [start[0] + x, start[1] + y].map((place) => between(place, 0, shown.side - 1));
      later("window");
    };
    const does = {
      ArrowUp: () => go(state.index - 1), ArrowDown: () => go(state.index + 1),
      PageUp: () => go(state.index - 5), PageDown: () => go(state.index + 5),
      Home: () => go(0), End: () => go(DATA.slices.length - 1),
      ArrowLeft: () => (event.shiftKey ? wide(-1) : setWindow(level - step, width)),
      ArrowRight: () => (event.shiftKey ? wide(1) : setWindow(level + step, width)),
      i: () => probe(0, -1), k: () => probe(0, 1), j: () => probe(-1, 0), l: () => probe(1, 0),
      ...Object.fromEntries(DATA.windows.map((_, k) => [String(k + 1), () => usePreset(k)])),
    }[event.key];
    if (!does) return;
    event.preventDefault();
    does();
  });
}

function listenToFields() {
  $("slice").max = DATA.slices.length - 1;
  $("slice").addEventListener("input", () => go(Number($("slice").value)));
  for (const name of ["level", "width"]) {
    $(name).addEventListener("input", () => {
      const [level, width] = state.window;
      const value = $(name).value.trim() === "" ? NaN : Number($(name).value);
      const taken = name === "level" ? setWindow(value, width) : setWindow(level, value);
      $(name).setAttribute("aria-invalid", !taken);
    });
    $(name).addEventListener("change", () => {
      $(name).value = state.window[name === "level" ? 0 : 1];
      $(name).removeAttribute("aria-invalid");
    });
  }
  $("level-slider").addEventListener("input", () => setWindow(Number($("level-slider").value), state.window[1]));
  $("width-slider").addEventListener("input", () =>
    setWindow(state.window[0], Math.round(2 ** (Number($("width-slider").value) / 10))));
  $("saliency").addEventListener("input", () => {
    state.saliency = Number($("saliency").value);
    $("saliency-text").textContent = state.saliency ? `${state.saliency} %` : "hidden";
    later("window");
  });
  $("show-truth").addEventListener("change", () => {
    state.truth = $("show-truth").checked;
    later("all");
  });
  const choose = (id, options, key) => {
    $(id).replaceChildren(...Object.entries(options).map(([value, text]) => new Option(text, value)));
    $(id).addEventListener("change", () => {
      state[key] = $(id).value;
      later("all");
    });
  };
  choose("function", NAMES, "name");
  choose("order", ORDERS, "order");
  const { stored, ...resized } = ORDERS;
  choose("versus", { "": "(nothing)", ...NAMES, ...resized }, "versus");
  $("versus").addEventListener("change", () => {
    if (!(state.versus in resized) || state.order !== "stored") return;
    state.order = Object.keys(resized).find((order) => order !== state.versus); // only of one size can two be compared
    $("order").value = state.order;
  });
  $("order").addEventListener("change", () => {
    if (state.order !== "stored" || !(state.versus in resized)) return;
    state.versus = $("versus").value = "";
  });
}

function build() {
  DATA.windows.forEach(({ name, level, width }, k) => {
    const button = element("button", name);
    button.type = "button";
    button.title = `level ${level}, width ${width} HU`;
    button.addEventListener("click", () => usePreset(k));
    $("presets").append(button);
  });
  const colours = ["red", "green", "blue"];
  for (let k = 0; k < 4; k++) {
    const figure = element("figure");
    const canvas = element("canvas");
    const caption = element("figcaption");
    canvas.setAttribute("role", "img");
    if (k < 3) {
      const { name, level, width } = DATA.windows[k];
      const button = element("button");
      button.type = "button";
      button.title = "show it large";
      button.setAttribute("aria-label", `Use the ${name} window`);
      button.addEventListener("click", () => usePreset(k));
      button.append(canvas);
      caption.append(element("b", name), ` → ${colours[k]}`, element("br"), `${level} / ${width} HU`);
      figure.append(button, caption);
    } else {
      canvas.setAttribute("aria-label", "The three windows as red, green and blue");
      caption.append(element("b", "RGB"), element("br"), "stacked for the network");
      figure.append(canvas, caption);
    }
    $("panels").append(figure);
  }
  if (DATA.network) {
    const { model, image_size: size, phantom } = DATA.network;
    $("network").hidden = $("saliency-row").hidden = false;
    $("network-text").textContent = `Probabilities from the network “${model}”, which gets ${size} × ${size} pixels` +
      `${phantom ? " and was trained on a PHANTOM, synthetic slices only" : ""}. Never for diagnosis.`;
  }
  const kept = DATA.resampled
    ? `Resampled to ${DATA.resampled} × ${DATA.resampled} pixels and whole HU, so not as stored` +
      `${DATA.network ? "; the network was asked about the slices as they were" : ""}.`
    : "The stored values are in this page as they were in the files.";
  $("made").textContent = `${DATA.slices.length} slice${DATA.slices.length === 1 ? "" : "s"}. ${kept} ${DATA.counts}`;
}

build();
listenToPointer();
listenToKeys();
listenToFields();
$("main").hidden = false;
go(0);
addEventListener("resize", () => later("all"));
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => later("all"));
