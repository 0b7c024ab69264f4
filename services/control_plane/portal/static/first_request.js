// Whether a box has used the saved key yet: waits for the first request, and says when it was accepted.

import { h, say } from "./dom.js";
import { hostOf } from "./endpoint_rules.js";
import { shortAgo } from "./words.js";

/** @import {Saved, Traffic} from "./types.d.ts" */

export class FirstRequest {
  constructor() {
    this.text = h("span", {});
    this.told = h("span", { class: "unseen", role: "status" });
    this.element = h("p", { class: "first-request" }, this.text, this.told);
    this.waitedFor = "";
    this.isWaiting = false;
  }

  /** @param {Saved} saved @param {Traffic | null} traffic @param {Date} [now] */
  render(saved, traffic, now = new Date()) {
    const since = Date.parse(saved.key?.updated_at ?? "");
    const accepted = Date.parse(traffic?.accepted_at ?? "") || 0;
    const rejected = Date.parse(traffic?.rejected_at ?? "") || 0;
    const isOn = saved.state === "enabled";
    this.element.hidden = !isOn;
    this.isWaiting = isOn && accepted < since && rejected < since;
    if (!isOn) return;
    if (this.isWaiting) {
      this.waitedFor = saved.key.updated_at;
      this.#show("waiting", "Waiting for the first request …", "");
    } else if (rejected >= since && rejected > accepted) {
      this.#show("bad", `${hostOf(saved.endpoint)} refused the key ${shortAgo(rejected, now)}`, "The key was refused.");
    } else {
      const isFirst = this.waitedFor === saved.key.updated_at;
      this.#show(
        "good",
        `${isFirst ? "First" : "Last"} request accepted ${shortAgo(accepted, now)}`,
        isFirst ? "First request accepted." : "",
      );
    }
  }

  /** @param {string} tone @param {string} text @param {string} told */
  #show(tone, text, told) {
    this.element.dataset.tone = tone;
    say(this.text, text);
    say(this.told, told);
  }
}
