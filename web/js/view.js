/** What the visitor sees and a screen reader says: the picture with the face's box, the verdict, the measures. */

import { sentence } from "./words.js";

/** The verdict is said no more often than this, in milliseconds: a screen reader must come to an end. */
const QUIET = 1500;

/** Decisions of this many milliseconds make the frames per second. */
const SPAN = 3000;

const find = (id) => document.getElementById(id);

export class View {
  #times = [];
  #said = { text: "", at: -Infinity };
  #judging = new Map();

  /** Draw what the camera saw, and boxes around its faces. */
  draw(canvas, { faces, accepted, final }, isMirror) {
    const picture = find("picture");
    picture.width = canvas.width;
    picture.height = canvas.height;
    picture.classList.toggle("mirror", isMirror);
    const context = picture.getContext("2d");
    context.drawImage(canvas, 0, 0);
    context.lineWidth = Math.max(2, canvas.width / 160);
    context.strokeStyle = accepted ? "#3fb950" : final ? "#ff7b72" : "#d0d7de";
    for (const { box } of faces) context.strokeRect(box.x, box.y, box.width, box.height);
  }

  /** Show nobody any more. */
  clear() {
    const picture = find("picture");
    picture.getContext("2d").clearRect(0, 0, picture.width, picture.height);
  }

  /** Show what was decided; while a presentation goes on, the verdict before it stands unless something hinders. */
  decide(decision, matched) {
    const now = performance.now();
    this.#times = [...this.#times.filter((time) => now - time < SPAN), now];
    if (decision.final || decision.reason !== "not_measured") {
      this.#show(decision.accepted ? "open" : "shut", sentence(decision, matched), decision.reason);
    }
    this.#measures(decision);
  }

  /** Nothing is known: shut. */
  shut(text) {
    this.#times = [];
    this.#show("shut", text, "none");
  }

  /** Whether the last verdict was an acceptance. */
  get isOpen() {
    return find("verdict").dataset.state === "open";
  }

  /** Milliseconds that a word's liveness takes, null before it was measured. */
  latency(word) {
    return this.#judging.get(word) ?? null;
  }

  #show(state, text, reason) {
    const verdict = find("verdict");
    const now = performance.now();
    Object.assign(verdict.dataset, { state, reason });
    find("state").textContent = state === "open" ? "Accepted" : reason === "none" ? "Closed" : "Refused";
    find("why").textContent = text;
    if (text === this.#said.text || now - this.#said.at < QUIET) return;
    this.#said = { text, at: now };
    find("announced").textContent = `${find("state").textContent}. ${text}`;
  }

  #measures({ liveness, similarity, word, frames, seen, milliseconds, problem, final }) {
    const share = (value) => (value === null ? null : value.toFixed(3));
    const cells = { word, frames, liveness: share(liveness), similarity: share(similarity) };
    for (const [stage, taken] of Object.entries({ detection: seen, quality: seen, liveness: frames, matching: frames })) {
      cells[`ms-${stage}`] = stage in milliseconds && taken ? Math.round(milliseconds[stage] / taken) : null;
    }
    for (const [id, value] of Object.entries(cells)) find(id).textContent = value ?? "none";
    find("problem").textContent = problem ?? "none";
    const rate = this.#times.length > 1 ? (1000 * (this.#times.length - 1)) / (this.#times.at(-1) - this.#times[0]) : 0;
    find("fps").textContent = rate.toFixed(1);
    if (final && milliseconds.liveness && frames) {
      const before = this.#judging.get(word);
      const took = milliseconds.liveness / frames;
      this.#judging.set(word, before === undefined ? took : 0.8 * before + 0.2 * took);
    }
  }
}
