// One provider's card for a member: everything but the means to change it, kept current like an owner's.

import { baseUrlRow, cardHead } from "./card_layout.js";
import { h, newId, say } from "./dom.js";
import { requestTarget } from "./endpoint_rules.js";
import { row } from "./fields.js";
import { FirstRequest } from "./first_request.js";
import { LiveWatch } from "./live_watch.js";
import { orgPath, rest } from "./rest.js";
import { snippetBox } from "./snippet_box.js";
import { differences, rollout, savedKey, status, who } from "./words.js";

/** @import {Org, Rollout, Saved, Traffic} from "./types.d.ts" */

export class ReadOnlyCard {
  /** @param {Org} org @param {string} me @param {Saved} saved */
  constructor(org, me, saved) {
    this.org = org;
    this.me = me;
    this.saved = saved;
    /** @type {Traffic | null} */
    this.traffic = null;
    this.changed = "";
    this.path = `${orgPath(org.org)}/ai-integrations/${saved.provider}`;
    const id = newId("card");
    this.chip = h("span", { class: "chip" });
    this.rows = h("div", { class: "rows" });
    this.told = h("p", { class: "told", role: "status" });
    this.firstRequest = new FirstRequest();
    this.element = h(
      "section",
      { class: "card", "aria-labelledby": id, "data-provider": saved.provider },
      cardHead(id, saved.provider, this.chip),
      this.rows,
      h("div", { class: "rows" }, this.told),
      snippetBox(saved.provider, this.firstRequest.element),
    );
    this.#render();
    this.watch = new LiveWatch(this.path, {
      show: (found) => this.#noticed(found),
      isWaiting: () => false,
      ongone: () => location.reload(),
    });
    this.watch.hurry();
  }

  /** @param {Rollout} found */
  async #noticed(found) {
    this.traffic = found.traffic;
    this.#renderChip();
    if (found.revision !== this.saved.revision) await this.#reload();
    else if (this.saved.state !== "not_set_up") {
      say(this.told, `${this.changed}${rollout(found)}`);
      this.told.dataset.live = found.total > 0 && found.live >= found.total ? "all" : "some";
    }
  }

  async #reload() {
    const { data } = await rest("GET", this.path).catch(() => ({ data: null }));
    if (!data || data.revision === this.saved.revision) return;
    this.changed = `Changed by ${who(data.updated_by, this.me)}: ${differences(this.saved, data).join(", ")}. `;
    this.saved = data;
    say(this.told, this.changed);
    this.#render();
  }

  #render() {
    const { saved, org, me } = this;
    const isSetUp = saved.state !== "not_set_up";
    const key = isSetUp
      ? h(
          "span",
          { class: "saved-key" },
          h("span", {}, "ends ", h("code", {}, `…${saved.key.last4}`)),
          h("span", { class: "fine" }, savedKey(saved.key, me)),
        )
      : "None yet";
    this.rows.replaceChildren(
      row("Upstream API Key", key),
      row("Custom Endpoint", h("code", { class: "base-url" }, requestTarget(saved.provider, saved.endpoint)), {
        below: [h("p", { class: "hint" }, saved.endpoint_kind === "demo" ? "Requests go to the demo provider." : "Where requests go.")],
      }),
      row("Enabled", saved.state === "enabled" ? `Yes, boxes of ${org.name} can use it` : "No"),
      baseUrlRow(saved),
    );
    this.#renderChip();
  }

  #renderChip() {
    const { tone, text, title } = status(this.saved, this.traffic);
    say(this.chip, text);
    this.chip.dataset.tone = tone;
    this.chip.title = title;
    this.firstRequest.render(this.saved, this.traffic);
  }
}
