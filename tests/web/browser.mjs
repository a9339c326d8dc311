/**
 * The built page in a headless Chromium with a fake camera: what it decides, what it fetches, and whether everybody
 * can use it. Run by test_browser.py, which judges the JSON that this prints.
 */

import { join } from "node:path";

import { axe, launch, PATIENCE } from "./headless.mjs";

const { SHOTS, URL: address } = process.env;
const browser = await launch();
const page = await browser.newPage({ viewport: { width: 1180, height: 860 } });
const errors = [];
page.on("pageerror", (error) => errors.push(String(error)));
page.on("console", (message) => message.type() === "error" && errors.push(message.text()));

const text = (id) => page.locator(`#${id}`).textContent();
const shot = (name) => page.screenshot({ path: join(SHOTS, `${name}.png`) });
const faults = async () => {
  await page.evaluate(axe());
  const { violations } = await page.evaluate(() => globalThis.axe.run());
  return violations.map(({ id, impact, nodes }) => ({ id, impact, where: nodes.map(({ html }) => html) }));
};
const verdict = async () => {
  const found = await page.waitForFunction(
    (begun) => {
      const { reason, state } = document.getElementById("verdict").dataset;
      const judged = document.getElementById("frames").textContent === begun;
      return judged && !["none", "not_measured"].includes(reason) && { reason, state };
    },
    await page.locator("#frames-asked").inputValue(),
    PATIENCE,
  );
  return found.jsonValue();
};

const answers = { faults: {} };
const begun = Date.now();
await page.goto(address);
await page.waitForFunction(() => !document.getElementById("start").disabled, null, PATIENCE);
answers.ready_ms = Date.now() - begun;
answers.isolated = await page.evaluate(() => globalThis.crossOriginIsolated);
answers.before = await page.locator("#verdict").evaluate(({ dataset }) => dataset.state);
answers.faults.idle = await faults();

await page.click("#start");
answers.alive = await verdict();
answers.decided_ms = Date.now() - begun;
await page.waitForTimeout(4000);
answers.fps = Number(await text("fps"));
answers.liveness = Number(await text("liveness"));
await shot("alive");
answers.faults.running = await faults();

answers.words = [await text("word")];
await page.locator("#dial").focus();
await page.keyboard.press("End");
await page.waitForFunction((before) => document.getElementById("word").textContent !== before, answers.words[0], PATIENCE);
answers.words.push(await text("word"));
answers.dialled = await verdict();
await shot("dialled");

if (await page.locator("#matching").isVisible()) {
  await page.click("#remember");
  await page.waitForFunction(() => !document.getElementById("forget").disabled, null, PATIENCE);
  await page.waitForFunction(() => document.getElementById("similarity").textContent !== "none", null, PATIENCE).catch(() => {});
  answers.matched = await verdict();
  answers.similarity = await text("similarity");
  answers.why = await text("why");
  await shot("matched");
}

// A page that looks accepted when nothing is judged any more would be worse than none.
await page.click("#stop");
answers.after = await page.locator("#verdict").evaluate(({ dataset }) => dataset.state);
answers.threads = await text("threads");
answers.errors = [...errors];
await page.setViewportSize({ width: 390, height: 844 });
await page.screenshot({ path: join(SHOTS, "phone.png"), fullPage: true });
answers.wide = await page.evaluate(() => document.documentElement.scrollWidth > innerWidth);

// Whatever the code of the page or of its worker says, no other host is called.
const call = (url) => fetch(url).then(() => "went out", ({ name }) => name);
const elsewhere = new URL("/", address.replace("localhost", "127.0.0.1")).href;
answers.calls = [await page.evaluate(call, elsewhere), await page.workers()[0].evaluate(call, elsewhere)];

// A file that is not the one that was packed is not opened.
const other = await browser.newPage();
await other.route("**/models/detector-*.onnx", (route) => route.fulfill({ status: 200, body: "not the detector" }));
await other.goto(address);
await other.waitForFunction(() => document.getElementById("why").textContent.includes("damaged"), null, PATIENCE);
answers.damaged = await other.locator("#start").isDisabled();
await browser.close();
console.log(JSON.stringify(answers));
