// Hounsfield units → grey levels 0…255. Three ways that are all called "a linear window".

// To the nearest whole number, a half to the even one, as NumPy rounds; Math.round would take a half up.
function roundToEven(x) {
  const below = Math.floor(x);
  const rest = x - below;
  return rest > 0.5 || (rest === 0.5 && below % 2) ? below + 1 : below;
}

const FUNCTIONS = {
  // The paper's, as apply_window of the package computes it: clip to the limits, stretch, round.
  clip(level, width) {
    const [low, high] = [f32(level - width / 2), f32(level + width / 2)];
    const divisor = f32(width);
    return (hu) => {
      const clipped = Math.min(Math.max(hu, low), high);
      return roundToEven(f32(f32(f32(clipped - low) * 255) / divisor));
    };
  },
  // DICOM PS3.3 C.11.2.1.2: half a unit off the level, a whole one off the width.
  linear(level, width) {
    const [middle, reach] = [level - 0.5, (width - 1) / 2];
    const [low, high, divisor] = [f32(middle - reach), f32(middle + reach), f32(width - 1)];
    return (hu) => {
      if (hu <= low) return 0;
      if (hu > high) return 255;
      return roundToEven(f32(f32(f32(f32(hu - f32(middle)) / divisor) + 0.5) * 255));
    };
  },
  // DICOM PS3.3 C.11.2.1.3.2: the paper's in other words, so that only the rounding of 32-bit numbers can differ.
  exact(level, width) {
    const [low, high, divisor] = [f32(level - width / 2), f32(level + width / 2), f32(width)];
    return (hu) => {
      if (hu <= low) return 0;
      if (hu > high) return 255;
      return roundToEven(f32(f32(f32(f32(hu - f32(level)) / divisor) + 0.5) * 255));
    };
  },
};

function applyWindow(hu, name, [level, width]) {
  const grey = FUNCTIONS[name](level, width);
  const image = new Uint8Array(hu.length);
  for (let k = 0; k < hu.length; k++) image[k] = grey(hu[k]);
  return image;
}
