// Sends a change, and tells apart what is known of it: it was made, it was refused, or nobody knows yet.

import { rest } from "./rest.js";

/** @import {ChangeBody, Outcome, Saved} from "./types.d.ts" */

const AGAIN_MS = 2000;

/**
 * Send a change of an integration. Never throws.
 * @param {string} method @param {string} path
 * @param {{body?: ChangeBody, etag: string, onslow: () => void}} options @returns {Promise<Outcome>}
 */
export async function sendChange(method, path, options) {
  try {
    const { data, etag, at } = await rest(method, path, options);
    const { warnings, ...saved } = data;
    return { kind: "done", saved, etag: etag ?? `"${saved.revision}"`, warnings: warnings ?? [], at };
  } catch (error) {
    return { kind: error.isRefusal ? "refused" : "unknown", error };
  }
}

/**
 * Read a card until there is an answer; give it, or null once `isWanted` says that nobody waits any more.
 * @param {string} path @param {() => boolean} isWanted @returns {Promise<{saved: Saved, etag: string} | null>}
 */
export async function readUntilKnown(path, isWanted) {
  while (isWanted()) {
    try {
      const { data, etag } = await rest("GET", path);
      return { saved: data, etag: etag ?? `"${data.revision}"` };
    } catch (error) {
      await (error.status === 401 ? signedIn() : new Promise((resolve) => setTimeout(resolve, AGAIN_MS)));
    }
  }
  return null;
}

function signedIn() {
  return new Promise((resolve) => document.addEventListener("signed-in", resolve, { once: true }));
}
