// Who is enrolled, and how to be forgotten.

import { forget, people, Trouble } from "./api.js";

export class PeoplePart {
  constructor() {
    element("people-again").addEventListener("click", () => this.show());
  }

  async show() {
    try {
      const found = await people();
      const number = found.length === 1 ? "1 person is enrolled." : `${found.length} people are enrolled.`;
      say(number);
      element("people-rows").replaceChildren(...found.map((one) => this.#row(one)));
    } catch (error) {
      if (!(error instanceof Trouble)) throw error;
      say(error.message);
      element("people-rows").replaceChildren();
    }
  }

  #row(one) {
    const row = document.createElement("tr");
    const name = document.createElement("th");
    name.scope = "row";
    name.textContent = one.user;
    const remove = document.createElement("button");
    remove.type = "button";
    remove.textContent = `Delete ${one.user}`;
    remove.addEventListener("click", () => this.#delete(one.user));
    const note = one.problem ?? (one.expired ? "The last day is over: renew or delete." : "");
    row.append(name, cell(one.enrolled ?? ""), cell(one.retention ?? "no end"), cell(note), cell(remove));
    return row;
  }

  async #delete(user) {
    if (!(await confirmed(user))) return;
    try {
      const deletion = await forget(user);
      await this.show();
      say([`${deletion.user} is deleted.`, ...deletion.remains].join(" "));
    } catch (error) {
      if (!(error instanceof Trouble)) throw error;
      say(error.message);
    }
  }
}

function confirmed(user) {
  const dialog = element("delete-dialog");
  element("delete-who").textContent = `${user} will have to enrol again.`;
  dialog.returnValue = "keep";
  dialog.showModal();
  return new Promise((resolve) => {
    dialog.addEventListener("close", () => resolve(dialog.returnValue === "delete"), { once: true });
  });
}

function cell(content) {
  const made = document.createElement("td");
  made.append(content);
  return made;
}

function say(sentence) {
  element("people-result").textContent = sentence;
}

function element(id) {
  return document.getElementById(id);
}
