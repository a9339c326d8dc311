/** Where the faces are: YuNet (Wu et al. 2023), searched and decoded as ostiary/faces/detector.py does. */

import { checkPicture, withBorder } from "./picture.js";
import { resize } from "./resample.js";

/** Height and width of the network's input must be multiples of its coarsest stride. */
const GRID = 32;
const STRIDES = [8, 16, 32];
const KINDS = ["cls", "obj", "bbox", "kps"];

/** Intersection over union above which two candidates are one face (YuNet's own value). */
const OVERLAP = 0.3;

/** The border of the last search: its width over the picture's longer side, and its grey level. */
const BORDER = 0.25;
const GREY = 128;

/** Lets a large photo be shrunk in two steps. */
const REDUCING_GAP = 2;

/**
 * Finds the faces of a picture of any size.
 *
 * @typedef {{box: import("./picture.js").Box, landmarks: number[][], confidence: number}} Face  landmarks: right
 *   eye, left eye, nose tip, right and left corner of the mouth, [x, y] each; right is the subject's right.
 */
export class FaceDetector {
  /**
   * @param ort the runtime: a module with `Tensor`
   * @param session of the YuNet file
   * @param {{confidence?: number, longestSide?: number, secondLook?: number}} options
   */
  constructor(ort, session, { confidence = 0.6, longestSide = 320, secondLook = 1280 } = {}) {
    Object.assign(this, { ort, session, confidence, longestSide, secondLook });
  }

  /**
   * The faces, the largest first. If nothing was found, a larger picture is searched once more in detail, and
   * then with a border around it, because the network overlooks faces that fill their picture.
   *
   * @returns {Promise<Face[]>}
   */
  async detect(picture) {
    checkPicture(picture);
    const longest = Math.max(picture.width, picture.height);
    let faces = await this.#search(picture, this.longestSide, 0);
    if (!faces.length && longest > this.longestSide && this.secondLook > this.longestSide) {
      faces = await this.#search(picture, this.secondLook, 0);
    }
    if (!faces.length) faces = await this.#search(picture, this.longestSide, BORDER);
    return faces.sort((one, other) => area(other.box) - area(one.box));
  }

  async #search(picture, longestSide, border) {
    const { width, height } = picture;
    const shrink = Math.min(1, longestSide / ((1 + 2 * border) * Math.max(width, height)));
    const size = [width, height].map((length) => Math.max(1, roundHalfEven(length * shrink)));
    const small = resize(picture, ...size, "bilinear", REDUCING_GAP);
    const margin = roundHalfEven(border * Math.max(...size));
    const candidates = await this.#run(margin ? withBorder(small, margin, GREY) : small);
    const enlarge = [Math.fround(width / size[0]), Math.fround(height / size[1])];
    for (const { points } of candidates) {
      for (const point of points) {
        for (const axis of [0, 1]) point[axis] = Math.fround(Math.fround(point[axis] - margin) * enlarge[axis]);
      }
    }
    return suppress(candidates).map(asFace);
  }

  async #run(picture) {
    const [width, height] = [picture.width, picture.height].map((length) => Math.ceil(length / GRID) * GRID);
    const bgr = new Float32Array(3 * width * height);
    for (let y = 0, from = 0; y < picture.height; y++) {
      for (let x = 0; x < picture.width; x++, from += 3) {
        for (let channel = 0; channel < 3; channel++) {
          bgr[((2 - channel) * height + y) * width + x] = picture.data[from + channel];
        }
      }
    }
    const names = STRIDES.flatMap((stride) => KINDS.map((kind) => `${kind}_${stride}`));
    const input = new this.ort.Tensor("float32", bgr, [1, 3, height, width]);
    const outputs = await this.session.run({ input }, names);
    return STRIDES.flatMap((stride) => {
      const level = KINDS.map((kind) => outputs[`${kind}_${stride}`].data);
      return decode(level, stride, width / stride, this.confidence);
    });
  }
}

/** Candidates of one stride: box corners and landmarks as seven points, in pixels of the input. */
function decode([classes, objects, boxes, marks], stride, columns, least) {
  const found = [];
  for (let cell = 0; cell < classes.length; cell++) {
    const confidence = Math.fround(Math.sqrt(Math.fround(share(classes[cell]) * share(objects[cell]))));
    if (!(confidence >= Math.fround(least))) continue;
    const corner = [cell % columns, Math.floor(cell / columns)];
    const middle = corner.map((place, axis) => place + boxes[4 * cell + axis]);
    const half = [2, 3].map((at) => Math.exp(boxes[4 * cell + at]) / 2);
    const points = [
      [middle[0] - half[0], middle[1] - half[1]],
      [middle[0] + half[0], middle[1] + half[1]],
    ];
    for (let mark = 0; mark < 5; mark++) {
      points.push(corner.map((place, axis) => place + marks[10 * cell + 2 * mark + axis]));
    }
    for (const point of points) for (const axis of [0, 1]) point[axis] = Math.fround(point[axis] * stride);
    found.push({ points, confidence });
  }
  return found;
}

/** Greedy non-maximum suppression: the candidates that stay, the most confident first. */
function suppress(candidates) {
  const order = [...candidates].sort((one, other) => other.confidence - one.confidence);
  const kept = [];
  for (const candidate of order) {
    if (kept.every((best) => !overlaps(best.points, candidate.points))) kept.push(candidate);
  }
  return kept;
}

function overlaps([first, last], [otherFirst, otherLast]) {
  const sides = [0, 1].map((axis) =>
    Math.max(0, Math.min(last[axis], otherLast[axis]) - Math.max(first[axis], otherFirst[axis])),
  );
  const common = sides[0] * sides[1];
  const areas = [[first, last], [otherFirst, otherLast]].map(([a, b]) => (b[0] - a[0]) * (b[1] - a[1]));
  return common > OVERLAP * (areas[0] + areas[1] - common);
}

function asFace({ points, confidence }) {
  const [[x, y], [right, bottom], ...landmarks] = points;
  return { box: { x, y, width: right - x, height: bottom - y }, landmarks, confidence };
}

function area(box) {
  return box.width * box.height;
}

function share(value) {
  return Math.min(Math.max(value, 0), 1);
}

/** As Python's round. */
function roundHalfEven(value) {
  const below = Math.floor(value);
  if (value - below !== 0.5) return Math.round(value);
  return below % 2 === 0 ? below : below + 1;
}
