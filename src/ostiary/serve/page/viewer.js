// Looks at the camera a few times a second: draws a box around the face, and says what is in the way.
// Such a look costs no try. Whoever listens ("look") may then ask for a decision, or take a photo.

import { look, Trouble } from "./api.js";

const PAUSE_MS = 250;

export class Viewer extends EventTarget {
  #camera;
  #overlay;
  #guide;
  #busy = false;

  constructor(camera, overlay, guide) {
    super();
    this.#camera = camera;
    this.#overlay = overlay;
    this.#guide = guide;
  }

  /** Look until the camera is stopped. */
  async run() {
    while (this.#camera.running) {
      let pause = PAUSE_MS;
      if (!this.#busy && !document.hidden) {
        try {
          pause = await this.#once();
        } catch (error) {
          if (!(error instanceof Trouble)) throw error;
          this.say(error.message);
          pause = 1000 * error.waitSeconds;
        }
      }
      await new Promise((resolve) => setTimeout(resolve, pause));
    }
    this.#draw(null);
    this.say("The camera is off.");
  }

  /** Do something with the camera without looking in between. */
  async alone(work) {
    this.#busy = true;
    try {
      return await work();
    } finally {
      this.#busy = false;
    }
  }

  /** Say what to do; a screen reader hears it once, however often it is said. */
  say(sentence) {
    if (this.#guide.textContent !== sentence) this.#guide.textContent = sentence;
  }

  async #once() {
    const photo = await this.#camera.frame();
    if (!photo) return PAUSE_MS;
    const found = await look(photo);
    if (this.#busy || !this.#camera.running) return PAUSE_MS;
    this.#draw(found);
    this.say(found.sentence);
    this.dispatchEvent(new CustomEvent("look", { detail: found }));
    return PAUSE_MS;
  }

  #draw(found) {
    const context = this.#overlay.getContext("2d");
    [this.#overlay.width, this.#overlay.height] = found?.size ?? [1, 1];
    if (!found?.box) return;
    const [x, y, width, height] = found.box;
    context.lineWidth = Math.max(2, found.size[0] / 160);
    context.strokeStyle = found.fit ? "#3ddc84" : "#ffb000";
    context.setLineDash(found.fit ? [] : [12, 8]); // not by colour alone
    context.strokeRect(x, y, width, height);
  }
}
