// Puts the parts of the page together: which one is shown, the camera's button, and the token.

import { about, setToken, Trouble } from "./api.js";
import { Camera } from "./camera.js";
import { DoorPart } from "./door.js";
import { EnrolPart } from "./enrol.js";
import { PeoplePart } from "./people.js";
import { SettingsPart } from "./settings.js";
import { Viewer } from "./viewer.js";

const WITH_CAMERA = ["door", "enrol"];
const PARTS = ["door", "enrol", "people", "settings"];

const element = (id) => document.getElementById(id);
const camera = new Camera(element("video"));
const viewer = new Viewer(camera, element("overlay"), element("guide"));
const door = new DoorPart(camera, viewer);
const enrol = new EnrolPart(camera, viewer);
const people = new PeoplePart();
const settings = new SettingsPart();
let known = null;

/** Show the part that the address names, and move the reader's place there if somebody asked for it. */
function show(asked) {
  const name = PARTS.find((part) => `#${part}` === location.hash) ?? "door";
  for (const part of PARTS) element(part).hidden = part !== name;
  for (const link of document.querySelectorAll("nav a")) {
    if (link.hash === `#${name}`) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  element("view").hidden = !WITH_CAMERA.includes(name);
  element("main").classList.toggle("wide-part", !WITH_CAMERA.includes(name));
  door.active = name === "door";
  enrol.active = name === "enrol";
  if (known && name === "people") people.show();
  if (known && name === "settings") settings.show(known);
  if (asked) element(`${name}-title`).focus({ preventScroll: true });
  window.scrollTo(0, 0); // the browser has jumped to the part, past the camera
}

/** Learn what the token may, and show no part that it may not. */
async function begin() {
  try {
    known = await about();
  } catch (error) {
    if (!(error instanceof Trouble)) throw error;
    element("trouble").textContent = error.message;
    return;
  }
  element("trouble").textContent = "";
  element("door-name").textContent = known.door;
  door.frames = known.frames;
  enrol.limits = known.limits;
  for (const link of document.querySelectorAll("nav a[data-right]")) {
    link.parentElement.hidden = !known.rights.includes(link.dataset.right);
  }
  show(false);
}

async function startCamera() {
  element("trouble").textContent = "";
  try {
    await camera.start();
  } catch (error) {
    element("trouble").textContent = error.message;
    return;
  }
  label(true);
  await viewer.run();
  label(false);
}

function label(running) {
  element("camera").textContent = running ? "Stop camera" : "Start camera";
}

element("camera").addEventListener("click", () => (camera.running ? camera.stop() : startCamera()));
element("token-open").addEventListener("click", () => element("token-dialog").showModal());
element("token-close").addEventListener("click", () => element("token-dialog").close());
element("token-form").addEventListener("submit", () => {
  setToken(element("token").value.trim());
  element("token").value = "";
  begin();
});
document.addEventListener("token-needed", () => {
  if (!element("token-dialog").open) element("token-dialog").showModal();
});
window.addEventListener("hashchange", () => show(true));

show(false);
await begin();
if (new URLSearchParams(location.search).has("start")) await startCamera();
