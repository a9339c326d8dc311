/**
 * What became of each stage, and the one function that opens: all required stages passed, or it stays shut.
 *
 * The same truth table as ostiary/gate/outcomes.py, which writes it out whole for the test of this file. A stage
 * that failed, that nobody has measured, that has no threshold, that broke, or that nobody has heard of all count
 * alike: not passed. No stage makes up for another.
 */

/** In the order in which a refusal is explained: the first that has not passed gives the reason. */
export const STAGES = ["lockout", "enrolment", "detection", "quality", "liveness", "matching", "log"];

export const OUTCOMES = ["passed", "failed", "missing", "error", "not_measured"];

/** No gate opens without these. */
export const TO_PASS = ["enrolment", "detection", "quality", "liveness", "matching"];

/** What a living face has shown; it says nothing about whose it is. */
export const TO_LIVE = ["detection", "quality", "liveness"];

const WORST_FIRST = ["error", "failed", "missing", "not_measured", "passed"];

/**
 * Open if every required stage has passed; where none is required nothing has been shown, and it stays shut.
 *
 * @param {Object<string, string>} outcomes  by stage
 * @param {string[]} required
 * @returns {{opens: boolean, stoppedBy: string | null}}
 */
export function decide(outcomes, required) {
  const passed = (stage) => Object.hasOwn(outcomes, stage) && outcomes[stage] === "passed";
  const shut = STAGES.filter((stage) => required.includes(stage) && !passed(stage));
  const known = required.every((stage) => STAGES.includes(stage));
  return { opens: required.length > 0 && shut.length === 0 && known, stoppedBy: shut[0] ?? null };
}

/** What several come to together: passed only if there is one and all have. */
export function worstOf(outcomes) {
  return WORST_FIRST.find((outcome) => outcomes.includes(outcome)) ?? "missing";
}

/**
 * What a measurement in [0, 1] comes to: passed if it reaches the threshold. A threshold that is not above 0 would
 * pass everything, and counts as none; one above 1 is reached by nothing.
 *
 * @param {number | null} value
 * @param {number | null} threshold
 */
export function compared(value, threshold) {
  if (typeof threshold !== "number" || !(threshold > 0 && threshold < Infinity)) return "missing";
  if (typeof value !== "number" || !(value >= 0 && value <= 1)) return "not_measured";
  return value >= threshold ? "passed" : "failed";
}

/** The reason that an outcome gives; `failed` is that of a stage which measured, and found too little. */
export function why(outcome, failed) {
  const known = { passed: "accepted", failed, missing: "no_threshold", error: "error" };
  return Object.hasOwn(known, outcome) ? known[outcome] : "not_measured";
}
