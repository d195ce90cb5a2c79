// Words: what the page says of the slice on the screen.

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
