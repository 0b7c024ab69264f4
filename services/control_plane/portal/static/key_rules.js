// What can be said of a pasted key before it is sent: what belongs to it, whether it can be a key, whose key it looks like.
// The server cleans and judges by the same rules; tests/corpus/pasted_keys.json holds both to one table of cases.

import { hostOf, isHostOf } from "./endpoint_rules.js";
import { KEY_STARTS, PROVIDERS } from "./providers.js";

const MIN_CHARS = 8;
const MAX_CHARS = 512;
const MAX_ROUNDS = 8;
const VISIBLE = /^[\x21-\x7e]*$/;
const MASK = /…|\.\.\.|[•●·]{2}|\*\*|^x{8,}$|Secret\(|redacted|<[^>]*>/i;
const INVISIBLE = /\u200b|\u200c|\u200d|\u200e|\u200f|[\u202a-\u202e\u2060-\u2064\ufeff]/g;
const QUOTES = "\"'`\u201c\u201d\u2018\u2019\u00ab\u00bb";
const JSON_AROUND = "the JSON around it";

/** @type {[string, RegExp][]} */
const WRAPPINGS = [
  ["the header's name", /^(?:(?:-H|--header)\s+)?["']?(?:authorization|x-api-key|x-goog-api-key|api-key)\s*:\s*/i],
  ["Bearer", /^bearer\s+/i],
  ["the variable's name", /^(?:export|set|setx|env|-e)\s+[a-z_]\w*\s*[= ]\s*/i],
  ["the variable's name", /^\$env:[a-z_]\w*\s*=\s*/i],
  ["the variable's name", /^(?:--?)?[a-z_][\w-]*(?:key|token|secret)\w*\s*=\s*(?=[^=\s])/i],
  ["the option's name", /^--?[a-z][a-z-]*(?:key|token|secret)\s+/i],
  [JSON_AROUND, /^\{?\s*["'][\w.-]*(?:key|token|secret)\w*["']\s*:\s*/i],
  ["the name in front of it", /^[a-z_][\w.-]*(?:key|token|secret)\w*\s*:\s+/i],
];

const EXAMPLES = [
  /^(?:sk-|sk-ant-|sk-proj-|sk-ant-api\d\d-)?(?:your|my|the|insert|replace|change|put|enter|paste)(?:[-_ ]|key|api|token|secret|real)[a-z0-9_-]*$/i,
  /^(?:sk-)?(?:api[-_]?key|test[-_]?key|example|dummy|placeholder|fake|foo|changeme)[a-z0-9_-]*$/i,
  /x{6,}|0123456789abcdef0123|goes[-_]here|12345678901234567890/i,
];

/** Take off what surrounds a pasted key; give what is left, and what was left out. @param {string} pasted */
export function cleanedKey(pasted) {
  /** @type {string[]} */
  const leftOut = [];
  let key = pasted.replaceAll(INVISIBLE, "");
  if (key !== pasted) leftOut.push("invisible characters");
  key = key.trim();
  for (let round = 0; round < MAX_ROUNDS; round += 1) {
    const [name, rest] = unwrapped(key, leftOut.includes(JSON_AROUND));
    if (!name) break;
    if (!leftOut.includes(name)) leftOut.push(name);
    key = rest.trim();
  }
  return { key, leftOut };
}

/** @param {string} text @param {boolean} inJson @returns {[string, string]} */
function unwrapped(text, inJson) {
  for (const [name, pattern] of WRAPPINGS) {
    const match = pattern.exec(text);
    if (match) return [name, text.slice(match[0].length)];
  }
  if (text.length < 2) return ["", text];
  const last = text.slice(-1);
  if (",;".includes(last)) return ["a comma or semicolon", text.slice(0, -1)];
  if (inJson && last === "}") return [JSON_AROUND, text.slice(0, -1)];
  return QUOTES.includes(text[0]) || QUOTES.includes(last) ? ["quotes", withoutQuotes(text)] : ["", text];
}

/** @param {string} text */
function withoutQuotes(text) {
  let [start, end] = [0, text.length];
  while (start < end && QUOTES.includes(text[start])) start += 1;
  while (end > start && QUOTES.includes(text[end - 1])) end -= 1;
  return text.slice(start, end);
}

/** Give the sentence that says why this cannot be a key; "" for one that can. @param {string} key cleaned */
export function keyFault(key) {
  if (MASK.test(key)) return "This is a masked key, not the key itself. Paste the whole key.";
  if (/[\r\n]/.test(key)) return "There is a line break inside the key. Paste the key alone, in one line.";
  if (!VISIBLE.test(key)) return "A key has no spaces, line breaks or special characters. Paste the key alone.";
  if (key.length < MIN_CHARS) return `A key has at least ${MIN_CHARS} characters.`;
  if (key.length > MAX_CHARS) return `A key has at most ${MAX_CHARS} characters.`;
  if (/^run9-placeholder$/i.test(key)) return "This is the placeholder that boxes use. Paste the key that the provider gave you.";
  const known = startOf(key);
  if (known?.administers)
    return `This is an admin key of ${known.vendor} (${known.start}…): it administers the account and can call no model. Make an API key instead.`;
  return "";
}

/** @param {string} key */
function startOf(key) {
  return KEY_STARTS.find(({ start }) => key.startsWith(start)) ?? null;
}

/** Whether this is a key of the demo provider. @param {string} key */
export function isDemoKey(key) {
  return startOf(key)?.demo === true;
}

/**
 * Give the one hint that matters most about a key that can be saved; "" for none. `endpoint` is where it would go.
 * @param {string} provider @param {string} key cleaned @param {string} endpoint
 */
export function keyHint(provider, key, endpoint) {
  if (!key) return "";
  const { company, defaultEndpoint, keyStart } = PROVIDERS[provider];
  const isOwn = endpoint === defaultEndpoint;
  if (EXAMPLES.some((pattern) => pattern.test(key))) return "This looks like a stand-in from a document, not like a key.";
  const known = startOf(key);
  if (!known) return isOwn && keyStart ? `Keys of ${company} begin with ${keyStart}. This one does not.` : "";
  const { vendor, provider: owner, hosts, demo } = known;
  if (demo) return isOwn ? `This is a key of the demo provider; ${company} itself will refuse it.` : "";
  const belongs = hosts.some((host) => isHostOf(endpoint, host));
  if (owner !== provider && (isOwn || !belongs)) return `This looks like a key of ${vendor}, but it is for ${company}.`;
  if (!isOwn && !belongs)
    return `This looks like a key of ${vendor}, and it would be sent to ${hostOf(endpoint)} instead. If that is not what you want, reset the endpoint.`;
  return "";
}
