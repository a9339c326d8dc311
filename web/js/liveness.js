/**
 * Liveness of a face under any configuration word of one file, chosen at every call (ostiary/runtime/liveness.py).
 *
 * The word is spelt by the shape of the input `sel`, whose values mean nothing: the graph reads the shape and runs
 * the branches asked for.
 */

import { looseCrop, normalise } from "./crops.js";

/** Extent of `sel` along a block's axis, by letter. */
const LETTER_EXTENT = { L: 1, H: 2, B: 3 };

/** Column of the logits; column 0 is attack. */
const BONA_FIDE = 1;

export class LivenessModel {
  /**
   * @param ort the runtime: a module with `Tensor`
   * @param session of the weights file
   * @param record of the weights file
   */
  constructor(ort, session, record) {
    Object.assign(this, { ort, session, record });
  }

  /** The words of this file, the cheapest first. */
  get words() {
    const { configurations } = this.record;
    return Object.keys(configurations).sort((one, other) => configurations[one].macs - configurations[other].macs);
  }

  /** The threshold recorded for a word, null if there is none. */
  threshold(word) {
    return this.#configuration(word).threshold?.value ?? null;
  }

  /** Probability in [0, 1] that the face in this box is bona fide. */
  async measure(picture, box, word) {
    return this.liveness(looseCrop(picture, box, this.record.preprocess), word);
  }

  /** The same of a crop that was cut as the record says. */
  async liveness(crop, word) {
    this.#configuration(word);
    const { size } = this.record.preprocess;
    const feed = { input: new this.ort.Tensor("float32", normalise(crop, this.record.preprocess), [1, 3, size, size]) };
    if (Object.keys(this.record.configurations).length > 1) feed.sel = selector(this.ort, word);
    const { logits } = await this.session.run(feed, ["logits"]);
    return Math.fround(softmax(logits.data)[BONA_FIDE]);
  }

  #configuration(word) {
    const { configurations } = this.record;
    if (!Object.hasOwn(configurations, word)) throw new Error(`There is no configuration ${word} in this file.`);
    return configurations[word];
  }
}

/** The tensor to feed as `sel`. */
export function selector(ort, word) {
  const extents = [...word].map((letter) => LETTER_EXTENT[letter]);
  const cells = extents.reduce((product, extent) => product * extent, 1);
  return new ort.Tensor("uint8", new Uint8Array(cells), extents);
}

function softmax(logits) {
  const largest = Math.max(...logits);
  const powers = Array.from(logits, (logit) => Math.exp(logit - largest));
  const total = powers.reduce((sum, power) => sum + power, 0);
  return powers.map((power) => power / total);
}
