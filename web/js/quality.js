/**
 * What can be said of a face before its liveness is judged (ostiary/faces/quality.py, and docs/quality.md there).
 *
 * A cause can only turn an answer into "not measured, not accepted": nothing here can make an attack accepted. The
 * limits are those of Python, handed over with the page.
 */

import { looseCrop } from "./crops.js";
import { luma } from "./picture.js";
import { resize } from "./resample.js";

/** In the order of judgement: in the dark a face looks blurred too, and at the border turned away. */
export const CAUSES = ["too_small", "too_dark", "too_bright", "cut_off", "blurred", "turned_away"];

/** Five points of a frontal face in distances between the eyes: x to the right, y down, z away from the camera. */
const MEAN_FACE = [
  [-0.5, 0, 0],
  [0.5, 0, 0],
  [0, 0.57, -0.45],
  [-0.43, 1, -0.1],
  [0.43, 1, -0.1],
];

const SIZE = 64;
const PATCH = { surroundings: "square", size: SIZE, scale: 1, interpolation: "bilinear" };

/** The ellipse over the box, in either direction: hair and the edge to the background are no detail. */
const FILLED = 0.7;
const CLIPPED = 250;

/** Variance, in squared grey levels, below which rounding to whole grey levels is all the detail there is. */
const LEAST_DETAIL = 0.1;

/** Height over width of the box of a whole face, as YuNet draws it. */
const PROPORTION = 1.3;

/** A box counts as touching the border from this share of its side on. */
const NEAR = 0.1;

/** Between the first and the second blur lies the fine band, between the second and the third the coarser one. */
const BLURS = [0.7, 1.4, 2.8].map(blurring);

/** Measure one face: light, sharpness, size, what lies outside the picture, and the pose in degrees. */
export function measure(picture, { box, landmarks }) {
  const levels = luma(looseCrop(picture, box, PATCH));
  const inside = ellipse(box);
  const seen = Float64Array.from(inside, (at) => levels[at]).sort();
  return {
    faceWidth: box.width,
    brightness: percentile(seen, 90),
    contrast: percentile(seen, 95) - percentile(seen, 5),
    clipped: seen.filter((level) => level >= CLIPPED).length / seen.length,
    sharpness: sharpness(levels, inside),
    beyondBorder: beyondBorder(picture, box),
    pose: pose(landmarks),
  };
}

/** Everything that keeps a face from being judged, the most helpful first. */
export function causes(quality, limits) {
  const flat = quality.contrast < limits.contrast;
  const darkHalf = quality.brightness < 128;
  const { pose: angles } = quality;
  const found = {
    too_small: quality.faceWidth < limits.face_width,
    too_dark: quality.brightness < limits.brightness || (flat && darkHalf),
    too_bright: quality.clipped > limits.clipped || (flat && !darkHalf),
    cut_off: quality.beyondBorder > limits.beyond_border,
    blurred: quality.sharpness < limits.sharpness,
    turned_away: angles !== null && Object.keys(angles).some((name) => Math.abs(angles[name]) > limits[name]),
  };
  return CAUSES.filter((cause) => found[cause]);
}

/** Why no face may have been found in a picture: the light, by the same limits, taken over all of it. */
export function pictureCauses(picture, limits) {
  const levels = Float64Array.from(luma(thumbnail(picture, 256))).sort();
  if (percentile(levels, 90) < limits.brightness) return ["too_dark"];
  return levels.filter((level) => level >= CLIPPED).length / levels.length > limits.clipped ? ["too_bright"] : [];
}

/**
 * Where a face looks: yaw (to the right of the picture), pitch (up), roll (clockwise); null where the points show
 * no face. The best affine map from the mean face is brought to the nearest rotation (its polar factor).
 */
export function pose(landmarks) {
  const middle = [0, 1].map((axis) => landmarks.reduce((sum, point) => sum + point[axis], 0) / 5);
  const affine = [0, 1].map((axis) =>
    FIT.map((row) => row.reduce((sum, weight, point) => sum + weight * (landmarks[point][axis] - middle[axis]), 0)),
  );
  const [xx, xy, yy] = [dot(affine[0], affine[0]), dot(affine[0], affine[1]), dot(affine[1], affine[1])];
  const half = Math.hypot((xx - yy) / 2, xy);
  const strengths = [(xx + yy) / 2 + half, (xx + yy) / 2 - half].map((square) => Math.sqrt(Math.max(square, 0)));
  if (!(strengths[1] > 1e-6 * Math.max(1, strengths[0]))) return null;
  const [across, down] = polar(affine, [xx, xy, yy], strengths);
  const away = [
    across[1] * down[2] - across[2] * down[1],
    across[2] * down[0] - across[0] * down[2],
    across[0] * down[1] - across[1] * down[0],
  ];
  return {
    yaw: degrees(Math.asin(Math.min(Math.max(away[0], -1), 1))),
    pitch: degrees(-Math.atan2(away[1], away[2])),
    roll: degrees(Math.atan2(down[0], across[0])),
  };
}

/** (A A^T)^(-1/2) A for A of two rows, by the closed form of a root of a 2 x 2 matrix. */
function polar([first, second], [xx, xy, yy], [strong, weak]) {
  const product = strong * weak;
  const sum = strong + weak;
  const root = [(yy + product) / sum / product, -xy / sum / product, (xx + product) / sum / product];
  return [
    first.map((value, axis) => root[0] * value + root[1] * second[axis]),
    first.map((value, axis) => root[1] * value + root[2] * second[axis]),
  ];
}

/** Pseudo-inverse (3, 5) of the mean face about its middle. */
const FIT = pseudoInverse(MEAN_FACE);

function pseudoInverse(points) {
  const middle = [0, 1, 2].map((axis) => points.reduce((sum, point) => sum + point[axis], 0) / points.length);
  const face = points.map((point) => point.map((value, axis) => value - middle[axis]));
  const gram = [0, 1, 2].map((i) => [0, 1, 2].map((j) => face.reduce((sum, p) => sum + p[i] * p[j], 0)));
  const inverse = inverted(gram);
  return inverse.map((row) => face.map((point) => dot(row, point)));
}

function inverted(m) {
  const minor = (i, j) => {
    const [a, b] = [0, 1, 2].filter((row) => row !== i);
    const [c, d] = [0, 1, 2].filter((column) => column !== j);
    return (m[a][c] * m[b][d] - m[a][d] * m[b][c]) * ((i + j) % 2 ? -1 : 1);
  };
  const determinant = [0, 1, 2].reduce((sum, j) => sum + m[0][j] * minor(0, j), 0);
  return [0, 1, 2].map((i) => [0, 1, 2].map((j) => minor(j, i) / determinant));
}

function dot(one, other) {
  return one.reduce((sum, value, index) => sum + value * other[index], 0);
}

function degrees(radians) {
  return (radians * 180) / Math.PI;
}

/** The matrix of a Gaussian blur along one axis that mirrors at the ends; sigma in pixels. */
function blurring(sigma) {
  return Array.from({ length: SIZE }, (_, row) => {
    const weights = new Float64Array(SIZE);
    for (let place = -SIZE; place < 2 * SIZE; place++) {
      const folded = place < 0 ? -1 - place : place < SIZE ? place : 2 * SIZE - 1 - place;
      weights[folded] += Math.exp(-((row - place) ** 2) / (2 * sigma ** 2));
    }
    const total = weights.reduce((sum, weight) => sum + weight, 0);
    return weights.map((weight) => weight / total);
  });
}

function blurred(levels, blur) {
  const narrow = new Float64Array(SIZE * SIZE);
  const wide = new Float64Array(SIZE * SIZE);
  for (let y = 0; y < SIZE; y++) {
    for (let x = 0; x < SIZE; x++) {
      let sum = 0;
      for (let at = 0; at < SIZE; at++) sum += blur[x][at] * levels[y * SIZE + at];
      narrow[y * SIZE + x] = sum;
    }
  }
  for (let y = 0; y < SIZE; y++) {
    for (let x = 0; x < SIZE; x++) {
      let sum = 0;
      for (let at = 0; at < SIZE; at++) sum += blur[y][at] * narrow[at * SIZE + x];
      wide[y * SIZE + x] = sum;
    }
  }
  return wide;
}

/** The fine band of detail regressed on the coarser one: edges show in both, noise in each for itself. */
function sharpness(levels, inside) {
  const [first, second, third] = BLURS.map((blur) => blurred(levels, blur));
  let both = 0;
  let power = 0;
  for (const at of inside) {
    const coarse = second[at] - third[at];
    both += (first[at] - second[at]) * coarse;
    power += coarse * coarse;
  }
  return Math.max(0, both / inside.length / Math.max(power / inside.length, LEAST_DETAIL));
}

/** The pixels of the patch inside the ellipse of the box, which lies in its middle. */
function ellipse(box) {
  const longest = Math.max(box.width, box.height);
  const reach = [box.height, box.width].map((length) => (FILLED * length) / longest);
  const places = Array.from({ length: SIZE }, (_, at) => ((at + 0.5) / SIZE) * 2 - 1);
  const found = [];
  for (let y = 0; y < SIZE; y++) {
    for (let x = 0; x < SIZE; x++) {
      if ((places[y] / reach[0]) ** 2 + (places[x] / reach[1]) ** 2 <= 1) found.push(y * SIZE + x);
    }
  }
  return found;
}

/** Share of the face outside the picture; where the box touches a border, what it lacks for a whole face. */
function beyondBorder({ width, height }, box) {
  const across = Math.max(0, Math.min(box.x + box.width, width) - Math.max(box.x, 0));
  const along = Math.max(0, Math.min(box.y + box.height, height) - Math.max(box.y, 0));
  let shown = (across * along) / (box.width * box.height);
  if (Math.min(box.x, width - box.x - box.width) <= NEAR * box.width) {
    shown = Math.min(shown, across / (box.height / PROPORTION));
  }
  if (Math.min(box.y, height - box.y - box.height) <= NEAR * box.height) {
    shown = Math.min(shown, along / (box.width * PROPORTION));
  }
  return 1 - shown;
}

/** Of sorted values, between the two nearest ranks. */
function percentile(sorted, percent) {
  const place = ((sorted.length - 1) * percent) / 100;
  const below = Math.floor(place);
  const above = Math.min(below + 1, sorted.length - 1);
  return sorted[below] + (sorted[above] - sorted[below]) * (place - below);
}

/** The picture within `side` x `side`, in its own proportions (Pillow's `thumbnail`). */
function thumbnail(picture, side) {
  const { width, height } = picture;
  if (width <= side && height <= side) return picture;
  const aspect = width / height;
  const nearest = (number, error) => {
    const [low, high] = [Math.floor(number), Math.ceil(number)];
    return Math.max(error(low) <= error(high) ? low : high, 1);
  };
  const size =
    aspect <= 1
      ? [nearest(side * aspect, (n) => Math.abs(aspect - n / side)), side]
      : [side, nearest(side / aspect, (n) => (n === 0 ? 0 : Math.abs(aspect - side / n)))];
  return resize(picture, ...size, "box", 2);
}
