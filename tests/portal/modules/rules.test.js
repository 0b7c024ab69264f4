// Hints about keys and endpoints, and where requests would go.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";

import {
  endpointFault,
  endpointHint,
  meantEndpoint,
  requestTarget,
  sameEndpoint,
} from "../../../services/control_plane/portal/static/endpoint_rules.js";
import { cleanedKey, keyFault, keyHint } from "../../../services/control_plane/portal/static/key_rules.js";
import { PROVIDERS } from "../../../services/control_plane/portal/static/providers.js";
import "./offer.js";

const CASES = JSON.parse(readFileSync(new URL("../../corpus/pasted_keys.json", import.meta.url), "utf8"));

test("what surrounds a pasted key is left out and named, as the server does", () => {
  for (const { pasted, key, left_out: leftOut } of CASES.cleaned)
    assert.deepEqual(cleanedKey(pasted), { key, leftOut }, JSON.stringify(pasted));
});

test("what cannot be a key is refused with the reason, as the server does", () => {
  for (const { key, because } of CASES.refused) assert.match(keyFault(cleanedKey(key).key), new RegExp(because), key);
  assert.match(keyFault("sk-é12345678"), /special/);
  assert.match(keyFault("x".repeat(4) + "y".repeat(509)), /at most 512/);
  assert.equal(keyFault("sk-proj-0123456789"), "");
});

test("one hint names what looks wrong with a key, as the server does", () => {
  for (const { provider, key, endpoint, warning } of CASES.warned) {
    const hint = keyHint(provider, key, endpoint || PROVIDERS[provider].defaultEndpoint);
    if (warning) assert.match(hint.replace("would be sent", "is sent"), new RegExp(warning, "i"), key);
    else assert.equal(hint, "", key);
  }
});

test("two texts name one endpoint when only a slash or the case of the host differs", () => {
  assert.ok(sameEndpoint("https://Gateway.example/v1/", " https://gateway.example/v1"));
  assert.ok(!sameEndpoint("https://gateway.example/v1", "https://gateway.example/v2"));
});

test("an endpoint that cannot work is refused while it is typed", () => {
  for (const [text, reason] of [
    ["gateway", /Begin with https/],
    ["ftp://gateway.example", /Begin with https/],
    ["https://", /not a complete URL/],
    ["https://me:pw@gateway.example", /user name/],
    ["https://gateway.example/v1?x=1", /from \? on/],
    ["https://gateway.example/v1#x", /from # on/],
    ["https://gateway.example/v1/chat/completions", /one route/],
  ])
    assert.match(endpointFault(text), reason);
  for (const text of ["", "  ", "https://gateway.example", "https://gateway.example:8443/openai/v1/"])
    assert.equal(endpointFault(text), "");
});

test("a bare host's name is an endpoint without its https://, and nothing else is", () => {
  for (const text of [
    "gateway.example",
    " gateway.example ",
    "Gateway.example/v1",
    "a-b.gateway.example:8443/openai/v1",
    "gateway.example?x=1",
  ]) {
    assert.equal(meantEndpoint(text), `https://${text.trim()}`);
  }
  for (const text of [
    "",
    " ",
    "gateway",
    "localhost:8080",
    "10.0.0.1/v1",
    "https://gateway.example",
    "http://gateway.example/v1",
    "ftp://gateway.example",
    "//gateway.example",
    "me@gateway.example",
    "/v1",
    "gateway.",
    ".example",
    "-a.example",
    "sk-proj-0123456789",
    "sk-proj.AbCd_012",
    "two.words here",
  ])
    assert.equal(meantEndpoint(text), text);
});

test("only the operator can allow plain http and addresses", () => {
  assert.match(endpointHint("http://gateway.example"), /unencrypted/);
  for (const text of ["https://10.0.0.1", "https://[::1]/", "https://2130706433/", "https://127.1"])
    assert.match(endpointHint(text), /IP address/);
  assert.equal(endpointHint("https://gateway.example"), "");
});

test("the target of a request follows the contract", () => {
  assert.equal(requestTarget("openai", ""), "https://api.openai.com/v1/responses");
  assert.equal(requestTarget("anthropic", ""), "https://api.anthropic.com/v1/messages");
  assert.equal(requestTarget("openai", "https://gateway.example/openai/v1/"), "https://gateway.example/openai/v1/responses");
  assert.equal(requestTarget("anthropic", "https://gateway.example/v1"), "https://gateway.example/v1/messages");
  assert.equal(requestTarget("openai", "nonsense"), "");
});
