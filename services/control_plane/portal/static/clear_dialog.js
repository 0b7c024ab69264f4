// The question before a key is forgotten: the org's id has to be typed.

import { h, newId } from "./dom.js";
import { PROVIDERS } from "./providers.js";

/** Ask; `clear` is called when the person means it, and may throw. Resolves when the dialog has closed. */
export function askToClear(org, provider, clear) {
  const { title } = PROVIDERS[provider];
  const id = newId("clear");
  const fault = h("p", { class: "fault", role: "alert" });
  const input = h("input", { id, class: "input", autocomplete: "off", autocapitalize: "off", spellcheck: "false", oninput: compare });
  const confirm = h("button", { type: "submit", class: "button danger", "aria-disabled": "true" }, `Clear ${title}`);
  const cancel = h("button", { type: "button", class: "button", onclick: () => dialog.close() }, "Keep it");
  const form = h(
    "form",
    { onsubmit: submit },
    h("h2", { id: `${id}-title` }, `Clear ${title}?`),
    h("p", {}, `The key is destroyed and every box of ${org.name} loses ${title} at once. Running answers are cut. This cannot be undone; to stop for a while, switch it off instead.`),
    h("label", { for: id }, "To confirm, type ", h("code", {}, org.org)),
    input,
    fault,
    h("div", { class: "actions" }, cancel, confirm),
  );
  const dialog = h("dialog", { class: "dialog", "aria-labelledby": `${id}-title` }, form);

  function compare() {
    confirm.setAttribute("aria-disabled", String(input.value.trim() !== org.org));
  }
  async function submit(event) {
    event.preventDefault();
    if (confirm.getAttribute("aria-disabled") === "true") return input.focus();
    confirm.setAttribute("aria-disabled", "true");
    try {
      await clear();
      dialog.close();
    } catch (error) {
      fault.textContent = error.message;
      compare();
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
