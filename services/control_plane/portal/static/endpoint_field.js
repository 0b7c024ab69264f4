// The Custom Endpoint of a card: the field, where requests would go, and the way back to the provider's own.

import { h } from "./dom.js";
import { endpointHint, hostOf, meantEndpoint, requestTarget } from "./endpoint_rules.js";
import { row, textField } from "./fields.js";

/** @import {Provider, Saved} from "./types.d.ts" */

export class EndpointField {
  /**
   * `ontyped()` and `onleft(event)` tell what the person did.
   * @param {Provider} provider @param {{ontyped: () => void, onleft: (event: FocusEvent) => void}} told
   */
  constructor(provider, { ontyped, onleft }) {
    this.provider = provider;
    this.ontyped = ontyped;
    this.field = textField({
      placeholder: provider.defaultEndpoint,
      oninput: ontyped,
      onblur: (/** @type {FocusEvent} */ event) => {
        this.field.input.value = meantEndpoint(this.field.input.value);
        onleft(event);
      },
    });
    this.field.input.setAttribute("inputmode", "url");
    this.reset = h(
      "button",
      {
        type: "button",
        class: "button small quiet",
        "aria-label": `Reset to default: the endpoint of ${provider.title}`,
        onclick: () => this.#reset(),
      },
      "Reset to default",
    );
    this.element = row("Custom Endpoint", h("div", { class: "line" }, this.field.input, this.reset), {
      labelFor: this.field.id,
      below: this.field.below,
    });
  }

  /** What is typed, with the https:// that a bare host's name means. */
  get typed() {
    return meantEndpoint(this.field.input.value);
  }

  focus() {
    this.field.input.focus();
  }

  /** Put a text into the field, unless the person is typing just this. @param {string} text */
  put(text) {
    if (meantEndpoint(this.field.input.value) !== text) this.field.input.value = text;
  }

  /**
   * Show what is said of the field: `fault` where it is wrong, `target` is what is typed, `isChanged` against what is saved.
   * @param {Saved} saved @param {string} typed @param {{fault: string, isWrong: boolean, isChanged: boolean}} said
   */
  render(saved, typed, { fault, isWrong, isChanged }) {
    this.field.fault(fault);
    this.reset.hidden = typed.trim() === "";
    const { text, tone } = this.#hintOf(saved, typed, isWrong, isChanged);
    this.field.hint(text, tone);
  }

  /** @param {Saved} saved @param {string} typed @param {boolean} isWrong @param {boolean} isChanged */
  #hintOf(saved, typed, isWrong, isChanged) {
    if (isWrong) return { text: "", tone: "quiet" };
    const target = requestTarget(this.provider.name, typed);
    if (!typed.trim())
      return { text: `Leave empty to use ${hostOf(this.provider.defaultEndpoint)}. Requests go to ${target}`, tone: "quiet" };
    const isDemo = !isChanged && saved.endpoint_kind === "demo";
    if (isDemo)
      return {
        text: `This is the demo provider: it stands in for ${this.provider.company} and costs nothing. Requests go to ${target}`,
        tone: "quiet",
      };
    const warning = isChanged ? endpointHint(typed) : "";
    return { text: target ? `Requests go to ${target}${warning ? `. ${warning}` : ""}` : "", tone: warning ? "warn" : "quiet" };
  }

  #reset() {
    this.field.input.value = "";
    this.focus();
    this.ontyped();
  }
}
