/**
 * A headless Chromium whose camera is a clip, and whose own calls home find nobody.
 *
 * The environment says where things are: CHROMIUM, CLIP (YUV4MPEG2), NODE_MODULES, and NET_LOG for the browser's log
 * of all that it asked the network for.
 */

import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";

const { CHROMIUM, CLIP, NET_LOG, NODE_MODULES } = process.env;
const require = createRequire(join(NODE_MODULES, "here.js"));

/** A machine that does other things too is slow to start a browser. */
export const PATIENCE = { timeout: 120_000 };

/** The source of axe-core, to be evaluated in a page. */
export const axe = () => readFileSync(require.resolve("axe-core/axe.min.js"), "utf8");

export function launch() {
  return require("playwright-core").chromium.launch({
    executablePath: CHROMIUM,
    args: [
      "--no-sandbox",
      "--disable-gpu",
      "--disable-quic",
      "--no-first-run",
      "--disable-background-networking",
      "--disable-component-update",
      "--disable-sync",
      "--use-fake-device-for-media-stream",
      "--use-fake-ui-for-media-stream",
      `--use-file-for-fake-video-capture=${CLIP}`,
      "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE localhost",
      ...(NET_LOG ? [`--log-net-log=${NET_LOG}`] : []),
    ],
  });
}
