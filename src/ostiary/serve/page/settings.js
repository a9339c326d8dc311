// The dial with what each notch costs here, and the thresholds with the error rates that they stand for.

import { chosen, configurations, thresholds, Trouble } from "./api.js";

const TARGETS = {
  apcer: "attacks that pass (APCER)",
  bpcer: "living people refused (BPCER)",
  fmr: "strangers taken for somebody (FMR)",
  fnmr: "people not recognised (FNMR)",
};
const ORIGINS = {
  calibration: "from the calibration of this site",
  weights: "from the record in the weights, not measured here",
  none: "missing: every face is refused until somebody calibrates",
};

export class SettingsPart {
  #notches = [];
  #own = "";

  constructor() {
    element("dial").addEventListener("input", () => this.#turned());
  }

  async show(about) {
    element("problems").replaceChildren(...about.problems.map(listItem));
    try {
      this.#showThresholds(await thresholds());
      this.#showDial(await configurations());
    } catch (error) {
      if (!(error instanceof Trouble)) throw error;
      element("dial-says").textContent = error.message;
    }
  }

  #showThresholds(known) {
    const rows = known.liveness
      .filter(({ word }) => word === (chosen.configuration ?? known.configuration))
      .map(({ word, operating }) => row(`Alive? (${word})`, operating));
    if (known.matching) rows.push(row("The right person?", known.matching));
    element("threshold-rows").replaceChildren(...rows);
    element("threshold-origin").textContent =
      `The threshold of liveness is ${ORIGINS[known.liveness_origin]}; ` +
      `that of matching is ${ORIGINS[known.matching_origin]}.`;
  }

  #showDial(known) {
    this.#own = known.configuration;
    const now = chosen.configuration ?? known.configuration;
    this.#notches = known.configurations.filter(
      (one) => one.word === known.configuration || (one.worthwhile && one.calibrated),
    );
    const dial = element("dial");
    dial.max = String(Math.max(0, this.#notches.length - 1));
    dial.value = String(Math.max(0, this.#notches.findIndex((one) => one.word === now)));
    dial.disabled = !known.may_choose || this.#notches.length < 2;
    element("dial-help").textContent = known.may_choose
      ? "It holds for what this page asks until it is closed. Restart the server with --configuration to keep it."
      : "Only an administrator may turn it.";
    this.#say();
  }

  #turned() {
    const notch = this.#notches[Number(element("dial").value)];
    chosen.configuration = notch.word === this.#own ? null : notch.word;
    this.#say();
    thresholds().then((known) => this.#showThresholds(known), () => {});
  }

  #say() {
    const notch = this.#notches[Number(element("dial").value)];
    if (!notch) {
      element("dial-says").textContent = "The door's configuration is no single notch of the dial.";
      return;
    }
    const error =
      notch.development_error === null
        ? "its error was not measured"
        : `${percent(notch.development_error)} error on development data`;
    const said = `${notch.word}: ${notch.milliseconds.toFixed(1)} ms a face on this machine, ${error}.`;
    element("dial").setAttribute("aria-valuetext", said);
    element("dial-says").textContent = said;
  }
}

function row(question, operating) {
  const made = document.createElement("tr");
  const name = document.createElement("th");
  name.scope = "row";
  name.textContent = question;
  const [kind, rate] = operating.target.split("=");
  const target = rate
    ? `at most ${percent(Number(rate))} of ${TARGETS[kind] ?? kind}`
    : `a stated rate of ${TARGETS[kind] ?? kind}`;
  const interval = operating.low === null ? "" : ` (${percent(operating.low)} to ${percent(operating.high)})`;
  const measured = operating.rate === null ? limit(operating) : `${percent(operating.rate)}${interval}`;
  const people = operating.people === null ? "" : `, ${operating.people} people`;
  const over = `${operating.trials} trials${people}: ${operating.data}`;
  const warned = operating.warning ? `${over}. ${operating.warning}` : over;
  made.append(name, ...[operating.value.toFixed(3), target, measured, warned].map(cell));
  return made;
}

function limit(operating) {
  return operating.upper_limit === null ? "not recorded" : `at most ${percent(operating.upper_limit)}`;
}

function percent(rate) {
  return `${Number((100 * rate).toPrecision(2))}\u00a0%`;
}

function cell(text) {
  const made = document.createElement("td");
  made.textContent = text;
  return made;
}

function listItem(text) {
  const made = document.createElement("li");
  made.textContent = text;
  return made;
}

function element(id) {
  return document.getElementById(id);
}
