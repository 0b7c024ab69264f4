// What a card's draft becomes: dirty, valid, the request; and what stays of it when the saved state changes.

import assert from "node:assert/strict";
import { test } from "node:test";

import {
  afterSaving,
  changeRequest,
  changes,
  faults,
  hasArrived,
  isDirty,
  rebased,
  shown,
  testBody,
  testsSavedKey,
  untouched,
} from "../../../services/control_plane/portal/static/draft.js";
import "./offer.js";

const KEY = "sk-proj-0123456789";
const ME = "me@a.test";
const NEW = { provider: "openai", state: "not_set_up", endpoint: "https://api.openai.com/v1", key: { set: false }, revision: 0 };
const ON = {
  ...NEW,
  state: "enabled",
  key: { set: true, last4: "0000", updated_at: "2026-11-03T10:00:00Z" },
  revision: 7,
  updated_by: "other@a.test",
};
const CUSTOM = { ...ON, endpoint: "https://gateway.example/v1" };
const typed = (more) => ({ ...untouched(), ...more });

test("an untouched card has nothing to lose", () => {
  for (const saved of [NEW, ON, CUSTOM, { ...ON, state: "disabled" }]) assert.equal(isDirty(saved, untouched()), false);
});

test("the provider's own endpoint leaves the field empty", () => {
  assert.equal(shown(ON, untouched()).endpoint, "");
  assert.equal(shown(CUSTOM, untouched()).endpoint, "https://gateway.example/v1");
});

test("a first set-up needs a key and is switched off until somebody switches it on", () => {
  assert.deepEqual(faults(NEW, untouched()), { key: "Paste the API key." });
  assert.equal(shown(NEW, untouched()).enabled, false);
  const { method, body } = changeRequest(NEW, typed({ key: ` ${KEY}\n`, enabled: true }));
  assert.deepEqual([method, body], ["PUT", { enabled: true, api_key: KEY, endpoint: null }]);
});

test("a change sends only what was touched", () => {
  assert.deepEqual(changeRequest(CUSTOM, typed({ enabled: false })), { method: "PATCH", body: { enabled: false } });
  assert.deepEqual(changeRequest(CUSTOM, typed({ key: KEY })), { method: "PATCH", body: { api_key: KEY } });
  assert.deepEqual(changeRequest(CUSTOM, typed({ key: KEY, endpoint: " " })), { method: "PATCH", body: { api_key: KEY, endpoint: null } });
});

test("what was pasted around a key is not sent", () => {
  assert.equal(changeRequest(ON, typed({ key: `export OPENAI_API_KEY="${KEY}",` })).body.api_key, KEY);
});

test("a new endpoint needs the key again", () => {
  const draft = typed({ endpoint: "https://gateway.example/v1" });
  assert.match(faults(ON, draft).key, /needed again/);
  assert.deepEqual(faults(ON, { ...draft, key: KEY }), {});
});

test("a field that somebody else has set to the same is touched no more, the others stay", () => {
  const draft = typed({ key: KEY, enabled: false });
  assert.deepEqual(rebased({ ...ON, state: "disabled" }, draft), typed({ key: KEY }));
  assert.deepEqual(rebased(ON, draft), draft);
});

test("a key typed on top of a switch that somebody else has turned does not turn it back", () => {
  const draft = rebased({ ...ON, state: "disabled" }, typed({ key: KEY }));
  assert.deepEqual(changeRequest({ ...ON, state: "disabled" }, draft).body, { api_key: KEY });
});

test("what was typed after a save was sent stays, what was sent is settled", () => {
  const sent = typed({ key: KEY, enabled: false });
  const saved = { ...ON, state: "disabled" };
  assert.deepEqual(afterSaving(saved, sent, sent), untouched());
  assert.deepEqual(afterSaving(saved, { ...sent, key: "sk-another-0123" }, sent), typed({ key: "sk-another-0123" }));
  assert.deepEqual(afterSaving(saved, { ...sent, enabled: true }, sent), typed({ enabled: true }));
});

test("a change without an answer has arrived only when its every part is there, and is mine", () => {
  const body = { api_key: KEY, enabled: true };
  const key = { set: true, last4: "6789", updated_at: "2026-11-03T11:00:00Z", updated_by: ME };
  const now = { ...ON, revision: 8, updated_by: ME, key };
  assert.equal(hasArrived(ON, now, body, ME), true);
  assert.equal(hasArrived(ON, { ...now, revision: 7 }, body, ME), false);
  assert.equal(hasArrived(ON, { ...now, updated_by: "other@a.test" }, body, ME), false);
  assert.equal(hasArrived(ON, { ...now, key: { ...key, last4: "0000" } }, body, ME), false);
  assert.equal(hasArrived(ON, { ...now, state: "disabled" }, body, ME), false);
  assert.equal(
    hasArrived(ON, { ...now, endpoint: "https://gateway.example/v1" }, { ...body, endpoint: "https://Gateway.example/v1/" }, ME),
    true,
  );
  assert.equal(hasArrived(ON, { ...NEW, revision: 8, updated_by: ME }, null, ME), true);
  assert.equal(hasArrived(ON, now, null, ME), false);
});

test("going back to the provider's own endpoint is a change that says so", () => {
  const draft = typed({ endpoint: " ", key: KEY });
  assert.equal(changes(CUSTOM, draft).endpoint, true);
  assert.equal(changeRequest(CUSTOM, draft).body.endpoint, null);
});

test("a test without a typed key is of the saved one, where that is saved to go", () => {
  for (const saved of [ON, CUSTOM]) {
    assert.equal(testsSavedKey(saved, untouched()), true);
    assert.deepEqual(testBody(saved, untouched()), {});
  }
  assert.equal(testsSavedKey(NEW, untouched()), false);
});

test("a typed key is tested where it is typed to go, also when that is back to the provider's own", () => {
  const draft = typed({ key: ` ${KEY}\n` });
  assert.equal(testsSavedKey(CUSTOM, draft), false);
  assert.deepEqual(testBody(CUSTOM, draft), { api_key: KEY, endpoint: CUSTOM.endpoint });
  assert.deepEqual(testBody(CUSTOM, { ...draft, endpoint: " " }), { api_key: KEY, endpoint: "https://api.openai.com/v1" });
  assert.deepEqual(testBody(NEW, draft), { api_key: KEY, endpoint: "https://api.openai.com/v1" });
});
