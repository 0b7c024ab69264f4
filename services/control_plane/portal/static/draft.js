// What a person has typed into one card, against what is saved: dirty? valid? and the request it becomes.
// Pure: no element, no request. A draft is {key, endpoint, enabled}, all as typed.

import { endpointFault } from "./endpoint_rules.js";
import { keyFault } from "./key_rules.js";
import { PROVIDERS } from "./providers.js";

/** What the endpoint field shows of a saved endpoint: nothing for the provider's own. */
export function endpointText(saved) {
  return saved.endpoint === PROVIDERS[saved.provider].defaultEndpoint ? "" : saved.endpoint;
}

/** The draft of somebody who has typed nothing. A first set-up begins switched on. */
export function untouched(saved) {
  return { key: "", endpoint: endpointText(saved), enabled: saved.state !== "disabled" };
}

/** Which fields differ from what is saved. */
export function changes(saved, draft) {
  const isSetUp = saved.state !== "not_set_up";
  return {
    key: draft.key.trim() !== "",
    endpoint: draft.endpoint.trim() !== endpointText(saved),
    enabled: isSetUp ? draft.enabled !== (saved.state === "enabled") : !draft.enabled,
  };
}

/** Whether there is anything to lose. */
export function isDirty(saved, draft) {
  const { key, endpoint, enabled } = changes(saved, draft);
  return key || endpoint || enabled;
}

/** Why this cannot be saved, by field; an empty object for a draft that can. */
export function faults(saved, draft) {
  const found = {};
  const changed = changes(saved, draft);
  const key = draft.key.trim();
  const endpoint = endpointFault(draft.endpoint, endpointText(saved));
  if (endpoint) found.endpoint = endpoint;
  if (key) {
    const fault = keyFault(key);
    if (fault) found.key = fault;
  } else if (saved.state === "not_set_up") {
    found.key = "Paste the API key.";
  } else if (changed.endpoint) {
    found.key = "The endpoint changes, so the key is needed again: a saved key is never sent to a new place.";
  }
  return found;
}

/** The body of the PUT that saves this draft. */
export function requestBody(saved, draft) {
  const changed = changes(saved, draft);
  const body = { enabled: draft.enabled };
  if (changed.key) body.api_key = draft.key.trim();
  if (changed.endpoint || saved.state === "not_set_up") body.endpoint = draft.endpoint.trim() || null;
  return body;
}

/** Whether a trial of this draft would be one of the saved key. */
export function triesSavedKey(saved, draft) {
  return saved.state !== "not_set_up" && draft.key.trim() === "";
}

/** The body of the trial of this draft: the saved key is tried where it is saved to go, a typed one as typed. */
export function trialBody(saved, draft) {
  if (triesSavedKey(saved, draft)) return {};
  const endpoint = draft.endpoint.trim() || PROVIDERS[saved.provider].defaultEndpoint;
  return { api_key: draft.key.trim(), endpoint };
}
