// What the reader does, by pointer, keys and fields, and the page's beginning.

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
