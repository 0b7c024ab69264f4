// One provider's card for an owner: what is typed, what is saved, and the way from one to the other.

import { askToClear } from "./clear_dialog.js";
import { conflictNotice } from "./conflict_notice.js";
import { attribute, h, newId, say } from "./dom.js";
import { changes, faults, isDirty, requestBody, trialBody, triesSavedKey, untouched } from "./draft.js";
import { endpointHint, meantEndpoint, requestTarget } from "./endpoint_rules.js";
import { copyButton, row, textField, toggle } from "./fields.js";
import { KeyField } from "./key_field.js";
import { PROVIDERS } from "./providers.js";
import { orgPath, rest } from "./rest.js";
import { watchRollout, watchTraffic } from "./rollout_watch.js";
import { snippetBox } from "./snippet_box.js";
import { TrialPlace } from "./trial_box.js";
import { rollout, status } from "./words.js";

export class Card {
  constructor(org, me, saved) {
    this.org = org;
    this.me = me;
    this.provider = PROVIDERS[saved.provider];
    this.path = `${orgPath(org.org)}/ai-integrations/${saved.provider}`;
    this.touched = new Set();
    this.serverFaults = {};
    this.watch = 0;
    this.traffic = null;
    this.finding = null; // what a test has found of a saved key
    this.typedFinding = null; // and of the key that is typed now
    this.busy = "";
    this.#build(saved);
    this.#take(saved, `"${saved.revision}"`);
    if (saved.state !== "not_set_up") this.#watchRollout({ quiet: true });
    watchTraffic(
      this.path,
      () => this.saved.state === "enabled" && !this.busy,
      (found) => {
        this.traffic = found.traffic;
        this.#renderChip();
      },
    );
  }

  /** Whether the person would lose something by leaving. */
  get isDirty() {
    return isDirty(this.saved, this.draft);
  }

  // -- building

  #build(saved) {
    const { title, about, defaultEndpoint } = this.provider;
    const id = newId("card");
    this.chip = h("span", { class: "chip" });
    this.notice = h("div", { class: "notices", role: "alert" });
    this.key = new KeyField(this.provider, this.me, {
      ontyped: () => this.#typed("key"),
      onleft: (event) => this.#left("key", event),
      onturned: () => this.#turned(),
    });
    this.endpoint = textField({
      placeholder: defaultEndpoint,
      oninput: () => this.#typed("endpoint"),
      onblur: (event) => this.#left("endpoint", event),
    });
    this.endpoint.input.setAttribute("inputmode", "url");
    this.switchHint = h("p", { class: "hint", id: `${id}-switch`, "aria-live": "polite" });
    this.enabled = toggle({
      label: `${title} enabled`,
      describedBy: `${id}-switch`,
      onchange: (on) => this.#typed("enabled", on),
    });
    this.told = h("p", { class: "told", role: "status" });
    this.trial = new TrialPlace();
    this.element = h(
      "section",
      { class: "card", "aria-labelledby": id, "data-provider": saved.provider },
      h("header", { class: "card-head" }, h("div", {}, h("h2", { id }, title), h("p", { class: "fine" }, about)), this.chip),
      this.notice,
      h("form", { novalidate: true, onsubmit: (event) => this.#submit(event) }, ...this.#rows(saved), this.#actions()),
      this.trial.element,
      snippetBox(saved.provider, saved.local_base_url),
      this.#dangerZone(),
    );
  }

  #rows(saved) {
    return [
      row("Enabled", this.enabled.element, { below: [this.switchHint] }),
      this.key.element,
      row("Custom Endpoint", this.endpoint.input, { labelFor: this.endpoint.id, below: this.endpoint.below }),
      row("Local Base URL", h("div", { class: "line" }, h("code", { class: "base-url" }, saved.local_base_url), copyButton(`the base URL of ${this.provider.title}`, () => saved.local_base_url))),
    ];
  }

  #actions() {
    const { title } = this.provider;
    this.save = h("button", { type: "submit", class: "button primary", "aria-label": `Save ${title}` }, "Save");
    this.discard = h("button", { type: "button", class: "button quiet", "aria-label": `Discard changes to ${title}`, onclick: () => this.#discardChanges() }, "Discard");
    this.test = h("button", { type: "button", class: "button", "aria-label": `Test ${title}`, onclick: () => this.#try() }, "Test");
    return h("div", { class: "actions" }, this.told, this.discard, this.test, this.save);
  }

  #dangerZone() {
    const { title } = this.provider;
    const clear = h("button", { type: "button", class: "button danger", onclick: () => this.#clear() }, `Clear ${title} …`);
    this.danger = h(
      "details",
      { class: "fold danger-zone" },
      h("summary", {}, "Danger zone"),
      h("div", { class: "danger-line" }, h("p", {}, "Forget the key and the endpoint, here and in the secret store."), clear),
    );
    return this.danger;
  }

  // -- what is saved, and what is typed

  /** Show a saved state; whatever was typed gives way to it. */
  #take(saved, etag) {
    this.saved = saved;
    this.etag = etag;
    this.draft = untouched(saved);
    this.key.isReplacing = saved.state === "not_set_up";
    this.key.forget();
    this.touched.clear();
    this.serverFaults = {};
    this.typedFinding = null;
    this.endpoint.input.value = this.draft.endpoint;
    this.enabled.set(this.draft.enabled);
    this.#render();
  }

  /** Show a saved state that is not what was typed and tried here. */
  #takeInstead(saved, etag) {
    this.trial.forget();
    this.#take(saved, etag);
  }

  #typed(field, value = null) {
    this.draft = {
      key: this.key.typed,
      endpoint: meantEndpoint(this.endpoint.input.value),
      enabled: field === "enabled" ? value : this.draft.enabled,
    };
    delete this.serverFaults[field];
    this.typedFinding = null;
    this.trial.forget();
    say(this.told, "");
    this.watch += 1;
    if (field === "endpoint" && changes(this.saved, this.draft).endpoint) this.key.isReplacing = true;
    this.#render();
  }

  #left(field, event) {
    if (field === "endpoint") this.endpoint.input.value = meantEndpoint(this.endpoint.input.value);
    // A fault that appeared now would move the button away from under the click that is on its way to it.
    if (event.relatedTarget?.closest(".actions")) return;
    if (field !== "key" || this.draft.key) this.touched.add(field);
    this.#render();
  }

  /** From the saved key to a new one, or back, which forgets what was said of the new one. */
  #turned() {
    if (!this.key.isReplacing) {
      this.touched.clear();
      this.serverFaults = {};
      this.draft = { ...this.draft, key: "" };
      this.typedFinding = null;
      this.trial.forget();
    }
    this.#render();
  }

  #discardChanges() {
    this.#takeInstead(this.saved, this.etag);
    this.notice.replaceChildren();
    say(this.told, "Changes discarded.");
    this.enabled.element.focus();
  }

  // -- showing

  #render() {
    const { saved, draft } = this;
    const found = faults(saved, draft);
    const changed = changes(saved, draft);
    const isSetUp = saved.state !== "not_set_up";
    this.#renderKey(found, changed, isSetUp);
    this.#renderEndpoint(found);
    this.#renderSwitch(changed, isSetUp);
    const cannotSave = !this.isDirty || Object.keys(found).length > 0 || this.busy;
    attribute(this.save, "aria-disabled", cannotSave ? "true" : null);
    attribute(this.test, "aria-disabled", this.busy || found.endpoint || found.key ? "true" : null);
    say(this.save, this.busy === "save" ? "Saving …" : "Save");
    say(this.test, this.busy === "test" ? "Testing …" : "Test");
    this.discard.hidden = !this.isDirty;
    this.danger.hidden = !isSetUp;
    this.#renderChip();
  }

  #renderKey(found, changed, isSetUp) {
    const { draft, touched } = this;
    const again = isSetUp && changed.endpoint && !draft.key ? found.key : "";
    const shown = touched.has("all") || (draft.key && touched.has("key")) ? found.key : "";
    this.key.render(this.saved, draft, {
      fault: this.serverFaults.key || (again ? "" : shown) || "",
      again,
      canKeep: isSetUp && !changed.endpoint,
    });
  }

  #renderEndpoint(found) {
    const shown = this.touched.has("endpoint") || this.touched.has("all") ? found.endpoint : "";
    this.endpoint.fault(this.serverFaults.endpoint || shown || "");
    const target = found.endpoint ? "" : requestTarget(this.saved.provider, this.draft.endpoint);
    const warning = changes(this.saved, this.draft).endpoint ? endpointHint(this.draft.endpoint) : "";
    const text = target ? `Requests go to ${target}${warning ? `. ${warning}` : ""}` : "";
    this.endpoint.hint(text, warning ? "warn" : "quiet");
  }

  #renderSwitch(changed, isSetUp) {
    const { title } = this.provider;
    const goesOff = isSetUp && changed.enabled && !this.draft.enabled;
    this.switchHint.dataset.tone = goesOff ? "warn" : "quiet";
    if (goesOff) {
      say(this.switchHint, `When you save, requests to ${title} from every box of ${this.org.name} are refused and running answers are cut within seconds. The key stays saved.`);
    } else if (this.draft.enabled) {
      say(this.switchHint, `Boxes of ${this.org.name} can use ${title}${isSetUp && !changed.enabled ? "." : " once you save."}`);
    } else {
      say(this.switchHint, `Boxes of ${this.org.name} cannot use ${title}. They are told so, and who can change it.`);
    }
  }

  #renderChip() {
    const { tone, text, title } = status(this.saved, this.traffic, this.finding);
    say(this.chip, text);
    this.chip.dataset.tone = tone;
    this.chip.title = title;
  }

  #tell(tone, ...content) {
    this.notice.replaceChildren(h("div", { class: `notice ${tone}` }, ...content));
  }

  // -- saving

  async #submit(event) {
    event.preventDefault();
    if (this.busy) return;
    if (this.save.getAttribute("aria-disabled") === "true") {
      if (this.isDirty || this.saved.state === "not_set_up") this.#focusFirstFault(faults(this.saved, this.draft));
      return;
    }
    await this.#write(this.etag);
  }

  async #write(etag) {
    this.notice.replaceChildren();
    await this.#whileBusy("save", async () => {
      const { data, etag: newEtag } = await rest("PUT", this.path, { body: requestBody(this.saved, this.draft), etag });
      const { warnings, ...saved } = data;
      // What a test has found of a typed key holds for the same key when it is saved.
      if (this.typedFinding) this.finding = { ...this.typedFinding, keySince: saved.key.updated_at };
      this.#take(saved, newEtag);
      if (warnings.length) this.#tell("warn", h("p", {}, h("strong", {}, "Saved, but: "), warnings.join(" ")));
      this.#watchRollout({ quiet: false });
    });
  }

  async #whileBusy(what, work) {
    this.busy = what;
    this.#render();
    try {
      await work();
    } catch (error) {
      this.#refused(error, what);
    } finally {
      this.busy = "";
      this.#render();
    }
  }

  #refused(error, what) {
    if (error.is?.("state-changed")) return this.#conflict(error);
    const found = { key: error.faultAt?.("#/api_key"), endpoint: error.faultAt?.("#/endpoint") };
    this.serverFaults = Object.fromEntries(Object.entries(found).filter(([, text]) => text));
    if (Object.keys(this.serverFaults).length) {
      if (this.serverFaults.key) this.key.isReplacing = true;
      this.#render();
      return this.#focusFirstFault(this.serverFaults);
    }
    if (what === "test") this.#tell("warn", h("p", {}, h("strong", {}, "Not tested. "), error.message));
    else this.#tell("bad", h("p", {}, h("strong", {}, "Nothing was changed. "), error.message, " What you typed is still here."));
  }

  #focusFirstFault(found) {
    this.touched.add("all");
    if (found.key) this.key.isReplacing = true;
    this.#render();
    if (found.key) this.key.focus();
    else if (found.endpoint) this.endpoint.input.focus();
  }

  #conflict(error) {
    const { current } = error.problem;
    const { content, first } = conflictNotice(this.saved, current, this.me, {
      load: () => this.#resolve(() => this.#takeInstead(current, error.etag)),
      overwrite: () => this.#resolve(() => this.#overwrite(current, error.etag)),
    });
    this.#tell("warn", ...content);
    first.focus();
  }

  #resolve(act) {
    this.notice.replaceChildren();
    this.enabled.element.focus();
    act();
  }

  /** Save what is typed on top of what somebody else saved. */
  #overwrite(current, etag) {
    const { draft } = this;
    this.saved = current;
    this.draft = draft;
    this.etag = etag;
    this.#render();
    if (Object.keys(faults(current, draft)).length) return this.#focusFirstFault(faults(current, draft));
    return this.isDirty ? this.#write(etag) : this.#takeInstead(current, etag);
  }

  #watchRollout({ quiet, done = "Saved" }) {
    this.watch += 1;
    const mine = this.watch;
    if (!quiet) say(this.told, `${done}. Going live …`);
    watchRollout(
      this.path,
      () => this.watch === mine,
      (found) => {
        this.traffic = found.traffic;
        this.told.dataset.live = found.total > 0 && found.live >= found.total ? "all" : "some";
        say(this.told, quiet ? rollout(found) : `${done}. ${rollout(found, true)}`);
        this.#renderChip();
      },
    );
  }

  // -- trying and clearing

  async #try() {
    if (this.test.getAttribute("aria-disabled") === "true") {
      return this.#focusFirstFault(faults(this.saved, this.draft));
    }
    const { saved, draft } = this;
    const isOfSaved = triesSavedKey(saved, draft);
    const show = this.trial.begin(isOfSaved ? saved.key.last4 : "");
    this.notice.replaceChildren();
    let answer = null;
    await this.#whileBusy("test", async () => {
      answer = await rest("POST", `${this.path}/test`, { body: trialBody(saved, draft) });
    });
    const isWanted = show(answer?.data ?? null);
    if (!answer || answer.data.verdict === "unknown") return;
    const { verdict, key_last4: last4, endpoint } = answer.data;
    const found = { verdict, at: answer.at };
    if (!isOfSaved) this.typedFinding = isWanted ? found : null;
    // Somebody may have saved another key that the page does not know of yet.
    else if (last4 === saved.key.last4 && endpoint === saved.endpoint) this.finding = { ...found, keySince: saved.key.updated_at };
    this.#renderChip();
  }

  async #clear() {
    await askToClear(this.org, this.saved.provider, async () => {
      const { data, etag } = await rest("DELETE", this.path, { etag: this.etag });
      const { warnings, ...saved } = data;
      this.traffic = null;
      this.#takeInstead(saved, etag);
      this.#tell("", h("p", {}, h("strong", {}, "Cleared. "), "The key is destroyed in the secret store.", ...warnings));
      this.#watchRollout({ quiet: false, done: "Cleared" });
    });
    if (this.saved.state === "not_set_up") this.key.focus();
  }
}
