/**
 * From the pixels to the decision by the page's own code, in the same runtime as in a browser, against Python.
 *
 * Run by test_parity.py, which says where things are: GOLDEN (vectors), LIVENESS, DETECTOR, FACE (weights files) and
 * NODE_MODULES.
 */

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, test } from "node:test";
import { pathToFileURL } from "node:url";

import { EmbeddingModel, similarity } from "../../web/js/embedding.js";
import { Gate } from "../../web/js/gate.js";
import { LivenessModel } from "../../web/js/liveness.js";
import { pictureCauses } from "../../web/js/quality.js";
import { ChipSessions, openSession } from "../../web/js/runtime.js";
import { FaceDetector } from "../../web/js/yunet.js";
import { asBox, close, golden, pictures } from "./golden.mjs";

const { LIVENESS, DETECTOR, FACE, NODE_MODULES } = process.env;

/** Of liveness and similarity. */
const TOLERANCE = 1e-3;

/** Of boxes and landmarks, in pixels: two runtimes add up in another order. */
const PIXELS = 0.01;

const ort = await import(pathToFileURL(join(NODE_MODULES, "onnxruntime-web/dist/ort.wasm.min.mjs")));
ort.env.wasm.numThreads = 1;
const read = (path) => new Uint8Array(readFileSync(path));
const detector = new FaceDetector(ort, await openSession(ort, read(DETECTOR), "wasm"));
const liveness = new LivenessModel(ort, await openSession(ort, read(LIVENESS), "wasm"), golden.liveness.record);
const embedding = new EmbeddingModel(ort, await openSession(ort, read(FACE), "wasm"), golden.embedding.record);
const parts = { detector, liveness, embedding, limits: golden.limits, smallestFace: golden.smallest_face };
const gate = new Gate(parts);
const { template } = await gate.remember(pictures[golden.cases.findIndex(({ name }) => name === golden.enrolled)]);
const [word] = Object.keys(golden.cases[0].alive);

describe("from the pixels to the decision", () => {
  for (const [at, expected] of golden.cases.entries()) {
    test(expected.name, async () => {
      const faces = await detector.detect(pictures[at]);
      assert.equal(faces.length, expected.faces.length);
      if (!faces.length) assert.deepEqual(pictureCauses(pictures[at], golden.limits), expected.picture_causes);
      for (const [index, face] of faces.entries()) {
        const wanted = expected.faces[index];
        const box = asBox(wanted.box);
        for (const side of Object.keys(box)) close(face.box[side], box[side], PIXELS, side);
        face.landmarks.flat().forEach((place, i) => close(place, wanted.landmarks.flat()[i], PIXELS, "landmark"));
        close(face.confidence, wanted.confidence, TOLERANCE, "confidence");
        for (const [word, value] of Object.entries(wanted.liveness)) {
          close(await liveness.measure(pictures[at], face.box, word), value, TOLERANCE, `liveness by ${word}`);
        }
        const alike = similarity(template, await embedding.measure(pictures[at], face.landmarks));
        close(alike, wanted.similarity, TOLERANCE, "similarity");
      }
      const door = new Gate({ ...parts, detector: { detect: async () => faces } });
      for (const word of Object.keys(expected.alive)) {
        for (const [given, answer] of [[null, expected.alive[word]], [template, expected.verified[word]]]) {
          const { accepted, reason, outcomes } = await door.present({ word, template: given }).take(pictures[at]);
          assert.deepEqual({ accepted, reason, outcomes }, answer, word);
        }
      }
    });
  }
});

describe("sessions of single configurations, as a graphics chip has them", () => {
  const content = read(LIVENESS);
  const [face] = golden.cases[0].faces;
  const measure = (processor) => {
    const sessions = new ChipSessions(ort, content, processor, "wasm");
    return new LivenessModel(ort, sessions, golden.liveness.record).measure(pictures[0], asBox(face.box), word);
  };

  test("give what the switched one gives", async () => {
    close(await measure(liveness.session), face.liveness[word], TOLERANCE, word);
  });

  test("are not believed where the processor says something else", async () => {
    const other = { outputNames: ["logits"], run: async () => ({ logits: { data: [0, 0.01] } }) };
    await assert.rejects(measure(other), /other answers than the processor/);
  });
});

describe("whatever breaks keeps it shut", () => {
  const broken = () => Promise.reject(new Error("broken"));
  const changes = {
    detector: { detect: broken },
    liveness: { measure: broken, threshold: () => 0.1 },
    embedding: { measure: broken, threshold: 0.1 },
    limits: null,
  };
  for (const [part, change] of Object.entries(changes)) {
    test(part, async () => {
      const decision = await new Gate({ ...parts, [part]: change }).present({ word, template }).take(pictures[0]);
      assert.equal(decision.accepted, false);
      assert.equal(decision.reason, "error");
      assert.ok(decision.final);
    });
  }

  for (const value of [NaN, Infinity, -1, 2, undefined]) {
    test(`a liveness of ${value}`, async () => {
      const liar = { measure: async () => value, threshold: () => 0.1 };
      const decision = await new Gate({ ...parts, liveness: liar }).present({ word, template }).take(pictures[0]);
      assert.equal(decision.accepted, false);
    });
  }

  test("another face in one frame of several", async () => {
    const presentation = new Gate({
      ...parts,
      liveness: { measure: async () => 0.9, threshold: () => 0.5 },
      embedding: { measure: async (picture) => (picture === pictures[0] ? template : template.map((v) => -v)), threshold: 0.9 },
    }).present({ word, template, frames: 3 });
    for (const picture of [pictures[0], pictures[1], pictures[0]]) await presentation.take(picture);
    assert.equal(presentation.decision().final, true);
    assert.equal(presentation.decision().accepted, false);
    assert.equal(presentation.decision().reason, "another_person");
  });

  test("a face that leaves before enough frames agree", async () => {
    const alive = { measure: async () => 0.9, threshold: () => 0.5 };
    const nobody = pictures[golden.cases.findIndex(({ faces }) => !faces.length)];
    const presentation = new Gate({ ...parts, liveness: alive }).present({ word, frames: 3, missingAllowed: 1 });
    for (const picture of [pictures[0], pictures[0], nobody, nobody]) await presentation.take(picture);
    assert.deepEqual([presentation.done, presentation.decision().accepted], [true, false]);
  });
});
