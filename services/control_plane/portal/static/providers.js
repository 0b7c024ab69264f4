// What this deployment offers, in its order, and what is known of keys: `GET providers`, asked once for each page. No
// module names a provider: all that differs between providers is in these rows.

import { rest } from "./rest.js";

/** @import {KeyStart, Offer, Provider} from "./types.d.ts" */

/** @type {Record<string, Provider>} */
export const PROVIDERS = {};

/** Public starts of keys; the first that fits counts. @type {KeyStart[]} */
export const KEY_STARTS = [];

/** Ask what is offered. */
export async function loadProviders() {
  const { data } = await rest("GET", "/providers");
  learnProviders(data);
}

/** Take over an answer of `GET providers`. @param {Offer} offer */
export function learnProviders({ items, key_starts: keyStarts }) {
  for (const name of Object.keys(PROVIDERS)) delete PROVIDERS[name];
  for (const row of items) {
    PROVIDERS[row.provider] = {
      name: row.provider,
      title: row.title,
      company: row.company,
      about: row.about,
      defaultEndpoint: row.default_endpoint,
      versionSegment: row.version_segment,
      examplePath: row.example_path,
      keyPage: row.key_page,
      keyStart: row.keys[0]?.prefix ?? "",
      console: row.console,
      snippets: row.snippets,
    };
  }
  KEY_STARTS.splice(0, KEY_STARTS.length, ...keyStarts);
}
