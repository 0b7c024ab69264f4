// What a card is made of, from top to bottom, in the order in which a person fills it in.

import { h, newId } from "./dom.js";
import { EndpointField } from "./endpoint_field.js";
import { copyButton, row, toggle } from "./fields.js";
import { FirstRequest } from "./first_request.js";
import { KeyField } from "./key_field.js";
import { PROVIDERS } from "./providers.js";
import { snippetBox } from "./snippet_box.js";

/** @import {Saved} from "./types.d.ts" */

/**
 * Build the parts; `on` is what to do when the person does something.
 * @param {Saved} saved @param {string} me @param {HTMLElement} testPlace
 * @param {{typed: (field: string, on?: boolean) => void, left: (field: string, event: FocusEvent) => void, turned: () => void,
 *   submit: (event: SubmitEvent) => void, discard: () => void, test: () => void, clear: () => void}} on
 */
export function cardLayout(saved, me, testPlace, on) {
  const provider = PROVIDERS[saved.provider];
  const { title } = provider;
  const id = newId("card");
  const parts = {
    provider,
    chip: h("span", { class: "chip" }),
    notice: h("div", { class: "notices", role: "alert" }),
    key: new KeyField(provider, me, { ontyped: () => on.typed("key"), onleft: (event) => on.left("key", event), onturned: on.turned }),
    endpoint: new EndpointField(provider, { ontyped: () => on.typed("endpoint"), onleft: (event) => on.left("endpoint", event) }),
    switchHint: h("p", { class: "hint", id: `${id}-switch`, "aria-live": "polite" }),
    enabled: toggle({ label: `${title} enabled`, describedBy: `${id}-switch`, onchange: (isOn) => on.typed("enabled", isOn) }),
    told: h("p", { class: "told", role: "status" }),
    save: h("button", { type: "submit", class: "button primary", "aria-label": `Save ${title}` }, "Save"),
    discard: h(
      "button",
      { type: "button", class: "button quiet", "aria-label": `Discard changes to ${title}`, onclick: on.discard },
      "Discard",
    ),
    test: h("button", { type: "button", class: "button", "aria-label": `Test ${title}`, onclick: on.test }, "Test"),
    firstRequest: new FirstRequest(),
    danger: dangerZone(title, on.clear),
  };
  const lines = snippetBox(saved.provider, parts.firstRequest.element);
  const form = h(
    "form",
    { novalidate: true, onsubmit: on.submit },
    parts.key.element,
    parts.endpoint.element,
    row("Enabled", parts.enabled.element, { below: [parts.switchHint] }),
    h("div", { class: "actions" }, parts.told, parts.discard, parts.test, parts.save),
  );
  const element = h(
    "section",
    { class: "card", "aria-labelledby": id, "data-provider": saved.provider },
    cardHead(id, saved.provider, parts.chip),
    parts.notice,
    form,
    testPlace,
    h("div", { class: "rows" }, baseUrlRow(saved)),
    lines,
    parts.danger,
  );
  return { ...parts, lines, form, element };
}

/** The head of a card. @param {string} id @param {string} provider @param {HTMLElement} chip */
export function cardHead(id, provider, chip) {
  const { title, about } = PROVIDERS[provider];
  return h("header", { class: "card-head" }, h("div", {}, h("h2", { id }, title), h("p", { class: "fine" }, about)), chip);
}

/** The row with the address that boxes use. @param {Saved} saved */
export function baseUrlRow(saved) {
  const { title } = PROVIDERS[saved.provider];
  const url = saved.local_base_url;
  return row(
    "Local Base URL",
    h(
      "div",
      { class: "line" },
      h("code", { class: "base-url" }, url),
      copyButton(`the base URL of ${title}`, () => url),
    ),
    {
      below: [h("p", { class: "hint" }, "The same in every box: programs call this address, with any placeholder as the key.")],
    },
  );
}

/** @param {string} title @param {() => void} onclick */
function dangerZone(title, onclick) {
  const clear = h("button", { type: "button", class: "button danger", onclick }, `Clear ${title} …`);
  return h(
    "details",
    { class: "fold danger-zone" },
    h("summary", {}, "Danger zone"),
    h("div", { class: "danger-line" }, h("p", {}, "Forget the key and the endpoint, here and in the secret store."), clear),
  );
}
