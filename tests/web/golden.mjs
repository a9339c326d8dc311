/** Golden vectors of Python, named by the environment variable GOLDEN, and how near to them is near enough. */

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { inflateSync } from "node:zlib";

export const golden = JSON.parse(readFileSync(process.env.GOLDEN, "utf8"));

/** The bytes of what Python packed. */
export const unpacked = (text) => new Uint8Array(inflateSync(Buffer.from(text, "base64")));

/** The pictures of the cases, in their order. */
export const pictures = golden.cases.map(({ width, height, rgb }) => ({ width, height, data: unpacked(rgb) }));

export const asBox = ([x, y, width, height]) => ({ x, y, width, height });

export function close(found, expected, tolerance, what) {
  assert.ok(Math.abs(found - expected) <= tolerance, `${what}: ${found} instead of ${expected}`);
}
