// Stored values, as the builder packed them (show/viewer.py), and from them Hounsfield units (data/hounsfield.py).
// Numbers in JavaScript have 64 bits. Math.fround after each operation gives what 32-bit arithmetic gives.

const f32 = Math.fround;

async function inflate(base64) {
  const letters = atob(base64);
  const packed = Uint8Array.from(letters, (letter) => letter.charCodeAt(0));
  const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream("deflate"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

// In each row the step from the left neighbour, folded (0, −1, 1, −2 … → 0, 1, 2, 3 …); first all low bytes, then all
// high bytes. Returns the 16-bit patterns.
async function unpack(base64, rows, columns) {
  const bytes = await inflate(base64);
  const count = rows * columns;
  const patterns = new Uint16Array(count);
  for (let row = 0, k = 0; row < rows; row++) {
    for (let column = 0, value = 0; column < columns; column++, k++) {
      const folded = bytes[k] | (bytes[count + k] << 8);
      value = (value + ((folded >> 1) ^ -(folded & 1))) & 0xffff;
      patterns[k] = value;
    }
  }
  return patterns;
}

// Encoding.to_hu of the package, for one value.
function storedToHu(pattern, encoding) {
  const { signed, bits_stored, slope, intercept, inverted, padding, wrapped_from } = encoding;
  const stored = signed ? (pattern << 16) >> 16 : pattern;
  if (padding && stored >= padding[0] && stored <= padding[1]) return AIR_HU;
  const unused = 32 - bits_stored;
  let value = signed ? (pattern << unused) >> unused : (pattern << unused) >>> unused;
  if (inverted) value = (signed ? -1 : 2 ** bits_stored - 1) - value;
  if (wrapped_from !== null) return value >= wrapped_from ? value - 4096 : value;
  return f32(f32(value * f32(slope)) + f32(intercept));
}

// All pixels in HU, centred in a square of air, side × side float32.
function toSquareOfHu(patterns, rows, columns, encoding) {
  const table = new Float32Array(65536);
  for (let pattern = 0; pattern < 65536; pattern++) table[pattern] = storedToHu(pattern, encoding);
  const side = Math.max(rows, columns);
  const [top, left] = [(side - rows) >> 1, (side - columns) >> 1];
  const hu = new Float32Array(side * side).fill(AIR_HU);
  for (let row = 0; row < rows; row++) {
    for (let column = 0; column < columns; column++) {
      hu[(top + row) * side + left + column] = table[patterns[row * columns + column]];
    }
  }
  return hu;
}
