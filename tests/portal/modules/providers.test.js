// A provider that no module has heard of: everything that pages say of one comes from its row.

import assert from "node:assert/strict";
import { after, test } from "node:test";

import { requestTarget } from "../../../services/control_plane/portal/static/endpoint_rules.js";
import { keyFault, keyHint } from "../../../services/control_plane/portal/static/key_rules.js";
import { learnProviders, PROVIDERS } from "../../../services/control_plane/portal/static/providers.js";
import { change, onCount, whoAnswers } from "../../../services/control_plane/portal/static/words.js";
import { OFFER } from "./offer.js";

const ROW = {
  provider: "acme-ai",
  title: "Acme Models",
  company: "Acme",
  about: "",
  default_endpoint: "https://models.acme.example",
  version_segment: "/v9",
  example_path: "/talk",
  keys: [{ kind: "acme", prefix: "acme_" }],
  key_page: "https://acme.example/keys",
  console: "https://acme.example",
  snippets: [],
};
const START = { start: "acme_", vendor: "Acme", provider: "acme-ai", hosts: ["acme.example"], administers: false, demo: false };
const ADMIN = { ...START, start: "acme_admin_", administers: true };

learnProviders({ items: [ROW], key_starts: [ADMIN, START, ...OFFER.key_starts] });
after(() => learnProviders(OFFER));

test("only what is offered is known, and counted", () => {
  assert.deepEqual(Object.keys(PROVIDERS), ["acme-ai"]);
  assert.equal(onCount(["acme-ai", "withdrawn"]), "1 of 1 on");
});

test("where requests go, and who answers there, come from the row", () => {
  assert.equal(requestTarget("acme-ai", ""), "https://models.acme.example/v9/talk");
  assert.equal(whoAnswers("acme-ai", ROW.default_endpoint, "default").refuser, "Acme (models.acme.example)");
});

test("its keys are judged like every other provider's", () => {
  assert.match(keyHint("acme-ai", "0123456789", ROW.default_endpoint), /^Keys of Acme begin with acme_\./);
  assert.equal(keyHint("acme-ai", "acme_0123456789", ROW.default_endpoint), "");
  assert.match(keyHint("acme-ai", "gsk_0123456789", ROW.default_endpoint), /looks like a key of Groq, but it is for Acme/);
  assert.match(keyFault("acme_admin_0123456789"), /admin key of Acme/);
});

test("history names what is offered by its title, and what is not by its name", () => {
  const entry = { at: "", actor: "", action: "integration.cleared", revision: 1, details: {} };
  assert.equal(change({ ...entry, target: "acme-ai" }), "Cleared Acme Models");
  assert.equal(change({ ...entry, target: "withdrawn" }), "Cleared withdrawn");
});
