// The key of a card: the saved one, by its end, or a field for a new one, and the way from one to the other.

import { h } from "./dom.js";
import { checkbox, row, textField } from "./fields.js";
import { cleanedKey, keyHint } from "./key_rules.js";
import { savedKey } from "./words.js";

/** @import {Draft, Provider, Saved} from "./types.d.ts" */

export class KeyField {
  /**
   * `ontyped()`, `onleft(event)` and `onturned()`, from one to the other, tell what the person did.
   * @param {Provider} provider @param {string} me
   * @param {{ontyped: () => void, onleft: (event: FocusEvent) => void, onturned: () => void}} told
   */
  constructor(provider, me, { ontyped, onleft, onturned }) {
    this.provider = provider;
    this.me = me;
    this.ontyped = ontyped;
    this.onturned = onturned;
    this.isReplacing = false;
    /** @type {string[]} */
    this.leftOut = [];
    this.field = textField({
      type: "password",
      placeholder: provider.keyStart && `${provider.keyStart}…`,
      tellsHint: true,
      oninput: (/** @type {InputEvent} */ event) => this.#input(event),
      onblur: onleft,
    });
    this.field.input.addEventListener("paste", (event) => this.#paste(event));
    this.savedKey = h("span", { class: "saved-key" });
    this.replace = h(
      "button",
      {
        type: "button",
        class: "button small",
        "aria-label": `Replace the key of ${provider.title}`,
        onclick: () => this.#startReplacing(),
      },
      "Replace",
    );
    this.reveal = h(
      "button",
      {
        type: "button",
        class: "button small quiet",
        "aria-label": `Show the key of ${provider.title}`,
        "aria-pressed": "false",
        onclick: () => this.#show(),
      },
      "Show",
    );
    this.keep = h(
      "button",
      {
        type: "button",
        class: "button small quiet",
        "aria-label": `Keep saved key of ${provider.title}`,
        onclick: () => this.#stopReplacing(),
      },
      "Keep saved key",
    );
    this.savedLine = h("div", { class: "line" }, this.savedKey, this.replace);
    this.typedLine = h("div", { class: "line" }, this.field.input, this.reveal, this.keep);
    this.tests = checkbox("Test this key when it is saved", true);
    this.element = row("Upstream API Key", [this.savedLine, this.typedLine], {
      labelFor: this.field.id,
      below: [...this.field.below, this.tests.element],
    });
  }

  /** The typed key; "" while the saved one is kept. */
  get typed() {
    return this.isReplacing ? this.field.input.value : "";
  }

  focus() {
    this.field.input.focus();
  }

  /** Take the typed key out of the page. */
  forget() {
    this.field.input.value = "";
    this.leftOut = [];
    this.#show(false);
  }

  /**
   * Show it; `fault` is said of what is typed, `again` why a saved key is not enough, `endpoint` is where the key would go.
   * @param {Saved} saved @param {Draft} draft
   * @param {{fault: string, again: string, canKeep: boolean, endpoint: string}} said
   */
  render(saved, draft, { fault, again, canKeep, endpoint }) {
    const isSetUp = saved.state !== "not_set_up";
    const hadFocus = this.typedLine.contains(document.activeElement);
    this.savedLine.hidden = !isSetUp || this.isReplacing;
    this.typedLine.hidden = !this.savedLine.hidden;
    this.keep.hidden = !canKeep;
    this.reveal.hidden = !draft.key;
    this.tests.element.hidden = !draft.key;
    if (isSetUp) {
      const { key } = saved;
      this.savedKey.replaceChildren(
        h("span", {}, "ends ", h("code", {}, `…${key.last4}`)),
        h("span", { class: "fine" }, savedKey(key, this.me)),
      );
    }
    // Enter in the field saves the key, and hides the field from under the focus.
    if (hadFocus && this.typedLine.hidden) this.replace.focus();
    this.field.fault(fault);
    if (!draft.key && !fault && !again && !this.typedLine.hidden) this.#offerKeyPage();
    else this.#hint(fault ? "" : again || keyHint(saved.provider, draft.key, endpoint));
  }

  /** One sentence at a time: what looks wrong, else what was left out. @param {string} warning */
  #hint(warning) {
    const leftOut = this.leftOut.length ? `Left out of what was pasted: ${this.leftOut.join(", ")}.` : "";
    this.field.hint(warning || leftOut, warning ? "warn" : "quiet");
  }

  #offerKeyPage() {
    const hint = this.field.below[1];
    if (hint.querySelector("a")) return;
    hint.dataset.tone = "quiet";
    hint.replaceChildren(
      "No key at hand? ",
      h("a", { href: this.provider.keyPage, target: "_blank", rel: "noopener noreferrer" }, `Make one at ${this.provider.company}`),
      ".",
    );
  }

  /** What came at once was pasted or filled in, and is cleaned; what is typed by hand is left alone. @param {InputEvent} event */
  #input(event) {
    const { input } = this.field;
    const isTyped = event.inputType?.startsWith("delete") || (event.inputType === "insertText" && event.data?.length === 1);
    if (!isTyped) {
      const { key, leftOut } = cleanedKey(input.value);
      this.leftOut = leftOut;
      if (input.value !== key) input.value = key;
    }
    this.ontyped();
  }

  /** A field of one line drops line breaks without a word, and would make one key of two. @param {ClipboardEvent} event */
  #paste(event) {
    const text = event.clipboardData?.getData("text/plain").trim() ?? "";
    if (!/[\r\n]/.test(cleanedKey(text).key)) return;
    event.preventDefault();
    const { input } = this.field;
    input.setRangeText(text.replaceAll(/\s*[\r\n]\s*/g, " "), input.selectionStart ?? 0, input.selectionEnd ?? 0, "end");
    this.ontyped();
  }

  #startReplacing() {
    this.isReplacing = true;
    this.onturned();
    this.focus();
  }

  #stopReplacing() {
    this.isReplacing = false;
    this.forget();
    this.onturned();
    this.replace.focus();
  }

  #show(on = this.field.input.type === "password") {
    this.field.input.type = on ? "text" : "password";
    this.reveal.setAttribute("aria-pressed", String(on));
  }
}
