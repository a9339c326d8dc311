/**
 * One decision from the face search, the quality check, liveness and matching: all of them passed, or it is shut.
 *
 * The order, the outcomes and the reasons are those of ostiary/gate, with its default policy: of several people
 * nobody passes. Whatever breaks on the way is an outcome ("error"), never an exception that somebody could forget.
 */

import { compared, decide, TO_LIVE, TO_PASS } from "./decide.js";
import { similarity } from "./embedding.js";
import { causes, measure, pictureCauses } from "./quality.js";
import { Tally } from "./tally.js";

/** The outcome of each stage, and the reason that a stage which did not pass gives. */
export class Journal {
  outcomes = {};
  reasons = {};
  milliseconds = {};
  problem = null;

  /** Note what became of a stage; an error stays one, whatever comes after it. */
  put(stage, outcome, reason = "accepted") {
    if (this.outcomes[stage] === "error") return;
    this.outcomes[stage] = outcome;
    this.reasons[stage] = reason;
  }

  get broke() {
    return Object.values(this.outcomes).includes("error");
  }

  /** Why a stage keeps it shut: that one broke, if any did; of one that never began, "not_measured". */
  reason(stoppedBy) {
    return this.broke ? "error" : (this.reasons[stoppedBy] ?? "not_measured");
  }

  /** The answer of a stage, and how long it took; null and the outcome "error" if it broke. */
  async run(stage, work) {
    const begun = performance.now();
    try {
      return await work();
    } catch (error) {
      this.problem = `${stage}: ${error.message ?? error}`;
      this.put(stage, "error", "error");
      return null;
    } finally {
      this.milliseconds[stage] = (this.milliseconds[stage] ?? 0) + performance.now() - begun;
    }
  }
}

export class Gate {
  /**
   * @param {{detector, liveness, embedding: object | null, limits: object, smallestFace: number}} parts  without
   *   an embedding nobody can be recognised, and the gate says only whether a face is alive
   */
  constructor({ detector, liveness, embedding = null, limits, smallestFace }) {
    Object.assign(this, { detector, liveness, embedding, limits, smallestFace });
  }

  /**
   * Begin a presentation.
   *
   * @param {{word: string, template?: Float32Array | null, frames?: number, missingAllowed?: number}} options
   *   with a template the question is whether the face is that person's and alive; without, whether it is alive
   */
  present({ word, template = null, frames = 1, missingAllowed = 8 }) {
    return new Presentation(this, word, template, new Tally(frames, missingAllowed));
  }

  /** The embedding of the one face of a picture that is good enough; or null and why. */
  async remember(picture) {
    const journal = new Journal();
    const look = await this.look(picture, journal);
    if (look === null || look.hindrance) return { template: null, reason: look?.hindrance.reason ?? "error" };
    const measured = () => this.embedding.measure(picture, look.face.landmarks);
    const template = await journal.run("matching", measured);
    return { template, reason: template ? null : "error", problem: journal.problem };
  }

  /** Find the face and its quality, and note what became of both; null if a stage broke. */
  async look(picture, journal) {
    const faces = await journal.run("detection", () => this.detector.detect(picture));
    if (faces === null) return null;
    const look = await journal.run("quality", () => this.#judge(picture, faces));
    if (look === null) return null;
    const { hindrance } = look;
    if (hindrance?.stage !== "detection") journal.put("detection", "passed");
    if (hindrance) journal.put(hindrance.stage, hindrance.outcome, hindrance.reason);
    else journal.put("quality", "passed");
    return look;
  }

  #judge(picture, faces) {
    if (!faces.length) {
      const found = pictureCauses(picture, this.limits);
      const reason = found[0] ?? "no_face";
      return { faces, causes: found, hindrance: { stage: "detection", outcome: "not_measured", reason } };
    }
    const near = faces.filter((face) => face.box.width >= this.smallestFace);
    if (near.length > 1) {
      const hindrance = { stage: "detection", outcome: "failed", reason: "several_faces" };
      return { faces, causes: [], hindrance };
    }
    const face = near[0] ?? faces[0];
    const found = causes(measure(picture, face), this.limits);
    if (!(face.box.width >= this.smallestFace) && !found.includes("too_small")) found.unshift("too_small");
    const hindrance = found.length ? { stage: "quality", outcome: "failed", reason: found[0] } : null;
    return { faces, face, causes: found, hindrance };
  }
}

/** Takes frames until they decide; for one presentation. */
class Presentation {
  #journal = new Journal();
  #look = null;
  #seen = 0;

  constructor(gate, word, template, tally) {
    Object.assign(this, { gate, word, template, tally });
    if (template) this.#journal.put("enrolment", "passed");
  }

  /** Whether further frames change nothing. */
  get done() {
    return this.tally.done || this.#journal.broke;
  }

  /** Take a frame; what can be said until now. */
  async take(picture) {
    const journal = this.#journal;
    this.#seen += 1;
    this.#look = await this.gate.look(picture, journal);
    if (this.#look?.hindrance) this.tally.hindered();
    else if (this.#look) await this.#measure(picture, this.#look.face);
    this.tally.report(journal);
    return this.decision();
  }

  async #measure(picture, face) {
    const { gate, word, template, tally } = this;
    const liveness = await this.#journal.run("liveness", () => gate.liveness.measure(picture, face.box, word));
    if (liveness === null) return;
    const alive = tally.alive(liveness, gate.liveness.threshold(word));
    if (!template || !(alive === "passed" || tally.frames > 1)) return;
    const alike = await this.#journal.run("matching", async () =>
      similarity(template, await gate.embedding.measure(picture, face.landmarks)),
    );
    if (alike !== null) tally.matched({ similarity: alike, outcome: compared(alike, gate.embedding.threshold) });
  }

  /** The decision as it stands; it is final once the presentation is done. */
  decision() {
    const { outcomes, milliseconds, problem } = this.#journal;
    const { opens, stoppedBy } = decide(outcomes, this.template ? TO_PASS : TO_LIVE);
    return {
      accepted: opens && this.done,
      reason: opens ? "accepted" : this.#journal.reason(stoppedBy),
      final: this.done,
      outcomes: { ...outcomes },
      liveness: this.tally.liveness,
      similarity: this.tally.similarity,
      word: this.word,
      frames: this.tally.judged,
      seen: this.#seen,
      causes: this.#look?.causes ?? [],
      faces: this.#look?.faces ?? [],
      milliseconds: { ...milliseconds },
      problem,
    };
  }
}
