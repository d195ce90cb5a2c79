// Drawing: the picture and what lies over it, the panels, histogram, differences and strip.

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
