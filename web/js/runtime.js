/**
 * ONNX Runtime in the browser, and the files of the page, opened only if they are the ones that were packed.
 *
 * The processor (WASM with SIMD, several threads where the page is isolated) is what everything is tested with. A
 * graphics chip (WebGPU) has to give the same answers.
 */

/** More threads than this do not make networks of a few milliseconds faster. */
const MOST_THREADS = 4;

/** What a chip may round differently, as a share of the largest number of an answer. */
const ROUNDING = 5e-4;

/** Sessions of single words that stay in memory on a graphics chip. */
const KEPT = 3;

/** How many threads there will be: several need the headers of a page that shares memory with nobody. */
export function threads() {
  return globalThis.crossOriginIsolated ? Math.min(MOST_THREADS, Math.max(1, navigator.hardwareConcurrency >> 1)) : 1;
}

/** Load the runtime: a module with `Tensor` and `InferenceSession`. @param {"wasm" | "webgpu"} backend */
export async function openRuntime(backend) {
  const ort = await import(`../runtime/ort.${backend}.min.mjs`);
  ort.env.wasm.wasmPaths = new URL("../runtime/", import.meta.url).href;
  ort.env.wasm.numThreads = threads();
  ort.env.logLevel = "error";
  return ort;
}

/**
 * Fetch a file and check that it is the one that was packed.
 *
 * @param {{file: string, sha256: string}} entry  of site.json
 * @param {(bytes: number) => void} progress  is told how many bytes came
 * @returns {Promise<Uint8Array>}
 */
export async function fetchChecked(entry, progress = () => {}) {
  const answer = await fetch(new URL(`../${entry.file}`, import.meta.url));
  if (!answer.ok) throw new Error(`${entry.file} could not be fetched (${answer.status}).`);
  const parts = [];
  for (let reader = answer.body.getReader(); ; ) {
    const { done, value } = await reader.read();
    if (done) break;
    parts.push(value);
    progress(value.length);
  }
  const content = new Uint8Array(await new Blob(parts).arrayBuffer());
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", content));
  const found = Array.from(digest, (byte) => byte.toString(16).padStart(2, "0")).join("");
  if (found !== entry.sha256) throw new Error(`${entry.file} is damaged: reload the page, or build it again.`);
  return content;
}

/** Open a model. @param {"wasm" | "webgpu"} backend  for the heavy part; the rest runs on the processor */
export function openSession(ort, content, backend, freeDimensionOverrides = undefined) {
  const executionProviders = backend === "webgpu" ? ["webgpu", "wasm"] : ["wasm"];
  const options = { executionProviders, logSeverityLevel: 3 };
  if (freeDimensionOverrides) options.freeDimensionOverrides = freeDimensionOverrides;
  return ort.InferenceSession.create(content, options);
}

/**
 * Looks like the session of a file, and computes on a graphics chip, with a session for each configuration.
 *
 * A choice between branches would go back and forth between chip and processor; where the extents of `sel` are fixed
 * before a session is made, the runtime folds the choice away. The first answer of each configuration is compared
 * with the processor's; if it is another one, the chip is not believed.
 */
export class ChipSessions {
  #sessions = new Map();
  #checked = new Set();

  /** @param processor  a session of the same file on the processor */
  constructor(ort, content, processor, backend = "webgpu") {
    Object.assign(this, { ort, content, processor, backend });
    this.inputNames = processor.inputNames;
    this.outputNames = processor.outputNames;
  }

  async run(feed, outputs = this.outputNames.slice(0, 1)) {
    const word = feed.sel ? feed.sel.dims.join() : "";
    const session = this.#sessions.get(word) ?? this.#open(feed.sel);
    this.#sessions.delete(word);
    this.#sessions.set(word, session); // the last used comes last
    if (this.#sessions.size > KEPT) this.#sessions.delete(this.#sessions.keys().next().value);
    const found = await (await session).run(feed, outputs);
    if (!this.#checked.has(word)) {
      const expected = await this.processor.run(feed, outputs);
      for (const name of outputs) checkAlike(found[name].data, expected[name].data);
      this.#checked.add(word);
    }
    return found;
  }

  #open(sel) {
    const fixed = sel && Object.fromEntries(sel.dims.map((extent, block) => [`w${block}`, extent]));
    return openSession(this.ort, this.content, this.backend, fixed);
  }
}

/** Throws unless the numbers are the same but for rounding. */
function checkAlike(found, expected) {
  const largest = expected.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
  for (let at = 0; at < expected.length; at++) {
    if (!(Math.abs(found[at] - expected[at]) <= ROUNDING * largest)) {
      throw new Error("the graphics chip gives other answers than the processor: use the processor");
    }
  }
}
