// Guided enrolment: three photos, each looked at when it is taken, then who it is, and what was agreed to.

import { enrol, look, Trouble } from "./api.js";

const STEPS = [
  "Photo 1 of 3: look straight into the camera.",
  "Photo 2 of 3: turn your head a little to the left.",
  "Photo 3 of 3: turn your head a little to the right.",
];
const DONE = "All three photos are good. Say who it is, and press Enrol.";

export class EnrolPart {
  #camera;
  #viewer;
  #photos = [null, null, null];

  constructor(camera, viewer) {
    this.#camera = camera;
    this.#viewer = viewer;
    this.active = false;
    this.limits = null;
    element("take").addEventListener("click", () => this.#take());
    element("enrol-form").addEventListener("submit", (event) => {
      event.preventDefault();
      this.#send();
    });
    viewer.addEventListener("look", (event) => {
      element("take").disabled = !event.detail.fit || this.#next() < 0;
    });
    this.#render();
  }

  #next() {
    return this.#photos.findIndex((photo) => photo === null);
  }

  async #take() {
    const place = this.#next();
    if (place < 0) return;
    await this.#viewer.alone(async () => {
      try {
        const blob = await this.#camera.frame();
        if (!blob) return;
        const found = await look(blob);
        if (!found.fit) {
          say(`${found.sentence} Then take the photo again.`, false);
          return;
        }
        this.#photos[place] = { blob, found, bitmap: await createImageBitmap(blob) };
        say("", true);
      } catch (error) {
        if (!(error instanceof Trouble)) throw error;
        say(error.message, false);
      }
    });
    this.#render();
  }

  #render() {
    const next = this.#next();
    element("enrol-step").textContent = next < 0 ? DONE : STEPS[next];
    if (next < 0) element("take").disabled = true;
    element("photos").replaceChildren(...this.#photos.map((photo, place) => this.#item(photo, place)));
  }

  #item(photo, place) {
    const item = document.createElement("li");
    if (photo === null) {
      item.append(" not taken yet");
      return item;
    }
    const canvas = document.createElement("canvas");
    canvas.width = photo.bitmap.width;
    canvas.height = photo.bitmap.height;
    canvas.getContext("2d").drawImage(photo.bitmap, 0, 0);
    canvas.setAttribute("role", "img");
    canvas.setAttribute("aria-label", `Photo ${place + 1}`);
    const again = document.createElement("button");
    again.type = "button";
    again.textContent = `Take photo ${place + 1} again`;
    again.addEventListener("click", () => {
      this.#photos[place] = null;
      this.#render();
      element("take").focus();
    });
    item.append(canvas, ...quality(photo.found.quality, this.limits), again);
    return item;
  }

  async #send() {
    if (this.#next() >= 0) {
      say("Take all three photos first.", false);
      return;
    }
    const words = { consent: element("consent").value, renew: String(element("renew").checked) };
    if (element("retention").value) words.retention = element("retention").value;
    const blobs = this.#photos.map((photo) => photo.blob);
    try {
      const report = await this.#viewer.alone(() => enrol(element("handle").value.trim(), blobs, words));
      say(report.sentence, report.enrolled);
      report.photos.forEach((photo, place) => {
        if (!photo.accepted) this.#photos[place] = null;
      });
      if (report.enrolled) {
        this.#photos = [null, null, null];
        element("enrol-form").reset();
      }
    } catch (error) {
      if (!(error instanceof Trouble)) throw error;
      say(error.message, false);
    }
    this.#render();
  }
}

/** Light and sharpness as meters with words, and the width of the face. */
function quality(measured, limits) {
  const light = meter("Light", measured.brightness, 255, limits?.brightness ?? 0, `${Math.round(measured.brightness)} of 255`);
  const sharp = meter("Sharpness", measured.sharpness, 1, limits?.sharpness ?? 0, measured.sharpness.toFixed(2));
  const width = document.createElement("p");
  width.className = "small";
  width.textContent = `Face ${Math.round(measured.face_width)} pixels wide`;
  return [...light, ...sharp, width];
}

function meter(name, value, highest, least, said) {
  const label = document.createElement("label");
  label.className = "small";
  label.textContent = `${name}: ${said}`;
  const bar = document.createElement("meter");
  Object.assign(bar, { min: 0, max: highest, low: least * 1.3, value: Math.min(value, highest) });
  label.append(bar);
  return [label];
}

function say(sentence, good) {
  element("enrol-result").className = `result ${good ? "accepted" : "refused"}`;
  element("enrol-result").textContent = sentence;
}

function element(id) {
  return document.getElementById(id);
}
