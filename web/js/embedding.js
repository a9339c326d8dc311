/**
 * A face as a direction, and how alike two of them are (ostiary/runtime/embedding.py).
 *
 * An embedding is personal data. Here it lives in the memory of the page alone, and is gone when the page is.
 */

import { alignedCrop, normalise } from "./crops.js";
import { mirrored } from "./picture.js";

/** Below this length, what is left of an embedding is rounding, and its direction means nothing. */
const SHORTEST = 1e-6;

/** A length may differ so far from 1. */
const ROUNDING = 1e-3;

export class EmbeddingModel {
  /**
   * @param ort the runtime: a module with `Tensor`
   * @param session of the weights file
   * @param record of the weights file
   */
  constructor(ort, session, record) {
    Object.assign(this, { ort, session, record });
  }

  /** Two faces match from this similarity on; null if nothing was recorded. */
  get threshold() {
    return this.record.threshold?.value ?? null;
  }

  /** The direction of the face with these landmarks, Float32Array of unit length. */
  async measure(picture, landmarks) {
    return this.embed(alignedCrop(picture, landmarks, this.record.preprocess));
  }

  /** The same of a crop that was cut as the record says; with the mirrored one, if the threshold was chosen so. */
  async embed(crop) {
    const direction = await this.#direction(crop);
    if (!this.record.threshold?.flip) return Float32Array.from(direction);
    const other = await this.#direction(mirrored(crop));
    return Float32Array.from(unit(direction.map((value, axis) => value + other[axis])));
  }

  async #direction(crop) {
    const { size } = this.record.preprocess;
    const input = new this.ort.Tensor("float32", normalise(crop, this.record.preprocess), [1, 3, size, size]);
    const [name] = this.session.inputNames;
    const outputs = await this.session.run({ [name]: input });
    const { data } = outputs[this.session.outputNames[0]];
    if (data.length !== this.record.dimension) throw new Error("The face network gives another number of numbers.");
    return unit(Float64Array.from(data));
  }
}

/** (1 + cosine) / 2: 1 for one direction, 0.5 for a right angle, 0 for opposites. */
export function similarity(first, second) {
  const lengths = [first, second].map((embedding) => Math.sqrt(dot(embedding, embedding)));
  if (first.length !== second.length || !lengths.every((length) => Math.abs(length - 1) <= ROUNDING)) {
    throw new Error("Two embeddings can be compared if they have the same dimension and unit length.");
  }
  return Math.min(Math.max((1 + dot(first, second)) / 2, 0), 1);
}

function dot(first, second) {
  let sum = 0;
  for (let axis = 0; axis < first.length; axis++) sum += first[axis] * second[axis];
  return sum;
}

function unit(numbers) {
  const length = Math.sqrt(dot(numbers, numbers));
  if (!(Number.isFinite(length) && length > SHORTEST)) throw new Error("The face network gives no direction.");
  return numbers.map((value) => value / length);
}
