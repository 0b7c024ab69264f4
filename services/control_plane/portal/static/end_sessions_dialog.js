// The question before a person is signed out everywhere.

import { h, newId, say } from "./dom.js";
import { orgPath, rest } from "./rest.js";

/** @import {Org} from "./types.d.ts" */

/**
 * Ask, and end the sessions. Resolves when the dialog has closed, with how many sessions were ended; null: none was to be.
 * @param {Org} org @param {string} email @param {{isMe: boolean}} about @returns {Promise<number | null>}
 */
export function askToEndSessions(org, email, { isMe }) {
  const id = newId("end-sessions");
  const fault = h("p", { class: "fault", role: "alert" });
  const confirm = h("button", { type: "submit", class: "button danger" }, "End sessions");
  const cancel = h("button", { type: "button", class: "button", onclick: () => isEnding || dialog.close() }, "Leave them");
  const form = h(
    "form",
    { onsubmit: submit },
    h("h2", { id: `${id}-title` }, isMe ? "End your own sessions?" : `End the sessions of ${email}?`),
    h(
      "p",
      {},
      `Every browser in which ${isMe ? "you are" : `${email} is`} signed in is signed out at once${isMe ? ", this one too" : ""}, in every organization. Unused sign-in links stop working. The role stays, so a new sign-in is possible; people are taken out in the run9 platform.`,
    ),
    fault,
    h("div", { class: "actions" }, cancel, confirm),
  );
  const dialog = h("dialog", { class: "dialog", "aria-labelledby": `${id}-title`, oncancel: stay }, form);
  let isEnding = false;
  /** @type {number | null} */
  let ended = null;

  // What is under way cannot be taken back, and what comes of it is told here.
  /** @param {Event} event */
  function stay(event) {
    if (isEnding) event.preventDefault();
  }
  /** @param {SubmitEvent} event */
  async function submit(event) {
    event.preventDefault();
    if (isEnding) return;
    isEnding = true;
    confirm.setAttribute("aria-disabled", "true");
    say(confirm, "Ending …");
    say(fault, "");
    try {
      const path = `${orgPath(org.org)}/members/${encodeURIComponent(email)}/sessions`;
      const { data } = await rest("DELETE", path, { onslow: () => say(fault, "This takes longer than usual …") });
      ended = data.ended;
      dialog.close();
    } catch (error) {
      isEnding = false;
      confirm.removeAttribute("aria-disabled");
      say(confirm, "End sessions");
      say(fault, error.message);
    }
  }
  document.body.append(dialog);
  dialog.showModal();
  cancel.focus();
  return new Promise((resolve) => {
    dialog.addEventListener("close", () => {
      dialog.remove();
      resolve(ended);
    });
  });
}
