// What can be said of a typed endpoint, and where requests would go. The server judges again.

import { PROVIDERS } from "./providers.js";

const LITERAL = /^(?:\[.*\]|(?:.*\.)?(?:\d+|0x[\da-f]*))$/i;
// A host's name with a dot, as people copy it from a document. Nothing that could be a key, a path or an address.
const BARE_HOST = /^(?:[a-z\d](?:[a-z\d-]{0,61}[a-z\d])?\.)+[a-z]{2,63}(?::\d+)?(?:[/?#]|$)/i;
const OPERATOR_MAY_ALLOW = " Only the gateway's operator can allow it.";

/** The host of an endpoint as people read it, with the port where one is named; the text itself when it is no URL. @param {string} endpoint */
export function hostOf(endpoint) {
  try {
    return new URL(endpoint).host;
  } catch {
    return endpoint;
  }
}

/** Whether an endpoint is at this host, or below it. @param {string} endpoint @param {string} host */
export function isHostOf(endpoint, host) {
  const own = hostOf(endpoint).replace(/:\d+$/, "");
  return own === host || own.endsWith(`.${host}`);
}

/** Whether two texts name one endpoint. @param {string} one @param {string} other */
export function sameEndpoint(one, other) {
  try {
    const bare = [one, other].map((text) => new URL(text.trim()).href.replace(/\/+$/, ""));
    return bare[0] === bare[1];
  } catch {
    return one === other;
  }
}

/** Give the endpoint that is meant: "gateway.example/v1" begins with https://, as every endpoint does. @param {string} text */
export function meantEndpoint(text) {
  const typed = text.trim();
  return BARE_HOST.test(typed) ? `https://${typed}` : text;
}

/** Give the sentence that says why this is no endpoint; "" for one that may be, and for an empty field. @param {string} text */
export function endpointFault(text, saved = "") {
  const typed = text.trim();
  if (!typed || typed === saved) return "";
  let url;
  try {
    url = new URL(typed);
  } catch {
    return typed.includes("://") ? "This is not a complete URL." : "Begin with https://.";
  }
  if (url.protocol !== "https:" && url.protocol !== "http:") return "Begin with https://.";
  if (url.username || url.password) return "Leave user name and password out; the key has its own field.";
  if (typed.includes("?")) return "Leave the part from ? on out.";
  if (typed.includes("#")) return "Leave the part from # on out.";
  if (/\/(?:responses|chat\/completions|messages|models)\/?$/.test(url.pathname)) {
    return "This is one route. Give the base URL, as you would in the provider's SDK.";
  }
  return "";
}

/** Give a hint about an endpoint that most gateways refuse; "" for none. @param {string} text */
export function endpointHint(text) {
  let url;
  try {
    url = new URL(text.trim());
  } catch {
    return "";
  }
  if (url.protocol === "http:") return `Plain http sends the key unencrypted.${OPERATOR_MAY_ALLOW}`;
  if (LITERAL.test(url.hostname)) return `An IP address instead of a name.${OPERATOR_MAY_ALLOW}`;
  return "";
}

/** Tell where a request would go, e.g. https://api.openai.com/v1/responses; "" when that cannot be said. @param {string} provider @param {string} text */
export function requestTarget(provider, text) {
  const { defaultEndpoint, versionSegment, examplePath } = PROVIDERS[provider];
  let url;
  try {
    url = new URL(text.trim() || defaultEndpoint);
  } catch {
    return "";
  }
  let base = url.pathname.replace(/\/+$/, "");
  if (versionSegment && base.endsWith(versionSegment)) base = base.slice(0, -versionSegment.length);
  return `${url.origin}${base}${versionSegment}${examplePath}`;
}
