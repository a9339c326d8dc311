/**
 * A picture as everything here passes it on: RGB, a byte a channel, row by row.
 *
 * @typedef {{width: number, height: number, data: Uint8Array}} Picture  data has height * width * 3 bytes.
 * @typedef {{x: number, y: number, width: number, height: number}} Box  in pixels, continuous: pixel i covers
 *   [i, i + 1); it may reach beyond the picture.
 */

/** A black picture. @returns {Picture} */
export function blank(width, height) {
  return { width, height, data: new Uint8Array(width * height * 3) };
}

/** What a canvas or a camera gives (RGBA) without its fourth channel. @returns {Picture} */
export function fromRGBA(rgba, width, height) {
  const picture = blank(width, height);
  for (let from = 0, to = 0; to < picture.data.length; from += 4, to += 3) {
    picture.data[to] = rgba[from];
    picture.data[to + 1] = rgba[from + 1];
    picture.data[to + 2] = rgba[from + 2];
  }
  return picture;
}

/** Throws unless this is a picture with at least one pixel. */
export function checkPicture({ width, height, data }) {
  const whole = Number.isInteger(width) && Number.isInteger(height) && width > 0 && height > 0;
  if (!whole || !(data instanceof Uint8Array) || data.length !== width * height * 3) {
    throw new Error("A picture must be RGB bytes of height x width x 3, and have at least one pixel.");
  }
}

/** The part of a picture from column `left` to before `right`, row `top` to before `bottom`. @returns {Picture} */
export function cut(picture, left, top, right, bottom) {
  const part = blank(right - left, bottom - top);
  for (let row = 0; row < part.height; row++) {
    const from = ((top + row) * picture.width + left) * 3;
    part.data.set(picture.data.subarray(from, from + part.width * 3), row * part.width * 3);
  }
  return part;
}

/** The picture with its edge repeated, so many pixels on each side. @returns {Picture} */
export function padEdge(picture, left, top, right, bottom) {
  const padded = blank(picture.width + left + right, picture.height + top + bottom);
  for (let y = 0, to = 0; y < padded.height; y++) {
    const row = Math.min(Math.max(y - top, 0), picture.height - 1) * picture.width;
    for (let x = 0; x < padded.width; x++, to += 3) {
      const from = (row + Math.min(Math.max(x - left, 0), picture.width - 1)) * 3;
      padded.data[to] = picture.data[from];
      padded.data[to + 1] = picture.data[from + 1];
      padded.data[to + 2] = picture.data[from + 2];
    }
  }
  return padded;
}

/** The picture with a border of one grey level. @returns {Picture} */
export function withBorder(picture, margin, grey) {
  const framed = blank(picture.width + 2 * margin, picture.height + 2 * margin);
  framed.data.fill(grey);
  for (let y = 0; y < picture.height; y++) {
    const row = picture.data.subarray(y * picture.width * 3, (y + 1) * picture.width * 3);
    framed.data.set(row, ((y + margin) * framed.width + margin) * 3);
  }
  return framed;
}

/** Left and right exchanged. @returns {Picture} */
export function mirrored(picture) {
  const turned = blank(picture.width, picture.height);
  for (let y = 0, from = 0; y < picture.height; y++) {
    for (let x = 0; x < picture.width; x++, from += 3) {
      const to = ((y + 1) * picture.width - 1 - x) * 3;
      turned.data[to] = picture.data[from];
      turned.data[to + 1] = picture.data[from + 1];
      turned.data[to + 2] = picture.data[from + 2];
    }
  }
  return turned;
}

/** Luma of ITU-R BT.601, a byte a pixel, rounded as Pillow's `convert("L")` does. @returns {Uint8Array} */
export function luma({ data }) {
  const levels = new Uint8Array(data.length / 3);
  for (let pixel = 0, at = 0; pixel < levels.length; pixel++, at += 3) {
    levels[pixel] = (data[at] * 19595 + data[at + 1] * 38470 + data[at + 2] * 7471 + 0x8000) >> 16;
  }
  return levels;
}
