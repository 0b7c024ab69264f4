// What a card's draft becomes: dirty, valid, the request.

import assert from "node:assert/strict";
import { test } from "node:test";

import { changes, faults, isDirty, requestBody, trialBody, triesSavedKey, untouched } from "../../../services/control_plane/portal/static/draft.js";

const KEY = "sk-proj-0123456789";
const NEW = { provider: "openai", state: "not_set_up", endpoint: "https://api.openai.com/v1", key: { set: false } };
const ON = { ...NEW, state: "enabled", key: { set: true } };
const CUSTOM = { ...ON, endpoint: "https://gateway.example/v1" };

test("an untouched card has nothing to lose", () => {
  for (const saved of [NEW, ON, CUSTOM, { ...ON, state: "disabled" }]) assert.equal(isDirty(saved, untouched(saved)), false);
});

test("the provider's own endpoint leaves the field empty", () => {
  assert.equal(untouched(ON).endpoint, "");
  assert.equal(untouched(CUSTOM).endpoint, "https://gateway.example/v1");
});

test("a first set-up needs a key and is switched on", () => {
  assert.deepEqual(faults(NEW, untouched(NEW)), { key: "Paste the API key." });
  assert.deepEqual(requestBody(NEW, { ...untouched(NEW), key: ` ${KEY}\n` }), { enabled: true, api_key: KEY, endpoint: null });
});

test("a change sends only what has changed", () => {
  assert.deepEqual(requestBody(CUSTOM, { ...untouched(CUSTOM), enabled: false }), { enabled: false });
  assert.deepEqual(requestBody(CUSTOM, { ...untouched(CUSTOM), key: KEY }), { enabled: true, api_key: KEY });
});

test("a new endpoint needs the key again", () => {
  const draft = { ...untouched(ON), endpoint: "https://gateway.example/v1" };
  assert.match(faults(ON, draft).key, /needed again/);
  assert.deepEqual(faults(ON, { ...draft, key: KEY }), {});
});

test("going back to the provider's own endpoint is a change that says so", () => {
  const draft = { ...untouched(CUSTOM), endpoint: " ", key: KEY };
  assert.equal(changes(CUSTOM, draft).endpoint, true);
  assert.equal(requestBody(CUSTOM, draft).endpoint, null);
});

test("a trial without a typed key is of the saved one, where that is saved to go", () => {
  for (const saved of [ON, CUSTOM]) {
    assert.equal(triesSavedKey(saved, untouched(saved)), true);
    assert.deepEqual(trialBody(saved, untouched(saved)), {});
  }
  assert.equal(triesSavedKey(NEW, untouched(NEW)), false);
});

test("a typed key is tried where it is typed to go, also when that is back to the provider's own", () => {
  const draft = { ...untouched(CUSTOM), key: ` ${KEY}\n` };
  assert.equal(triesSavedKey(CUSTOM, draft), false);
  assert.deepEqual(trialBody(CUSTOM, draft), { api_key: KEY, endpoint: CUSTOM.endpoint });
  assert.deepEqual(trialBody(CUSTOM, { ...draft, endpoint: " " }), { api_key: KEY, endpoint: "https://api.openai.com/v1" });
  assert.deepEqual(trialBody(NEW, { ...untouched(NEW), key: KEY }), { api_key: KEY, endpoint: "https://api.openai.com/v1" });
});
