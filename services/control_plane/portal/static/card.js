// One provider's card for an owner: what is typed, what is saved, and the way from one to the other. The card says only
// what is known: a change without an answer is looked up before anything is said of it.

import { cardLayout } from "./card_layout.js";
import { absentNotice, changedNotice, openNotice } from "./card_notices.js";
import { askToClear } from "./clear_dialog.js";
import { attribute, h, say } from "./dom.js";
import { afterSaving, changeRequest, changes, faults, hasArrived, isDirty, rebased, shown, testsSavedKey, untouched } from "./draft.js";
import { nameButton } from "./fields.js";
import { KeyTester } from "./key_tester.js";
import { LiveWatch } from "./live_watch.js";
import { orgPath, rest } from "./rest.js";
import { readUntilKnown, sendChange } from "./saving.js";
import { differences, differs, rollout, status, switchHint, who } from "./words.js";

/** @import {ChangeBody, Draft, Faults, Org, Outcome, Rollout, Saved, Traffic} from "./types.d.ts" */
/** @import {RequestError} from "./rest.js" */

/** @typedef {{before: Saved, body: ChangeBody | null, sent: Draft, done: "saved" | "cleared"}} Change */

const SLOW = "This takes longer than usual …";

export class Card {
  /** @param {Org} org @param {string} me @param {Saved} saved */
  constructor(org, me, saved) {
    this.org = org;
    this.me = me;
    this.path = `${orgPath(org.org)}/ai-integrations/${saved.provider}`;
    this.saved = saved;
    this.etag = `"${saved.revision}"`;
    this.draft = untouched();
    this.touched = new Set();
    /** @type {Faults} */
    this.serverFaults = {};
    /** @type {Traffic | null} */
    this.traffic = null;
    /** @type {"" | "save" | "check" | "clear"} */
    this.busy = "";
    /** @type {Change | null} a change that had no answer, and was not there when the card was read again */
    this.missing = null;
    /** What the last roll-out is of, e.g. "Saved". */
    this.done = "";
    /** @type {Rollout | null} */
    this.rollout = null;
    this.tester = new KeyTester(this.path, {
      onchange: () => this.#render(),
      onfaults: (found) => {
        this.serverFaults = found;
        this.#focusFirstFault(found);
      },
    });
    this.parts = cardLayout(saved, me, this.tester.place.element, {
      typed: (field, on) => this.#typed(field, on),
      left: (field, event) => this.#left(field, event),
      turned: () => this.#turned(),
      submit: (event) => this.#submit(event),
      discard: () => this.#discardChanges(),
      test: () => this.#testByHand(),
      clear: () => this.#clear(),
    });
    this.element = this.parts.element;
    this.#show(saved, this.etag, untouched());
    this.watch = new LiveWatch(this.path, {
      show: (found) => this.#noticed(found),
      isWaiting: () => this.parts.firstRequest.isWaiting,
      ongone: () => this.#tell("warn", h("p", {}, h("strong", {}, "This organization is no longer yours to see. "), "Ask an owner of it.")),
    });
    this.watch.hurry();
  }

  /** Whether the person would lose something by leaving. */
  get isDirty() {
    return isDirty(this.saved, this.draft);
  }

  // -- what is saved, and what is typed

  /** Show a saved state and what stays typed on top of it. @param {Saved} saved @param {string} etag @param {Draft} draft */
  #show(saved, etag, draft) {
    const { key, endpoint, enabled } = this.parts;
    this.saved = saved;
    this.etag = etag;
    this.draft = draft;
    key.isReplacing = saved.state === "not_set_up" || draft.key !== "" || draft.endpoint !== null;
    if (!draft.key) key.forget();
    this.touched.clear();
    this.serverFaults = {};
    this.tester.findings.typed = null;
    endpoint.put(shown(saved, draft).endpoint);
    enabled.set(shown(saved, draft).enabled);
    this.#render();
  }

  /** Show a saved state that is not what was typed and tested here; whatever was typed gives way to it. @param {Saved} saved @param {string} etag */
  #showInstead(saved, etag) {
    this.tester.forget();
    this.#show(saved, etag, untouched());
  }

  /** @param {string} field @param {boolean | null} on */
  #typed(field, on = null) {
    const { key, endpoint } = this.parts;
    this.draft = {
      key: key.typed,
      endpoint: field === "endpoint" ? endpoint.typed : this.draft.endpoint,
      enabled: field === "enabled" ? on : this.draft.enabled,
    };
    if (field !== "enabled") {
      delete this.serverFaults[/** @type {"key" | "endpoint"} */ (field)];
      this.tester.forget();
    }
    if (!this.busy) {
      this.done = "";
      say(this.parts.told, "");
    }
    if (changes(this.saved, this.draft).endpoint) key.isReplacing = true;
    this.#render();
  }

  /** @param {string} field @param {FocusEvent} event */
  #left(field, event) {
    // A fault that appeared now would move the button away from under the click that is on its way to it.
    if (/** @type {Element | null} */ (event.relatedTarget)?.closest(".actions")) return;
    if (field !== "key" || this.draft.key) this.touched.add(field);
    this.#render();
  }

  /** From the saved key to a new one, or back, which forgets what was said of the new one. */
  #turned() {
    if (!this.parts.key.isReplacing) {
      this.touched.clear();
      this.serverFaults = {};
      this.draft = { ...this.draft, key: "" };
      this.tester.forget();
    }
    this.#render();
  }

  #discardChanges() {
    this.#showInstead(this.saved, this.etag);
    this.parts.notice.replaceChildren();
    say(this.parts.told, "Changes discarded.");
    (this.saved.state === "not_set_up" ? this.parts.key : this.parts.key.replace).focus();
  }

  // -- showing

  #render() {
    const { saved, draft, busy, parts } = this;
    const found = faults(saved, draft);
    const changed = changes(saved, draft);
    const isSetUp = saved.state !== "not_set_up";
    this.#renderKey(found, changed.endpoint, isSetUp);
    parts.endpoint.render(saved, shown(saved, draft).endpoint, {
      fault: this.serverFaults.endpoint || (this.touched.has("endpoint") || this.touched.has("all") ? found.endpoint : "") || "",
      isWrong: Boolean(found.endpoint),
      isChanged: changed.endpoint,
    });
    const hint = switchHint(saved, draft, parts.provider.title, this.org.name);
    parts.switchHint.dataset.tone = hint.tone;
    say(parts.switchHint, hint.text);
    attribute(parts.save, "aria-disabled", !this.isDirty || Object.keys(found).length > 0 || busy ? "true" : null);
    attribute(parts.test, "aria-disabled", busy || this.tester.running > 0 || found.endpoint || found.key ? "true" : null);
    nameButton(parts.save, "Save", parts.provider.title, busy === "save" ? "Saving …" : busy === "check" ? "Checking …" : "");
    nameButton(parts.test, "Test", parts.provider.title, this.tester.running > 0 ? "Testing …" : "");
    parts.discard.hidden = !this.isDirty;
    parts.danger.hidden = !isSetUp;
    this.#renderChip();
  }

  /** @param {Faults} found @param {boolean} isMoved @param {boolean} isSetUp */
  #renderKey(found, isMoved, isSetUp) {
    const { draft, saved, touched } = this;
    const again = isSetUp && isMoved && !draft.key ? found.key : "";
    const said = touched.has("all") || (draft.key && touched.has("key")) ? found.key : "";
    this.parts.key.render(saved, draft, {
      fault: this.serverFaults.key || (again ? "" : said) || "",
      again: again ?? "",
      canKeep: isSetUp && !isMoved,
      endpoint: shown(saved, draft).endpoint.trim() || this.parts.provider.defaultEndpoint,
    });
  }

  #renderChip() {
    const { tone, text, title } = status(this.saved, this.traffic, this.tester.findings.saved);
    const { chip } = this.parts;
    say(chip, text);
    chip.dataset.tone = tone;
    chip.title = title;
    this.parts.firstRequest.render(this.saved, this.traffic);
  }

  #renderRollout() {
    const { told } = this.parts;
    const { rollout: found, saved, done } = this;
    if (!found || found.revision !== saved.revision || (saved.state === "not_set_up" && !done)) return;
    told.dataset.live = found.total > 0 && found.live >= found.total ? "all" : "some";
    const live = rollout(found, Boolean(done));
    const unsaved = this.isDirty ? `${/[.…]$/.test(live) ? "" : "."} What you typed since is not saved yet.` : "";
    say(told, done ? `${done}. ${live}${unsaved}` : this.isDirty ? told.textContent : live);
  }

  /** @param {string} tone @param {...any} content */
  #tell(tone, ...content) {
    this.parts.notice.replaceChildren(h("div", { class: `notice ${tone}` }, ...content));
  }

  // -- saving

  /** @param {SubmitEvent} event */
  async #submit(event) {
    event.preventDefault();
    if (this.busy) return;
    if (this.parts.save.getAttribute("aria-disabled") === "true") {
      if (this.isDirty || this.saved.state === "not_set_up") this.#focusFirstFault(faults(this.saved, this.draft));
      return;
    }
    await this.#save();
  }

  async #save() {
    const { saved: before, draft: sent, etag } = this;
    const { method, body } = changeRequest(before, sent);
    this.parts.notice.replaceChildren();
    this.done = "";
    this.#turn("save");
    const outcome = await sendChange(method, this.path, { body, etag, onslow: () => say(this.parts.told, SLOW) });
    this.#turn("");
    say(this.parts.told, "");
    await this.#learn(outcome, { before, body, sent, done: "saved" });
  }

  /** @param {"" | "save" | "check" | "clear"} busy */
  #turn(busy) {
    this.busy = busy;
    this.#render();
  }

  /** @param {Outcome} outcome @param {Change} change */
  async #learn(outcome, change) {
    switch (outcome.kind) {
      case "done":
        return this.#settle(outcome.saved, outcome.etag, change, outcome.warnings);
      case "refused":
        return this.#refused(outcome.error, change);
      default:
        return this.#lookUp(outcome.error, change);
    }
  }

  /** What was sent is saved; what was typed since stays. @param {Saved} saved @param {string} etag @param {Change} change @param {string[]} warnings */
  #settle(saved, etag, change, warnings) {
    const isNewKey = Boolean(change.body?.api_key);
    this.missing = null;
    this.done = change.done === "saved" ? "Saved" : "Cleared";
    if (isNewKey && this.draft.key === change.sent.key) this.tester.findings.keep(saved);
    const wantsTest = isNewKey && this.parts.key.tests.input.checked && !this.tester.findings.knows(saved);
    this.#show(saved, etag, afterSaving(saved, this.draft, change.sent));
    say(this.parts.told, `${this.done}. Going live …${this.isDirty ? " What you typed since is not saved yet." : ""}`);
    this.parts.notice.replaceChildren();
    if (warnings.length) this.#tell("warn", h("p", {}, h("strong", {}, "Saved, but: "), warnings.join(" ")));
    if (change.before.state === "not_set_up") this.parts.lines.setAttribute("open", "");
    this.watch.hurry();
    if (wantsTest) this.tester.run(saved, this.draft, true);
  }

  /** @param {RequestError} error @param {Change} change */
  async #refused(error, change) {
    if (error.is("state-changed") && error.problem.current) return this.#wasFaster(error.problem.current, error.etag ?? "*", change);
    /** @type {Faults} */
    const found = { key: error.faultAt("#/api_key"), endpoint: error.faultAt("#/endpoint") };
    this.serverFaults = Object.fromEntries(Object.entries(found).filter(([, text]) => text));
    if (Object.keys(this.serverFaults).length) {
      if (this.serverFaults.key) this.parts.key.isReplacing = true;
      return this.#focusFirstFault(this.serverFaults);
    }
    this.#tell("bad", h("p", {}, h("strong", {}, "Nothing was changed. "), error.message, " What you typed is still here."));
  }

  /** Another change came first: the same one, one that shows no difference, or one to be asked about. @param {Saved} current @param {string} etag @param {Change} change */
  #wasFaster(current, etag, change) {
    if (this.missing && hasArrived(this.missing.before, current, change.body, this.me)) return this.#settle(current, etag, change, []);
    if (differs(change.before, current)) return this.#othersChanged(current, etag, { isRefused: true });
    this.#show(current, etag, rebased(current, this.draft));
    return this.#save();
  }

  /** Nobody knows yet what became of a change: read the card, and say what is so. @param {RequestError} error @param {Change} change */
  async #lookUp(error, change) {
    this.#tell("warn", ...openNotice(change.done, error.message));
    this.#turn("check");
    const found = await readUntilKnown(this.path, () => this.busy === "check");
    this.#turn("");
    if (!found) return;
    this.parts.notice.replaceChildren();
    const { saved, etag } = found;
    if (hasArrived(change.before, saved, change.body, this.me)) return this.#settle(saved, etag, change, []);
    if (saved.revision !== change.before.revision) return this.#othersChanged(saved, etag, { isRefused: true });
    this.missing = change;
    this.#tell("bad", ...absentNotice(change.done));
  }

  /** @param {Faults} found */
  #focusFirstFault(found) {
    const { key, endpoint } = this.parts;
    this.touched.add("all");
    if (found.key) key.isReplacing = true;
    this.#render();
    if (found.key) key.focus();
    else if (found.endpoint) endpoint.focus();
  }

  // -- what others do

  /** @param {Rollout} found */
  async #noticed(found) {
    this.traffic = found.traffic;
    this.rollout = found;
    this.#renderChip();
    this.#renderRollout();
    if (found.revision === this.saved.revision || this.busy) return;
    const { data, etag } = await rest("GET", this.path).catch(() => ({ data: null, etag: null }));
    if (!data || this.busy || data.revision === this.saved.revision) return;
    const tag = etag ?? `"${data.revision}"`;
    const { missing } = this;
    if (missing && hasArrived(missing.before, data, missing.body, this.me)) return this.#settle(data, tag, missing, []);
    this.#othersChanged(data, tag, { isRefused: false });
  }

  /** Show a change of somebody else under what is typed. @param {Saved} current @param {string} etag @param {{isRefused: boolean}} how */
  #othersChanged(current, etag, { isRefused }) {
    const before = this.saved;
    const draft = rebased(current, this.draft);
    const isOpen = isDirty(current, draft);
    this.missing = null;
    this.done = `Changed by ${who(current.updated_by, this.me)}${current.updated_by === this.me ? " in another window" : ""}: ${differences(before, current).join(", ")}`;
    if (before.key?.updated_at !== current.key?.updated_at || before.endpoint !== current.endpoint) this.tester.forget();
    this.#show(current, etag, draft);
    this.watch.hurry();
    if (!isOpen) return this.parts.notice.replaceChildren();
    const { content, first } = changedNotice(before, current, this.me, {
      isRefused,
      load: () => this.#resolve(() => this.#showInstead(this.saved, this.etag)),
      overwrite: () => this.#resolve(() => this.#overwrite()),
    });
    this.#tell("warn", ...content);
    if (isRefused) first.focus();
  }

  /** @param {() => void} act */
  #resolve(act) {
    this.parts.notice.replaceChildren();
    this.parts.enabled.element.focus();
    act();
  }

  /** Save what is typed on top of what somebody else saved. */
  #overwrite() {
    const found = faults(this.saved, this.draft);
    if (Object.keys(found).length) return this.#focusFirstFault(found);
    if (this.isDirty) this.#save();
  }

  // -- testing and clearing

  #testByHand() {
    if (this.busy || this.tester.running > 0) return;
    if (this.parts.test.getAttribute("aria-disabled") === "true") return this.#focusFirstFault(faults(this.saved, this.draft));
    this.parts.notice.replaceChildren();
    this.tester.run(this.saved, this.draft, testsSavedKey(this.saved, this.draft));
  }

  async #clear() {
    const before = this.saved;
    /** @type {Outcome | null} */
    let outcome = null;
    await askToClear(this.org, before.provider, async (onslow) => {
      this.busy = "clear";
      outcome = await sendChange("DELETE", this.path, { etag: this.etag, onslow });
      this.busy = "";
      if (outcome.kind !== "refused") return;
      const { error } = outcome;
      if (error.is("state-changed") && error.problem.current)
        this.#othersChanged(error.problem.current, error.etag ?? "*", { isRefused: false });
      throw error;
    });
    if (!outcome || /** @type {Outcome} */ (outcome).kind === "refused") return;
    this.traffic = null;
    await this.#learn(outcome, { before, body: null, sent: untouched(), done: "cleared" });
    if (this.saved.state !== "not_set_up") return;
    this.tester.forget();
    this.parts.lines.removeAttribute("open");
    this.#tell("", h("p", {}, h("strong", {}, "Cleared. "), "The key is destroyed in the secret store."));
    this.parts.key.focus();
  }
}
