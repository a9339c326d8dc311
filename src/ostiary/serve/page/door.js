// The door: somebody steps before the camera, and gets one decision.
// A face must be fit for two looks in a row. Whoever was let in is not judged again while they stand there.

import { decide, Trouble } from "./api.js";

const LOOKS = 2;
const REST_MS = 3000;
const BETWEEN_FRAMES_MS = 120;

export class DoorPart {
  #camera;
  #viewer;
  #frames = 1;
  #fit = 0;
  #waitUntil = 0;
  #passed = false;

  constructor(camera, viewer) {
    this.#camera = camera;
    this.#viewer = viewer;
    this.active = false;
    viewer.addEventListener("look", (event) => this.#looked(event.detail));
    element("door-form").addEventListener("submit", (event) => {
      event.preventDefault();
      if (this.#camera.running) this.#decide();
      else show(false, "Not yet", "Start the camera first.");
    });
  }

  set frames(number) {
    this.#frames = number;
  }

  #looked(found) {
    this.#fit = found.fit ? this.#fit + 1 : 0;
    if (found.faces === 0) this.#passed = false;
    const automatic = this.active && element("automatic").checked && !this.#passed;
    if (automatic && this.#fit >= LOOKS && performance.now() >= this.#waitUntil) this.#decide();
  }

  async #decide() {
    this.#fit = 0;
    await this.#viewer.alone(async () => {
      try {
        const decision = await decide(await this.#photos(), element("claim").value.trim());
        this.#passed = decision.accepted;
        this.#waitUntil = performance.now() + Math.max(REST_MS, 1000 * (decision.retry_s ?? 0));
        show(decision.accepted, decision.accepted ? "Accepted" : "Refused", decision.sentence);
        element("decision-times").textContent = times(decision);
      } catch (error) {
        if (!(error instanceof Trouble)) throw error;
        this.#waitUntil = performance.now() + Math.max(REST_MS, 1000 * error.waitSeconds);
        show(false, "No decision", error.message);
      }
    });
  }

  async #photos() {
    const photos = [];
    while (photos.length < this.#frames) {
      if (photos.length) await new Promise((resolve) => setTimeout(resolve, BETWEEN_FRAMES_MS));
      const photo = await this.#camera.frame();
      if (!photo) throw new Trouble(0, "The camera shows nothing.", 1);
      photos.push(photo);
    }
    return photos;
  }
}

function show(accepted, word, sentence) {
  element("decision").className = `decision ${accepted ? "accepted" : "refused"}`;
  element("decision-word").textContent = `${accepted ? "\u2713" : "\u2715"} ${word}`;
  element("decision-sentence").textContent = sentence;
}

function times(decision) {
  const stages = Object.entries(decision.milliseconds);
  const whole = stages.reduce((sum, [, taken]) => sum + taken, 0);
  const parts = stages.map(([stage, taken]) => `${stage} ${taken.toFixed(0)}`).join(", ");
  return `Configuration ${decision.configuration}: ${whole.toFixed(0)} ms in all (${parts}).`;
}

function element(id) {
  return document.getElementById(id);
}
