/**
 * The page: camera, dial and buttons around a worker that decides.
 *
 * Nothing is shown as accepted that the worker has not just decided: if frames or answers stop, it says refused.
 */

import { Camera } from "./camera.js";
import { View } from "./view.js";

/** Without an answer for so many milliseconds, nothing is known. */
const STALE = 3000;

const find = (id) => document.getElementById(id);
const camera = new Camera(find("video"));
const view = new View();
const worker = new Worker(new URL("./worker.js", import.meta.url), { type: "module" });

let words = [];
let ready = false;
let running = false;
let waiting = false;
let answered = 0;
let remembering = false;

const handlers = {
  progress({ loaded, total }) {
    find("loading").value = loaded / total;
    find("loaded").textContent = `${(loaded / 1e6).toFixed(1)} of ${(total / 1e6).toFixed(1)} MB`;
  },

  ready(message) {
    words = message.words;
    ready = true;
    find("load").hidden = true;
    find("start").disabled = false;
    find("file").disabled = false;
    find("dial").max = words.length - 1;
    find("dial").value = words.findIndex(({ word }) => word === message.preferred);
    find("dial").disabled = words.length < 2;
    find("matching").hidden = !message.matches;
    find("threads").textContent = message.backend === "webgpu" ? "graphics chip" : `${message.threads}`;
    turned();
    view.shut("Start the camera, or choose a picture.");
  },

  decision({ decision, matched }) {
    waiting = false;
    answered = performance.now();
    if (!running) return;
    view.draw(camera.canvas, decision, camera.isLive);
    view.decide(decision, matched);
    turned();
  },

  remembered({ done, reason }) {
    waiting = false;
    find("remembered").textContent = done
      ? "Remembered until this page is closed. The question is now: alive, and this person?"
      : `Not remembered (${reason.replaceAll("_", " ")}); try again.`;
    if (done) find("forget").disabled = false;
  },

  broken({ during, message }) {
    waiting = false;
    if (during === "open") {
      find("loaded").textContent = message;
      if (find("webgpu").checked) useProcessor();
    }
    view.shut(`Something broke: ${message}`);
  },
};

worker.addEventListener("message", ({ data }) => handlers[data.kind](data));
worker.addEventListener("error", () => view.shut("The worker could not be started; reload the page."));

function open(backend) {
  ready = false;
  find("load").hidden = false;
  worker.postMessage({ kind: "open", backend });
}

function useProcessor() {
  find("wasm").checked = true;
  open("wasm");
}

function loop() {
  if (!running) return;
  requestAnimationFrame(loop);
  if (view.isOpen && performance.now() - answered > STALE) view.shut("No answer: nothing is known.");
  if (!ready || waiting || document.hidden) return;
  const frame = camera.frame();
  if (frame === null) {
    if (view.isOpen) view.shut("The camera stopped.");
    return;
  }
  waiting = true;
  const kind = remembering ? "remember" : "frame";
  remembering = false;
  const { word } = words[find("dial").value];
  worker.postMessage({ kind, ...frame, word, frames: Number(find("frames-asked").value) }, [frame.rgba]);
}

function run() {
  find("stop").disabled = false;
  find("remember").disabled = false;
  answered = performance.now();
  if (running) return;
  running = true;
  requestAnimationFrame(loop);
}

function turned() {
  const { word, macs } = words[find("dial").value];
  const took = view.latency(word);
  const cost = `${(macs / 1e6).toFixed(0)} million multiply-adds${took === null ? "" : `, ${took.toFixed(0)} ms`}`;
  find("dialled").textContent = `${word}: ${cost}`;
  find("dial").setAttribute("aria-valuetext", `${[...word].join(" ")}, ${cost}`);
}

find("dial").addEventListener("input", turned);

find("start").addEventListener("click", async () => {
  try {
    await camera.start();
    run();
  } catch (error) {
    view.shut(`No camera (${error.name}): allow it, or choose a picture.`);
  }
});

find("stop").addEventListener("click", () => {
  running = false;
  camera.stop();
  find("stop").disabled = true;
  find("remember").disabled = true;
  view.clear();
  view.shut("Stopped.");
});

find("file").addEventListener("change", async ({ target }) => {
  const [file] = target.files;
  if (!file) return;
  try {
    await camera.open(file);
    run();
  } catch {
    view.shut("This file is no picture or video that the browser can show.");
  }
});

find("remember").addEventListener("click", () => {
  remembering = true;
});

find("forget").addEventListener("click", () => {
  worker.postMessage({ kind: "forget" });
  find("forget").disabled = true;
  find("remembered").textContent = "Forgotten.";
});

for (const backend of ["wasm", "webgpu"]) {
  find(backend).addEventListener("change", () => open(backend));
}

/** Say what this is made of, and offer the graphics chip where the page has the runtime for it and there is one. */
async function introduce() {
  const site = await (await fetch("site.json")).json();
  find("version").textContent = site.version;
  const records = [site.liveness.record, site.embedding?.record].filter(Boolean);
  find("weights").textContent = records.map(({ name, version, licence }) => `${name} ${version}: ${licence}`).join("; ");
  const adapter = site.backends.includes("webgpu") && (await navigator.gpu?.requestAdapter());
  find("backends").hidden = !adapter;
}

view.shut("Loading the networks.");
open("wasm");
introduce();
