// The key of a card: the saved one, by its end, or a field for a new one, and the way from one to the other.

import { h } from "./dom.js";
import { row, textField } from "./fields.js";
import { keyHint } from "./key_rules.js";
import { savedKey } from "./words.js";

export class KeyField {
  /** `ontyped()`, `onleft(event)` and `onturned()`, from one to the other, tell what the person did. */
  constructor(provider, me, { ontyped, onleft, onturned }) {
    this.provider = provider;
    this.me = me;
    this.onturned = onturned;
    this.isReplacing = false;
    this.field = textField({ type: "password", tellsHint: true, oninput: () => this.#trim(ontyped), onblur: onleft });
    this.savedKey = h("span", { class: "saved-key" });
    this.replace = h("button", { type: "button", class: "button small", "aria-label": `Replace the key of ${provider.title}`, onclick: () => this.#startReplacing() }, "Replace");
    this.reveal = h("button", { type: "button", class: "button small quiet", "aria-label": `Show the key of ${provider.title}`, "aria-pressed": "false", onclick: () => this.#show() }, "Show");
    this.keep = h("button", { type: "button", class: "button small quiet", "aria-label": `Keep saved key of ${provider.title}`, onclick: () => this.#stopReplacing() }, "Keep saved key");
    this.savedLine = h("div", { class: "line" }, this.savedKey, this.replace);
    this.typedLine = h("div", { class: "line" }, this.field.input, this.reveal, this.keep);
    this.element = row("Upstream API Key", [this.savedLine, this.typedLine], { labelFor: this.field.id, below: this.field.below });
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
    this.#show(false);
  }

  /** Show it; `fault` is said of what is typed, `again` why a saved key is not enough. */
  render(saved, draft, { fault, again, canKeep }) {
    const isSetUp = saved.state !== "not_set_up";
    const hadFocus = this.typedLine.contains(document.activeElement);
    this.savedLine.hidden = !isSetUp || this.isReplacing;
    this.typedLine.hidden = !this.savedLine.hidden;
    this.keep.hidden = !canKeep;
    this.reveal.hidden = !draft.key;
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
    if (!isSetUp && !draft.key) this.#offerKeyPage();
    else this.field.hint(again || keyHint(saved.provider, draft.key, draft.endpoint.trim() !== ""), "warn");
  }

  #offerKeyPage() {
    const hint = this.field.below[1];
    if (hint.querySelector("a")) return;
    hint.dataset.tone = "quiet";
    hint.replaceChildren(
      "No key yet? ",
      h("a", { href: this.provider.keyPage, target: "_blank", rel: "noopener noreferrer" }, `Make one at ${this.provider.title.split(" ")[0]}`),
      ".",
    );
  }

  /** A pasted key often brings the line's end or a space along. */
  #trim(ontyped) {
    const { input } = this.field;
    if (input.value !== input.value.trim()) input.value = input.value.trim();
    ontyped();
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
