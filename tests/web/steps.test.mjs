/**
 * The page's rules, crops and quality against golden vectors of Python, each by itself; no network is needed.
 *
 * Run by test_parity.py, which names the vectors in GOLDEN.
 */

import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { describe, test } from "node:test";

import { alignedCrop, looseCrop } from "../../web/js/crops.js";
import { compared, decide, OUTCOMES, STAGES, TO_LIVE, TO_PASS, worstOf } from "../../web/js/decide.js";
import { causes, measure, pose } from "../../web/js/quality.js";
import { Tally } from "../../web/js/tally.js";
import { SENTENCES } from "../../web/js/words.js";
import { asBox, close, golden, pictures, unpacked } from "./golden.mjs";

describe("rules", () => {
  const { rules } = golden;

  test("stages and outcomes are the same", () => {
    assert.deepEqual(STAGES, rules.stages);
    assert.deepEqual(OUTCOMES, rules.outcomes);
    assert.deepEqual(TO_PASS, rules.to_pass);
    assert.deepEqual(TO_LIVE, rules.to_live);
  });

  test("the whole truth table, of which one row opens", () => {
    const table = unpacked(rules.table);
    assert.equal(table.length, OUTCOMES.length ** STAGES.length);
    let opened = 0;
    for (let row = 0; row < table.length; row++) {
      const outcomes = {};
      for (let stage = STAGES.length - 1, rest = row; stage >= 0; stage--, rest = Math.floor(rest / OUTCOMES.length)) {
        outcomes[STAGES[stage]] = OUTCOMES[rest % OUTCOMES.length];
      }
      const { opens, stoppedBy } = decide(outcomes, STAGES);
      if (opens !== (table[row] === 255) || (stoppedBy === null ? 255 : STAGES.indexOf(stoppedBy)) !== table[row]) {
        assert.fail(`row ${row}`);
      }
      opened += opens;
    }
    assert.equal(opened, 1);
  });

  test("nothing that was not asked for, or that nobody knows, opens", () => {
    const all = Object.fromEntries(STAGES.map((stage) => [stage, "passed"]));
    assert.equal(decide(all, STAGES).opens, true);
    assert.equal(decide(all, []).opens, false);
    assert.equal(decide(all, [...STAGES, "blessing"]).opens, false);
    for (const stage of STAGES) {
      for (const outcome of [undefined, null, true, "Passed", 1]) {
        assert.deepEqual(decide({ ...all, [stage]: outcome }, STAGES), { opens: false, stoppedBy: stage });
      }
      const inherited = Object.create({ [stage]: "passed" });
      assert.equal(decide(inherited, [stage]).opens, false);
    }
  });

  test("a measurement against its threshold", () => {
    const number = (value) => ({ nan: NaN, inf: Infinity, "-inf": -Infinity })[value] ?? value;
    for (const [value, threshold, outcome] of rules.compared) {
      assert.equal(compared(number(value), number(threshold)), outcome, `${value} against ${threshold}`);
    }
    assert.equal(compared(undefined, 0.5), "not_measured");
    assert.equal(compared("0.9", 0.5), "not_measured");
    assert.equal(compared(0.9, undefined), "missing");
  });

  test("every reason has a sentence", () => {
    for (const reason of rules.reasons) assert.ok(SENTENCES[reason], reason);
  });

  test("several come to the worst of them", () => {
    for (const [outcomes, outcome] of rules.worst) assert.equal(worstOf(outcomes), outcome);
  });

  test("the frames of a clip add up in log-odds", () => {
    for (const clip of rules.clips) {
      const tally = new Tally(clip.liveness.length, 8);
      for (const value of clip.liveness) tally.alive(value, clip.threshold);
      const noted = {};
      tally.report({ put: (stage, outcome) => (noted[stage] = outcome) });
      close(tally.liveness, clip.together, 1e-9, `${clip.liveness}`);
      assert.equal(noted.liveness, clip.accepted ? "passed" : "failed", `${clip.liveness}`);
    }
  });
});

describe("faces that Python found", () => {
  for (const [at, { name, faces }] of golden.cases.entries()) {
    test(name, () => {
      for (const face of faces) {
        const same = (crop, { sha256, rgb }, what) => {
          const [largest, found] = [0, createHash("sha256").update(crop.data).digest("hex")];
          const expected = unpacked(rgb);
          const off = crop.data.reduce((most, level, i) => Math.max(most, Math.abs(level - expected[i])), largest);
          assert.ok(off <= 1, `${what} crop is off by ${off} grey levels`);
          assert.equal(found, sha256, `${what} crop is off by a grey level`);
        };
        same(looseCrop(pictures[at], asBox(face.box), golden.liveness.record.preprocess), face.loose, "loose");
        same(alignedCrop(pictures[at], face.landmarks, golden.embedding.record.preprocess), face.aligned, "aligned");
        const found = measure(pictures[at], { box: asBox(face.box), landmarks: face.landmarks });
        const { quality } = face;
        close(found.faceWidth, quality.face_width, 1e-6, "width");
        close(found.brightness, quality.brightness, 1e-6, "brightness");
        close(found.contrast, quality.contrast, 1e-6, "contrast");
        close(found.clipped, quality.clipped, 1e-6, "clipped");
        close(found.sharpness, quality.sharpness, 1e-6, "sharpness");
        close(found.beyondBorder, quality.beyond_border, 1e-6, "beyond the border");
        for (const angle of Object.keys(quality.pose)) close(found.pose[angle], quality.pose[angle], 1e-6, angle);
        assert.deepEqual(causes(found, golden.limits), face.causes);
      }
    });
  }
});

test("the loose crop in every interpolation", () => {
  const box = asBox(golden.cases[0].faces[0].box);
  for (const { preprocess, sha256 } of golden.crops) {
    const found = createHash("sha256").update(looseCrop(pictures[0], box, preprocess).data).digest("hex");
    assert.equal(found, sha256, `${preprocess.interpolation}, ${preprocess.size} pixels`);
  }
});

test("points on one spot or one line have no pose", () => {
  assert.equal(pose(Array(5).fill([7, 7])), null);
  assert.equal(pose([0, 1, 2, 3, 4].map((at) => [at, 2 * at])), null);
});

test("a box that is none is refused", () => {
  const preprocess = golden.liveness.record.preprocess;
  for (const box of [[0, 0, 0, 5], [0, 0, NaN, 5], [0, 0, 1e6, 5], [Infinity, 0, 5, 5]]) {
    assert.throws(() => looseCrop(pictures[0], asBox(box), preprocess), /box/);
  }
  assert.throws(() => alignedCrop(pictures[0], Array(5).fill([7, 7]), preprocess), /landmarks/);
});
