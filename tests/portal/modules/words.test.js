// The sentences: states, times, changes, trials.

import assert from "node:assert/strict";
import { test } from "node:test";

import { auditCsv, cell } from "../../../services/control_plane/portal/static/csv.js";
import { step } from "../../../services/control_plane/portal/static/fields.js";
import * as words from "../../../services/control_plane/portal/static/words.js";
import "./offer.js";

const NOW = new Date("2026-11-03T12:00:00Z");
const ON = { provider: "openai", state: "enabled", endpoint: "https://a.example", key: { set: true, updated_at: "2026-11-03T10:00:00Z" } };

test("ages are told as people do", () => {
  for (const [at, said] of [
    ["2026-11-03T11:59:30Z", "just now"],
    ["2026-11-03T11:59:00Z", "1 minute ago"],
    ["2026-11-03T09:00:00Z", "3 hours ago"],
    ["2026-11-01T09:00:00Z", "on 1 Nov"],
    ["2025-11-01T09:00:00Z", "on 1 Nov 2025"],
  ])
    assert.equal(words.ago(at, NOW), said);
});

test("the chip says what real traffic shows of this key, not of the one before", () => {
  const chip = (traffic, saved = ON) => words.status(saved, traffic, null, NOW).text;
  const before = "2026-11-03T09:00:00Z";
  const first = "2026-11-03T10:30:00Z";
  const later = "2026-11-03T11:00:00Z";
  assert.equal(chip(null), "On, unverified");
  assert.equal(chip({ accepted_at: before, rejected_at: null }), "On, unverified");
  assert.equal(chip({ accepted_at: null, rejected_at: before }), "On, unverified");
  assert.equal(chip({ accepted_at: first, rejected_at: before }), "On");
  assert.equal(chip({ accepted_at: first, rejected_at: later }), "Key rejected 1 hour ago");
  assert.equal(chip({ accepted_at: later, rejected_at: first }), "On");
  assert.equal(chip({ accepted_at: later, rejected_at: null }, { ...ON, state: "disabled" }), "Off");
  assert.equal(chip(null, { ...ON, state: "not_set_up" }), "Not set up");
});

test("a test of this very key counts until boxes, or the next key, say more", () => {
  const keySince = ON.key.updated_at;
  const at = "Tue, 03 Nov 2026 10:45:00 GMT";
  const chip = (traffic, verdict, saved = ON) => words.status(saved, traffic, { verdict, at, keySince }, NOW).text;
  const [before, earlier, later] = ["09:00", "10:30", "11:00"].map((time) => `2026-11-03T${time}:00Z`);
  assert.equal(chip(null, "valid"), "On, verified");
  assert.equal(chip(null, "invalid"), "Key rejected 1 hour ago");
  assert.equal(chip({ accepted_at: before, rejected_at: before }, "invalid"), "Key rejected 1 hour ago");
  assert.equal(chip({ accepted_at: earlier, rejected_at: null }, "valid"), "On");
  assert.equal(chip({ accepted_at: earlier, rejected_at: null }, "invalid"), "Key rejected 1 hour ago");
  assert.equal(chip({ accepted_at: later, rejected_at: null }, "invalid"), "On");
  assert.equal(chip({ accepted_at: null, rejected_at: earlier }, "valid"), "On, verified");
  assert.equal(chip({ accepted_at: null, rejected_at: later }, "valid"), "Key rejected 1 hour ago");
  const next = { ...ON, key: { set: true, updated_at: "2026-11-03T10:45:00.500Z" } };
  for (const verdict of ["valid", "invalid"]) assert.equal(chip(null, verdict, next), "On, unverified");
  assert.equal(words.status(next, null, { verdict: "valid", at, keySince: next.key.updated_at }, NOW).text, "On, verified");
  assert.equal(chip(null, "valid", { ...ON, state: "disabled" }), "Off");
});

const HEARD = { unknown: 0, unknown_seconds: null };

test("a roll-out is told until all have it", () => {
  assert.equal(words.rollout({ live: 11, total: 12, ...HEARD, seconds: null }), "Live on 11 of 12 …");
  assert.equal(words.rollout({ live: 12, total: 12, ...HEARD, seconds: 0.42 }, true), "Live on 12 of 12 after 0.4 s");
  assert.equal(words.rollout({ live: 1, total: 1, ...HEARD, seconds: 0.03 }, true), "Live on 1 of 1, at once");
  assert.equal(words.rollout({ live: 12, total: 12, ...HEARD, seconds: 0.42 }), "Live on 12 of 12");
  assert.match(words.rollout({ live: 0, total: 0, ...HEARD, seconds: null }), /No gateway process/);
});

test("a process that is not heard is told as unknown, with its silence", () => {
  const told = (unknown, unknown_seconds) => words.rollout({ live: 2, total: 2 + unknown, unknown, unknown_seconds, seconds: null }, true);
  assert.equal(told(1, 20), "Live on 2 of 3; 1 not heard for 20 s: it may still serve the older state.");
  assert.equal(told(2, 600), "Live on 2 of 4; 2 not heard for 10 min: they may still serve the older state.");
  assert.match(told(1, 10800), /1 not heard for 3 h/);
});

test("somebody else's change is named by its parts", () => {
  const replaced = { ...ON, key: { set: true, updated_at: "2026-11-03T11:00:00Z" }, endpoint: "https://b.example" };
  assert.deepEqual(words.differences(ON, replaced), ["replaced the key", "changed the endpoint"]);
  assert.deepEqual(words.differences(ON, { ...ON, state: "disabled" }), ["switched it off"]);
  assert.deepEqual(words.differences(ON, { ...ON, state: "not_set_up" }), ["cleared it"]);
  assert.equal(words.listed(["a", "b", "c"]), "a, b and c");
});

test("a person begins a sentence, and an address stays as it is", () => {
  const said = (actor) => words.capital(words.who(actor, "me@a.test"));
  assert.deepEqual(["me@a.test", "platform", "", "bo@a.test"].map(said), ["You", "The platform", "Somebody", "bo@a.test"]);
});

test("history reads as sentences", () => {
  const put = (changed, state) => words.change({ action: "integration.put", target: "openai", details: { changed, state } });
  assert.equal(put(["api_key", "endpoint", "enabled"], "enabled"), "Set the key and endpoint of OpenAI, switched on");
  assert.equal(put(["enabled"], "disabled"), "Switched OpenAI off");
  assert.equal(put(["api_key"], "enabled"), "Set the key of OpenAI");
  assert.equal(words.change({ action: "member.put", target: "a@b.test", details: { role: "owner" } }), "Made a@b.test an owner");
  assert.equal(words.change({ action: "new.kind", target: "x", details: {} }), "new.kind x");
});

const tested = (verdict, step, more = {}) => ({
  provider: "openai",
  endpoint: "https://api.openai.com/v1",
  tested: "typed",
  verdict,
  steps: [{ step, status: "failed" }],
  ...more,
});

test("only the provider's refusal is called a refusal, and names who refused", () => {
  const said = (verdict, step, more, kind) => words.testVerdict(tested(verdict, step, more), kind).text;
  assert.equal(words.testVerdict(tested("valid", "x")).tone, "good");
  assert.match(said("invalid", "authentication"), /^OpenAI \(api\.openai\.com\) refuses this key/);
  const custom = { endpoint: "https://gateway.example:8443/v1" };
  assert.match(
    said("invalid", "authentication", custom),
    /^gateway\.example:8443, the custom endpoint of this card, refuses this key.*reset the endpoint/,
  );
  assert.match(said("invalid", "authentication", custom, "demo"), /^The demo provider \(gateway\.example:8443\) refuses this key/);
  assert.match(said("unknown", "dns", custom), /nothing about the key. Check the endpoint's host name, gateway\.example:8443/);
  assert.match(said("unknown", "tls"), /could not reach api\.openai\.com: that is the gateway's network, so tell its operator/);
});

test("a key test says which key it was of, and what to do about a saved one", () => {
  const stored = (verdict) => words.testVerdict(tested(verdict, "authentication", { tested: "stored" })).text;
  assert.equal(words.testedKey("AbCd"), "the saved key, which ends …AbCd");
  assert.equal(words.testedKey(null), "the key you typed");
  assert.equal(stored("valid"), "The saved key works.");
  assert.match(stored("invalid"), /refuses the saved key. Replace it/);
  assert.equal(stored("unknown"), "This says nothing about the key. Try api.openai.com again in a minute.");
});

test("a key that nobody has tried is not shown as good", () => {
  assert.equal(words.status(ON, null, null, NOW).tone, "quiet");
  assert.equal(words.status(ON, { accepted_at: "2026-11-03T11:00:00Z", rejected_at: null }, null, NOW).tone, "good");
});

test("the switch says what it means before it is saved", () => {
  const hint = (state, draft) =>
    words.switchHint({ ...ON, state }, { key: "", endpoint: null, enabled: null, ...draft }, "OpenAI", "Acme").text;
  assert.match(hint("not_set_up", {}), /^Turn this on/);
  assert.match(hint("not_set_up", { key: "sk-proj-0123456789" }), /^Off: saving keeps the key, but/);
  assert.match(hint("not_set_up", { enabled: true }), /once you save/);
  assert.match(hint("enabled", { enabled: false }), /are refused and running answers are cut/);
});

test("a step tells its time where it took some", () => {
  assert.deepEqual([0.04, 0.31, 12.3, null, undefined].map(words.stepTime), ["", "0.3 s", "12 s", "", ""]);
});

test("a spreadsheet runs nothing of an export", () => {
  assert.equal(cell('=HYPERLINK("x")'), `"'=HYPERLINK(""x"")"`);
  for (const start of "+-@") assert.equal(cell(`${start}1`), `"'${start}1"`);
  const entry = { at: "t", actor: "a", action: "b", target: "c", revision: 7, details: { x: 'q"' } };
  assert.equal(auditCsv([entry]).split("\r\n")[1], `"t","a","b","c","7","{""x"":""q\\""""}"`);
});

test("arrow keys go round the tabs", () => {
  assert.equal(step("ArrowRight", 4, 5), 0);
  assert.equal(step("ArrowLeft", 0, 5), 4);
  assert.equal(step("End", 0, 5), 4);
  assert.equal(step("Tab", 0, 5), null);
});
