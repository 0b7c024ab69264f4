// What a person has touched on one card, beside what is saved: dirty? valid? the request; and what stays when the saved
// state changes under it. Pure: no element, no request.

import { endpointFault, sameEndpoint } from "./endpoint_rules.js";
import { cleanedKey, keyFault } from "./key_rules.js";
import { PROVIDERS } from "./providers.js";

/** @import {ChangeBody, Draft, Faults, Parts, Saved} from "./types.d.ts" */

/** What the endpoint field shows of a saved endpoint: nothing for the provider's own. @param {Saved} saved */
export function endpointText(saved) {
  return saved.endpoint === PROVIDERS[saved.provider].defaultEndpoint ? "" : saved.endpoint;
}

/** The draft of a person who has touched nothing. @returns {Draft} */
export function untouched() {
  return { key: "", endpoint: null, enabled: null };
}

/** What the fields show. @param {Saved} saved @param {Draft} draft */
export function shown(saved, draft) {
  return { endpoint: draft.endpoint ?? endpointText(saved), enabled: draft.enabled ?? saved.state === "enabled" };
}

/** Which fields differ from what is saved. @param {Saved} saved @param {Draft} draft @returns {Parts} */
export function changes(saved, draft) {
  return {
    key: draft.key.trim() !== "",
    endpoint: draft.endpoint !== null && draft.endpoint.trim() !== endpointText(saved),
    enabled: draft.enabled !== null && draft.enabled !== (saved.state === "enabled"),
  };
}

/** Whether there is anything to lose. @param {Saved} saved @param {Draft} draft */
export function isDirty(saved, draft) {
  const { key, endpoint, enabled } = changes(saved, draft);
  return key || endpoint || enabled;
}

/** The draft on top of a newer saved state: only what still differs stays touched. @param {Saved} saved @param {Draft} draft @returns {Draft} */
export function rebased(saved, draft) {
  const changed = changes(saved, draft);
  return { key: draft.key, endpoint: changed.endpoint ? draft.endpoint : null, enabled: changed.enabled ? draft.enabled : null };
}

/**
 * What stays touched once `sent` is saved: whatever was typed after it was sent.
 * @param {Saved} saved @param {Draft} draft @param {Draft} sent @returns {Draft}
 */
export function afterSaving(saved, draft, sent) {
  return rebased(saved, {
    key: draft.key === sent.key ? "" : draft.key,
    endpoint: draft.endpoint === sent.endpoint ? null : draft.endpoint,
    enabled: draft.enabled === sent.enabled ? null : draft.enabled,
  });
}

/** Why this cannot be saved, by field; an empty object for a draft that can. @param {Saved} saved @param {Draft} draft @returns {Faults} */
export function faults(saved, draft) {
  /** @type {Faults} */
  const found = {};
  const changed = changes(saved, draft);
  const { key } = cleanedKey(draft.key);
  const endpoint = endpointFault(shown(saved, draft).endpoint, endpointText(saved));
  if (endpoint) found.endpoint = endpoint;
  if (draft.key.trim()) {
    const fault = keyFault(key);
    if (fault) found.key = fault;
  } else if (saved.state === "not_set_up") {
    found.key = "Paste the API key.";
  } else if (changed.endpoint) {
    found.key = "The endpoint changes, so the key is needed again: a saved key is never sent to a new place.";
  }
  return found;
}

/** The request that saves this draft: the first set-up as a whole, later only what was touched. @param {Saved} saved @param {Draft} draft */
export function changeRequest(saved, draft) {
  const changed = changes(saved, draft);
  const { endpoint, enabled } = shown(saved, draft);
  /** @type {ChangeBody} */
  const body = {};
  if (changed.key) body.api_key = cleanedKey(draft.key).key;
  if (saved.state === "not_set_up") return { method: "PUT", body: { ...body, endpoint: endpoint.trim() || null, enabled } };
  if (changed.endpoint) body.endpoint = endpoint.trim() || null;
  if (changed.enabled) body.enabled = enabled;
  return { method: "PATCH", body };
}

/**
 * Whether `now` is what a change without an answer would have made of `before`. `body` is the change, null for clearing.
 * @param {Saved} before @param {Saved} now @param {ChangeBody | null} body @param {string} me
 */
export function hasArrived(before, now, body, me) {
  if (now.revision <= before.revision || now.updated_by !== me) return false;
  if (body === null) return now.state === "not_set_up";
  if (now.state === "not_set_up") return false;
  const { api_key: key, endpoint, enabled } = body;
  const wanted = endpoint === null ? PROVIDERS[now.provider].defaultEndpoint : endpoint;
  return (
    (key === undefined || (now.key.last4 === key.slice(-4) && now.key.updated_by === me && now.key.updated_at !== before.key.updated_at)) &&
    (wanted === undefined || sameEndpoint(now.endpoint, wanted)) &&
    (enabled === undefined || enabled === (now.state === "enabled"))
  );
}

/** Whether a test of this draft would be one of the saved key. @param {Saved} saved @param {Draft} draft */
export function testsSavedKey(saved, draft) {
  return saved.state !== "not_set_up" && draft.key.trim() === "";
}

/** The body of the test of this draft: the saved key where it is saved to go, a typed one as typed. @param {Saved} saved @param {Draft} draft */
export function testBody(saved, draft) {
  if (testsSavedKey(saved, draft)) return {};
  const endpoint = shown(saved, draft).endpoint.trim() || PROVIDERS[saved.provider].defaultEndpoint;
  return { api_key: cleanedKey(draft.key).key, endpoint };
}
