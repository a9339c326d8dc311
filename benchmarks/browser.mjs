/** Measures the page at the address URL in a headless Chromium, and prints JSON; run by browser.py. */

import { launch, PATIENCE } from "../tests/web/headless.mjs";

const { SECONDS, URL: address } = process.env;
const browser = await launch();

/** Open the page, start the camera, wait for the first decision; with nothing kept from before. */
async function visit() {
  const page = await browser.newPage();
  const finished = [];
  page.on("requestfinished", (request) => finished.push(request.sizes().then((sizes) => [request.url(), sizes])));
  const begun = Date.now();
  await page.goto(address);
  await page.waitForFunction(() => !document.getElementById("start").disabled, null, PATIENCE);
  const ready = Date.now() - begun;
  await page.click("#start");
  await page.waitForFunction(() => document.getElementById("verdict").dataset.reason !== "none", null, PATIENCE);
  const decided = Date.now() - begun;
  const sizes = (await Promise.all(finished)).map(([url, { responseBodySize, responseHeadersSize }]) => ({
    file: new URL(url).pathname,
    bytes: responseBodySize + responseHeadersSize,
  }));
  return { page, ready, decided, sizes };
}

const { page, ready, decided, sizes } = await visit();
const cell = async (id) => Number(await page.locator(`#${id}`).textContent());
const words = {};
await page.selectOption("#frames-asked", "1");
for (const word of ["LLL", "HHH", "BBB"]) {
  await page.evaluate((wanted) => {
    const dial = document.getElementById("dial");
    for (let place = 0; place <= Number(dial.max); place++) {
      dial.value = place;
      dial.dispatchEvent(new Event("input"));
      if (document.getElementById("dialled").textContent.startsWith(wanted)) return;
    }
  }, word);
  await page.waitForTimeout(1000 * Number(SECONDS));
  if ((await page.locator("#word").textContent()) !== word) continue;
  words[word] = { fps: await cell("fps") };
  for (const stage of ["detection", "quality", "liveness"]) words[word][stage] = await cell(`ms-${stage}`);
}
const threads = await page.locator("#threads").textContent();
const agent = await page.evaluate(() => navigator.userAgent);
await browser.close();
console.log(JSON.stringify({ ready_ms: ready, decided_ms: decided, sizes, words, threads, agent }));
