// What can be said of a typed key before it is sent. The server judges again; these are hints for the person.

import { PROVIDERS } from "./providers.js";

const MIN_CHARS = 8;
const MAX_CHARS = 512;
const VISIBLE = /^[\x21-\x7e]*$/;
const MASK = /…|\.\.\.|[•●·]{2}|\*\*|^x{8,}$|redacted|<[^>]*>/i;

/** Tell whose key this looks like: "openai", "anthropic" or null. */
export function keyOwner(text) {
  if (text.startsWith("sk-ant-")) return "anthropic";
  return text.startsWith("sk-") ? "openai" : null;
}

/** Give the sentence that says why this cannot be a key; "" for one that can. `text` is trimmed. */
export function keyFault(text) {
  if (MASK.test(text)) return "This is a masked key, not the key itself. Paste the whole key.";
  if (!VISIBLE.test(text)) return "A key has no spaces, line breaks or special characters. Paste the key alone.";
  if (text === "run9-placeholder") return "This is the placeholder that boxes use. Paste the key that the provider gave you.";
  if (text.length < MIN_CHARS) return `A key has at least ${MIN_CHARS} characters.`;
  if (text.length > MAX_CHARS) return `A key has at most ${MAX_CHARS} characters.`;
  return "";
}

/** Give a hint about a key that can be saved but looks wrong here; "" for none. */
export function keyHint(provider, text, hasCustomEndpoint) {
  if (!text) return "";
  const owner = keyOwner(text);
  if (owner && owner !== provider) {
    return `This looks like a key of ${PROVIDERS[owner].title}, not of ${PROVIDERS[provider].title}.`;
  }
  if (!owner && !hasCustomEndpoint) {
    return `Keys of ${PROVIDERS[provider].title} begin with ${PROVIDERS[provider].keyStart}. This one does not.`;
  }
  return "";
}
