// The question before a key is forgotten: the org's id has to be typed.

import { h, newId, say } from "./dom.js";
import { PROVIDERS } from "./providers.js";

/** @import {Org} from "./types.d.ts" */

/**
 * Ask; `clear` is called when the person means it, with what to call when it takes long, and may throw. Resolves when
 * the dialog has closed.
 * @param {Org} org @param {string} provider @param {(onslow: () => void) => Promise<void>} clear @returns {Promise<void>}
 */
export function askToClear(org, provider, clear) {
  const { title } = PROVIDERS[provider];
  const id = newId("clear");
  const fault = h("p", { class: "fault", role: "alert" });
  const input = h("input", { id, class: "input", autocomplete: "off", autocapitalize: "off", spellcheck: "false", oninput: compare });
  const confirm = h("button", { type: "submit", class: "button danger", "aria-disabled": "true" }, `Clear ${title}`);
  const cancel = h("button", { type: "button", class: "button", onclick: () => isClearing || dialog.close() }, "Keep it");
  const form = h(
    "form",
    { onsubmit: submit },
    h("h2", { id: `${id}-title` }, `Clear ${title}?`),
    h(
      "p",
      {},
      `The key is destroyed and every box of ${org.name} loses ${title} at once. Running answers are cut. This cannot be undone; to stop for a while, switch it off instead.`,
    ),
    h("label", { for: id }, "To confirm, type ", h("code", {}, org.org)),
    input,
    fault,
    h("div", { class: "actions" }, cancel, confirm),
  );
  const dialog = h("dialog", { class: "dialog", "aria-labelledby": `${id}-title`, oncancel: stay }, form);
  let isClearing = false;

  function compare() {
    confirm.setAttribute("aria-disabled", String(input.value.trim() !== org.org));
    say(fault, "");
  }
  // What is under way cannot be kept any more, and what comes of it is told here.
  /** @param {Event} event */
  function stay(event) {
    if (isClearing) event.preventDefault();
  }
  /** @param {SubmitEvent} event */
  async function submit(event) {
    event.preventDefault();
    if (isClearing) return;
    if (confirm.getAttribute("aria-disabled") === "true") {
      say(fault, `This is not ${org.org}.`);
      return input.focus();
    }
    confirm.setAttribute("aria-disabled", "true");
    isClearing = true;
    say(confirm, "Clearing …");
    try {
      await clear(() => say(fault, "This takes longer than usual …"));
      dialog.close();
    } catch (error) {
      isClearing = false;
      say(confirm, `Clear ${title}`);
      compare();
      say(fault, error.message);
    }
  }
  document.body.append(dialog);
  dialog.showModal();
  input.focus();
  return new Promise((resolve) => {
    dialog.addEventListener("close", () => {
      dialog.remove();
      resolve();
    });
  });
}
