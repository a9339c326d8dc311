/**
 * What the frames of one presentation come to together: alive on average, the same person in every one.
 *
 * Liveness adds up in log-odds, each frame's taken from the threshold. Similarity does not add up: in an average,
 * somebody else's living face in one frame could lend its life to a photograph in the others. As
 * ostiary/gate/tally.py and ostiary/runtime/clip.py.
 */

import { compared, why, worstOf } from "./decide.js";

/** Liveness nearer than this to 0 or 1 counts as this near (what a float32 resolves). */
const RESOLUTION = 2 ** -24;

export class Tally {
  #alive = null;
  #beyond = [];
  #values = [];
  #missing = 0;
  #matches = [];

  /**
   * @param {number} frames  so many must agree
   * @param {number} missingAllowed  more frames than this without a face that can be judged end it
   */
  constructor(frames, missingAllowed) {
    Object.assign(this, { frames, missingAllowed });
  }

  /** Whether further frames change nothing. */
  get done() {
    return this.#alive !== null || this.#beyond.length >= this.frames || this.#lost;
  }

  get #lost() {
    return this.#missing > this.missingAllowed;
  }

  /** How many were judged. */
  get judged() {
    return this.#values.length;
  }

  /** The mean of the frames in log-odds, as a probability; null before the first. */
  get liveness() {
    return this.#values.length ? probability(mean(this.#values)) : null;
  }

  /** The least of the frames; null where none was measured. */
  get similarity() {
    const known = this.#matches.map((match) => match.similarity).filter((value) => value !== null);
    return known.length ? Math.min(...known) : null;
  }

  /** Take a frame without a face that can be judged. */
  hindered() {
    this.#missing += 1;
  }

  /** Take the liveness of a frame's face; what the frame by itself comes to. */
  alive(value, threshold) {
    const outcome = compared(value, threshold);
    if (typeof value === "number" && value >= 0 && value <= 1) this.#values.push(logOdds(value));
    if (!["passed", "failed"].includes(outcome) || this.frames === 1) {
      this.#alive = outcome;
    } else {
      // Nothing reaches a threshold above 1, and log-odds end there.
      this.#beyond.push(threshold <= 1 ? logOdds(value) - logOdds(threshold) : logOdds(0));
    }
    return outcome;
  }

  /** Take the match of a frame's face: {outcome, similarity}. */
  matched(match) {
    this.#matches.push(match);
  }

  /** Note in the journal what the frames come to; why the last one was not judged stands there already. */
  report(journal) {
    if (this.done && (this.#alive !== null || !this.#lost)) {
      const alive = this.#alive ?? (probability(mean(this.#beyond)) >= 0.5 ? "passed" : "failed");
      journal.put("liveness", alive, why(alive, "presentation_attack"));
    }
    if (this.#matches.length) {
      const worst = worstOf(this.#matches.map((match) => match.outcome));
      journal.put("matching", worst, why(worst, "another_person"));
    }
  }
}

/** log(p / (1 - p)), finite at 0 and 1 too. */
export function logOdds(liveness) {
  const share = Math.min(Math.max(liveness, RESOLUTION), 1 - RESOLUTION);
  return Math.log(share) - Math.log1p(-share);
}

/** The p of log(p / (1 - p)). */
export function probability(odds) {
  const power = Math.exp(-Math.abs(odds));
  return odds >= 0 ? 1 / (1 + power) : power / (1 + power);
}

function mean(values) {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}
