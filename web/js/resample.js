/**
 * Resizing and warping that give the bytes that Pillow gives: a network sees here what it was trained on.
 *
 * A browser's own canvas resizes in a way of its own, which differs between browsers and moves the answers of a
 * liveness network. So the arithmetic is Pillow's: antialiased filters with weights of 22 bits, integer sums, and
 * coordinates of the source window as 32-bit floats.
 */

import { blank } from "./picture.js";

/** Half of each filter's width, in pixels of the coarser grid. */
const SUPPORT = { box: 0.5, bilinear: 1, bicubic: 2 };

const FILTERS = {
  box: (x) => (x > -0.5 && x <= 0.5 ? 1 : 0),
  bilinear: (x) => Math.max(0, 1 - Math.abs(x)),
  bicubic: (x) => {
    const far = Math.abs(x);
    if (far < 1) return (1.5 * far - 2.5) * far * far + 1;
    return far < 2 ? (((far - 5) * far + 8) * far - 4) * -0.5 : 0;
  },
};

const BITS = 22;

/**
 * Resize the window [start, end) of the columns (axis 1) or rows (axis 0) to `size` of them.
 *
 * @param {import("./picture.js").Picture} picture
 * @param {"box" | "bilinear" | "bicubic"} filter
 */
export function resizeAxis(picture, axis, start, end, size, filter) {
  const { width, height, data } = picture;
  const length = axis ? width : height;
  if (size === length && start === 0 && end === length) return picture;
  const weights = filterWeights(length, start, end, size, filter);
  const resized = axis ? blank(size, height) : blank(width, size);
  const [step, across, stride] = axis ? [3, height, width * 3] : [width * 3, width, 3];
  const [stepOut, strideOut] = axis ? [3, size * 3] : [width * 3, 3];
  for (let place = 0; place < size; place++) {
    const { first, factors } = weights[place];
    for (let line = 0; line < across; line++) {
      let from = line * stride + first * step;
      let red = 1 << (BITS - 1);
      let green = red;
      let blue = red;
      for (let tap = 0; tap < factors.length; tap++, from += step) {
        red += data[from] * factors[tap];
        green += data[from + 1] * factors[tap];
        blue += data[from + 2] * factors[tap];
      }
      const to = line * strideOut + place * stepOut;
      resized.data[to] = clip(red >> BITS);
      resized.data[to + 1] = clip(green >> BITS);
      resized.data[to + 2] = clip(blue >> BITS);
    }
  }
  return resized;
}

/**
 * Resize a whole picture; `gap` above 0 lets it be averaged down first, to no less than so many times the size.
 * (Pillow's `resize(..., reducing_gap=gap)`.)
 */
export function resize(picture, width, height, filter, gap = 0) {
  if (picture.width === width && picture.height === height) return picture;
  const across = gap ? Math.max(1, Math.trunc(picture.width / width / gap)) : 1;
  const down = gap ? Math.max(1, Math.trunc(picture.height / height / gap)) : 1;
  const small = reduce(picture, across, down);
  const narrow = resizeAxis(small, 1, 0, picture.width / across, width, filter);
  return resizeAxis(narrow, 0, 0, picture.height / down, height, filter);
}

/** Average cells of `across` x `down` pixels; cells at the right and lower edge may be smaller. */
export function reduce(picture, across, down) {
  if (across === 1 && down === 1) return picture;
  const { width, height, data } = picture;
  const small = blank(Math.ceil(width / across), Math.ceil(height / down));
  for (let y = 0, to = 0; y < small.height; y++) {
    const [top, bottom] = [y * down, Math.min((y + 1) * down, height)];
    for (let x = 0; x < small.width; x++) {
      const [left, right] = [x * across, Math.min((x + 1) * across, width)];
      const cells = (bottom - top) * (right - left);
      const factor = Math.trunc(Math.fround(2 ** 24 / cells));
      for (let channel = 0; channel < 3; channel++, to++) {
        let sum = cells >> 1;
        for (let row = top; row < bottom; row++) {
          for (let column = left; column < right; column++) sum += data[(row * width + column) * 3 + channel];
        }
        small.data[to] = Math.trunc((sum * factor) / 2 ** 24);
      }
    }
  }
  return small;
}

/**
 * A picture of `size` x `size`, each pixel's middle (x, y) taken from (a x + b y + c, d x + e y + f), bilinear,
 * in continuous coordinates; black where that lies outside.
 */
export function warp(picture, size, [a, b, c, d, e, f]) {
  const { width, height, data } = picture;
  const warped = blank(size, size);
  for (let row = 0, to = 0; row < size; row++) {
    for (let column = 0; column < size; column++, to += 3) {
      const [x, y] = [column + 0.5, row + 0.5];
      const across = a * x + b * y + c;
      const along = d * x + e * y + f;
      if (!(across >= 0 && across < width && along >= 0 && along < height)) continue;
      const left = Math.floor(across - 0.5);
      const top = Math.floor(along - 0.5);
      const [right, below] = [across - 0.5 - left, along - 0.5 - top];
      const columns = [Math.max(left, 0) * 3, Math.min(left + 1, width - 1) * 3];
      const rows = [Math.max(top, 0) * width * 3, Math.min(top + 1, height - 1) * width * 3];
      for (let channel = 0; channel < 3; channel++) {
        const mix = (start) => {
          const one = data[start + columns[0] + channel];
          return one + (data[start + columns[1] + channel] - one) * right;
        };
        const upper = mix(rows[0]);
        warped.data[to + channel] = Math.trunc(upper + (mix(rows[1]) - upper) * below);
      }
    }
  }
  return warped;
}

function clip(level) {
  return level < 0 ? 0 : level > 255 ? 255 : level;
}

/** For each output pixel the first input pixel that it sees, and the weight of that and the following ones. */
function filterWeights(length, start, end, size, filter) {
  const [from, to] = [Math.fround(start), Math.fround(end)];
  const scale = Math.fround(to - from) / size;
  const widened = Math.max(scale, 1);
  const reach = SUPPORT[filter] * widened;
  return Array.from({ length: size }, (_, place) => {
    const middle = from + (place + 0.5) * scale;
    const first = Math.max(0, Math.trunc(middle - reach + 0.5));
    const last = Math.min(length, Math.trunc(middle + reach + 0.5));
    const raw = Array.from({ length: last - first }, (_, tap) =>
      FILTERS[filter]((tap + first - middle + 0.5) * (1 / widened)),
    );
    const total = raw.reduce((sum, weight) => sum + weight, 0) || 1;
    const factors = Int32Array.from(raw, (weight) => {
      const scaled = (weight / total) * 2 ** BITS;
      return Math.trunc(scaled < 0 ? scaled - 0.5 : scaled + 0.5);
    });
    return { first, factors };
  });
}
