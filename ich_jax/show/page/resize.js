// Pillow's bilinear resize with anti-aliasing, which the package uses: first each row, then each column. A new pixel
// is the mean of the old ones below a triangle around its middle; the triangle widens as the picture shrinks.

function triangles(from, to) {
  const scale = from / to;
  const reach = Math.max(scale, 1);
  return Array.from({ length: to }, (_, place) => {
    const middle = (place + 0.5) * scale;
    const first = Math.max(0, Math.trunc(middle - reach + 0.5));
    const last = Math.min(from, Math.trunc(middle + reach + 0.5));
    const weights = [];
    let sum = 0;
    for (let x = first; x < last; x++) {
      const weight = Math.max(0, 1 - Math.abs((x - middle + 0.5) * (1 / reach)));
      weights.push(weight);
      sum += weight;
    }
    return { first, weights: weights.map((weight) => weight / sum) };
  });
}

// One pass along the rows of a square picture's `lines` rows; the result is turned, so that two passes do both ways.
function shrinkRows(image, lines, from, to) {
  const whole = image instanceof Uint8Array; // Pillow weighs bytes with whole numbers, 2²² being one
  const result = new image.constructor(lines * to);
  triangles(from, to).forEach(({ first, weights }, place) => {
    const factors = whole ? weights.map((weight) => Math.trunc(0.5 + weight * 2 ** 22)) : weights;
    for (let line = 0; line < lines; line++) {
      let sum = whole ? 2 ** 21 : 0;
      const start = line * from + first;
      for (let k = 0; k < factors.length; k++) sum += image[start + k] * factors[k];
      result[place * lines + line] = whole ? Math.min(sum >> 22, 255) : sum;
    }
  });
  return result;
}

// (side × side) Uint8Array or Float32Array → the same of size × size.
function resize(image, side, size) {
  if (side === size) return image;
  return shrinkRows(shrinkRows(image, side, side, size), size, side, size);
}
