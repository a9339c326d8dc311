/**
 * The two ways in which a face is cut out of a picture, to the byte as Python does it (ostiary/faces/crops.py).
 *
 * Boxes are continuous: pixel i covers [i, i + 1). Landmarks follow the convention of the detectors and of the
 * ArcFace template instead: i is the middle of pixel i.
 *
 * @typedef {object} Preprocess  the record saved in a weights file
 */

import { cut, padEdge } from "./picture.js";
import { reduce, resizeAxis, warp } from "./resample.js";

/** Where ArcFace-like networks expect the five points, in a picture of 112 x 112 (Deng et al. 2019). */
const TEMPLATE = [
  [38.2946, 51.6963],
  [73.5318, 51.5014],
  [56.0252, 71.7366],
  [41.5493, 92.3655],
  [70.7299, 92.2041],
];
const TEMPLATE_SIZE = 112;

/** Pixels (of the coarser grid) beyond a region that the widest filter can look at, and one more. */
const MARGIN = 3;

/** A box may be so many times longer than the picture; more is a mistake, and would cost memory in padding. */
const LARGEST_BOX = 4;

/** The face with its surroundings: a square, resized; what lies outside the picture repeats its edge. */
export function looseCrop(picture, box, preprocess) {
  if (preprocess.surroundings !== "square") {
    throw new Error(`The crop "${preprocess.surroundings}" of this network is not there in the browser.`);
  }
  const { left, top, side } = looseSquare(picture, box, preprocess.scale);
  const margin = MARGIN * Math.max(1, side / preprocess.size);
  const [firstColumn, lastColumn] = inside(left, side, picture.width, margin);
  const [firstRow, lastRow] = inside(top, side, picture.height, margin);
  let region = cut(picture, firstColumn, firstRow, lastColumn, lastRow);
  const rowsFirst = side > picture.width && picture.height > picture.width;
  for (const axis of rowsFirst ? [0, 1] : [1, 0]) {
    const start = axis === 1 ? left - firstColumn : top - firstRow;
    region = resizePadded(region, axis, start, side, preprocess);
  }
  return region;
}

/** The square that a loose crop shows: `scale` times the longer side of the box, where the picture holds that. */
export function looseSquare({ width, height }, box, scale) {
  checkBox(width, height, box);
  const longest = Math.max(box.width, box.height);
  const side = Math.max(longest, Math.min(scale * longest, height, width));
  return {
    left: shiftInside(box.x + box.width / 2 - side / 2, side, width),
    top: shiftInside(box.y + box.height / 2 - side / 2, side, height),
    side,
  };
}

/** The face turned, scaled and shifted so that its five points ([x, y] each) meet the ArcFace template. */
export function alignedCrop(picture, landmarks, preprocess) {
  const { size } = preprocess;
  const scale = size / TEMPLATE_SIZE;
  const { turn, shift } = similarityTransform(landmarks, TEMPLATE.map(([x, y]) => [x * scale, y * scale]));
  // Backwards, from the middle of an output pixel to the picture, both in continuous coordinates.
  let back = divide([1, 0], turn);
  let origin = multiply([-(shift[0] + 0.5), -(shift[1] + 0.5)], back);
  origin = [origin[0] + 0.5, origin[1] + 0.5];
  const corners = [[0, 0], [1, 0], [0, 1], [1, 1]].map((corner) => {
    const [x, y] = multiply([back[0] * size, back[1] * size], corner);
    return [origin[0] + x, origin[1] + y];
  });
  const [left, right] = span(corners.map(([x]) => x), picture.width);
  const [top, bottom] = span(corners.map(([, y]) => y), picture.height);
  if (right <= left || bottom <= top) return { width: size, height: size, data: new Uint8Array(size * size * 3) };
  let region = cut(picture, left, top, right, bottom);
  origin = [origin[0] - left, origin[1] - top];
  const factor = Math.min(Math.trunc(Math.hypot(...back)), region.width, region.height);
  if (factor >= 2) {
    // Bilinear sampling looks at 2 x 2 pixels only: a large face is averaged down first.
    region = reduce(region, factor, factor);
    back = back.map((part) => part / factor);
    origin = origin.map((part) => part / factor);
  }
  return warp(region, size, [back[0], -back[1], origin[0], back[1], back[0], origin[1]]);
}

/** A crop as a network takes it: Float32Array, planes of (pixel - mean) / std. */
export function normalise(crop, preprocess) {
  const { size, mean, std, channels } = preprocess;
  if (crop.width !== size || crop.height !== size) throw new Error(`A crop must be ${size} pixels a side.`);
  const pixels = size * size;
  const planes = new Float32Array(3 * pixels);
  for (let plane = 0; plane < 3; plane++) {
    const channel = channels === "BGR" ? 2 - plane : plane;
    const [middle, spread] = [Math.fround(mean[plane]), Math.fround(std[plane])];
    for (let pixel = 0; pixel < pixels; pixel++) {
      planes[plane * pixels + pixel] = Math.fround(crop.data[3 * pixel + channel] - middle) / spread;
    }
  }
  return planes;
}

function checkBox(width, height, box) {
  const numbers = [box.x, box.y, box.width, box.height];
  const longest = Math.max(box.width, box.height);
  if (!numbers.every(Number.isFinite) || !(box.width > 0 && box.height > 0)) {
    throw new Error("A face box must be four finite numbers, its width and height above zero.");
  }
  if (longest > LARGEST_BOX * Math.max(width, height)) {
    throw new Error(`A face box is more than ${LARGEST_BOX} times as long as its picture.`);
  }
}

function shiftInside(start, side, length) {
  const slack = length - side;
  return Math.min(Math.max(start, Math.min(0, slack)), Math.max(0, slack));
}

function inside(start, side, length, margin) {
  const first = Math.min(Math.max(Math.floor(start - margin), 0), length - 1);
  return [first, Math.min(Math.max(Math.ceil(start + side + margin), first + 1), length)];
}

function resizePadded(picture, axis, start, side, preprocess) {
  const rounding = 1e-6; // of start + side; must not cost a row of padding
  const length = axis === 1 ? picture.width : picture.height;
  const before = Math.max(0, Math.ceil(-start - rounding));
  const after = Math.max(0, Math.ceil(start + side - length - rounding));
  const padded =
    before || after
      ? padEdge(picture, ...(axis === 1 ? [before, 0, after, 0] : [0, before, 0, after]))
      : picture;
  const first = Math.max(0, start + before);
  const last = Math.min(length + before + after, start + before + side);
  return resizeAxis(padded, axis, first, last, preprocess.size, preprocess.interpolation);
}

/** Least-squares rotation, scale and shift, without reflection (Umeyama 1991, in the plane), as complex numbers. */
function similarityTransform(source, target) {
  if (source.length !== 5 || !source.flat().every(Number.isFinite)) {
    throw new Error("Landmarks must be five finite points.");
  }
  const [here, there] = [middleOf(source), middleOf(target)];
  let power = 0;
  let turn = [0, 0];
  for (let point = 0; point < 5; point++) {
    const spread = [source[point][0] - here[0], source[point][1] - here[1]];
    const wanted = [target[point][0] - there[0], target[point][1] - there[1]];
    const [across, along] = multiply([spread[0], -spread[1]], wanted);
    turn = [turn[0] + across, turn[1] + along];
    power += spread[0] ** 2 + spread[1] ** 2;
  }
  turn = power > 0 ? turn.map((part) => part / power) : [0, 0];
  if (!(Math.hypot(...turn) > 0)) throw new Error("The five landmarks lie on one spot or show no face.");
  const moved = multiply(turn, here);
  return { turn, shift: [there[0] - moved[0], there[1] - moved[1]] };
}

function middleOf(points) {
  return [0, 1].map((axis) => points.reduce((sum, point) => sum + point[axis], 0) / points.length);
}

function multiply([a, b], [c, d]) {
  return [a * c - b * d, a * d + b * c];
}

function divide([a, b], [c, d]) {
  const power = c * c + d * d;
  return [(a * c + b * d) / power, (b * c - a * d) / power];
}

function span(positions, length) {
  const first = Math.floor(Math.min(...positions)) - 1;
  const last = Math.ceil(Math.max(...positions)) + 1;
  return [first, last].map((place) => Math.min(Math.max(place, 0), length));
}
