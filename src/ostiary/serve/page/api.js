// Asks the server. A token lives in this tab alone, and nothing is asked of any other place.

const KEY = "ostiary-token";

/** The server's one sentence on why a request was not done. */
export class Trouble extends Error {
  constructor(status, sentence, waitSeconds) {
    super(sentence);
    this.status = status;
    this.waitSeconds = waitSeconds;
  }
}

export function setToken(token) {
  if (token) sessionStorage.setItem(KEY, token);
  else sessionStorage.removeItem(KEY);
}

/** What the dial of this page is turned to; null for the door's own configuration. */
export const chosen = { configuration: null };

/** Ask, and return the answer's JSON; a Trouble is thrown for anything but a success. */
export async function ask(method, path, { photos = [], words = {}, query = {} } = {}) {
  const headers = {};
  const token = sessionStorage.getItem(KEY);
  if (token) headers.Authorization = `Bearer ${token}`;
  let body;
  if (method === "POST") {
    body = new FormData();
    photos.forEach((photo, place) => body.append("photo", photo, `${place}.jpg`));
    for (const [name, value] of Object.entries(words)) body.append(name, value);
  }
  const search = new URLSearchParams(query).toString();
  let response;
  try {
    response = await fetch(search ? `${path}?${search}` : path, { method, headers, body, cache: "no-store" });
  } catch {
    throw new Trouble(0, "The server does not answer.", 5);
  }
  let answer = {};
  try {
    answer = await response.json();
  } catch {
    answer = { error: `The server answered with status ${response.status} and no words.` };
  }
  if (response.ok) return answer;
  if (response.status === 401) document.dispatchEvent(new Event("token-needed"));
  throw new Trouble(response.status, answer.error, Number(response.headers.get("Retry-After")) || 1);
}

/** How the photo looks, without a try: what is wrong with it, and where the face is. */
export const look = (photo) => ask("POST", "check", { photos: [photo], query: { liveness: "false" } });

/** A decision about somebody who claims to be `user`, or about whoever it is. */
export function decide(photos, user) {
  const query = chosen.configuration === null ? {} : { configuration: chosen.configuration };
  return user ? ask("POST", "verify", { photos, words: { user }, query }) : ask("POST", "identify", { photos, query });
}

export const about = () => ask("GET", "about");
export const thresholds = () => ask("GET", "thresholds");
export const configurations = () => ask("GET", "configurations");
export const people = () => ask("GET", "users");
export const forget = (user) => ask("DELETE", `users/${encodeURIComponent(user)}`);
export const enrol = (user, photos, words) =>
  ask("POST", `users/${encodeURIComponent(user)}/photos`, { photos, words });
