/**
 * The worker of the page: holds the networks and the remembered face, takes frames, answers with decisions.
 *
 * The embedding never leaves it. Messages in: open, frame, remember, forget. Out: progress, ready, decision,
 * remembered, broken.
 */

import { EmbeddingModel } from "./embedding.js";
import { Gate } from "./gate.js";
import { LivenessModel } from "./liveness.js";
import { blank, fromRGBA } from "./picture.js";
import { ChipSessions, fetchChecked, openRuntime, openSession, threads } from "./runtime.js";
import { FaceDetector } from "./yunet.js";

let gate = null;
let template = null;
let presentation = null;

const handlers = { open, frame, remember, forget };
let turn = Promise.resolve();

self.addEventListener("message", ({ data }) => {
  turn = turn.then(async () => {
    try {
      await handlers[data.kind](data);
    } catch (error) {
      presentation = null;
      self.postMessage({ kind: "broken", during: data.kind, message: String(error.message ?? error) });
    }
  });
});

/** Load the runtime and the networks. */
async function open({ backend }) {
  gate = null;
  presentation = null;
  const site = await (await fetch(new URL("../site.json", import.meta.url))).json();
  const entries = [site.detector, site.liveness, site.embedding].filter(Boolean);
  const total = entries.reduce((sum, { bytes }) => sum + bytes, 0);
  let loaded = 0;
  const progress = (bytes) => self.postMessage({ kind: "progress", loaded: (loaded += bytes), total });
  const [ort, detector, liveness, embedding] = await Promise.all([
    openRuntime(backend),
    ...[site.detector, site.liveness, site.embedding].map((entry) => entry && fetchChecked(entry, progress)),
  ]);
  const { record } = site.liveness;
  const livenessModel = new LivenessModel(ort, await openHeavy(ort, liveness, backend), record);
  // The first answer takes the longest, and tells whether a chip can be believed.
  await livenessModel.liveness(blank(record.preprocess.size, record.preprocess.size), record.default_configuration);
  gate = new Gate({
    detector: new FaceDetector(ort, await openSession(ort, detector, "wasm")),
    liveness: livenessModel,
    embedding: embedding && new EmbeddingModel(ort, await openHeavy(ort, embedding, backend), site.embedding.record),
    limits: site.limits,
    smallestFace: site.smallest_face,
  });
  const { configurations, default_configuration: preferred } = record;
  const words = livenessModel.words.map((word) => ({ word, macs: configurations[word].macs }));
  const { threshold } = site.embedding?.record ?? {};
  self.postMessage({ kind: "ready", words, preferred, matches: Boolean(threshold), threads: threads(), backend });
}

/** A session where the heavy part runs on the backend that was asked for. */
async function openHeavy(ort, content, backend) {
  const processor = await openSession(ort, content, "wasm");
  return backend === "wasm" ? processor : new ChipSessions(ort, content, processor);
}

/** Take the next frame of the presentation, or of a new one if that is decided or the settings have changed. */
async function frame({ rgba, width, height, word, frames, id }) {
  if (!presentation || presentation.word !== word || presentation.tally.frames !== frames) {
    presentation = gate.present({ word, template, frames });
  }
  const decision = await presentation.take(fromRGBA(new Uint8ClampedArray(rgba), width, height));
  if (decision.final) presentation = null;
  self.postMessage({ kind: "decision", id, matched: template !== null, decision });
}

/** Remember the face of a frame, until the page is closed. */
async function remember({ rgba, width, height }) {
  const found = await gate.remember(fromRGBA(new Uint8ClampedArray(rgba), width, height));
  if (found.template) forget(found);
  self.postMessage({ kind: "remembered", done: found.template !== null, reason: found.reason });
}

/** Forget who was remembered, or put somebody else in the place. */
function forget({ template: next = null }) {
  template = next;
  presentation = null;
}
