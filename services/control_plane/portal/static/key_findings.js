// What key tests on this page have found: of the saved key, and of the key that is typed now. Pure.

/** @import {Finding, Saved, TestResult} from "./types.d.ts" */

export class KeyFindings {
  constructor() {
    /** @type {Finding | null} */
    this.saved = null;
    /** @type {Finding | null} */
    this.typed = null;
  }

  /** Note a result; `at` is its time by the server's clock. @param {TestResult} result @param {string} at @param {{saved: Saved, isOfSaved: boolean, isWanted: boolean}} of */
  note(result, at, { saved, isOfSaved, isWanted }) {
    if (result.verdict === "unknown") return;
    const found = { verdict: result.verdict, at };
    if (!isOfSaved) this.typed = isWanted ? found : null;
    // Somebody may have saved another key that the page does not know of yet.
    else if (result.key_last4 === saved.key.last4 && result.endpoint === saved.endpoint)
      this.saved = { ...found, keySince: saved.key.updated_at };
  }

  /** The typed key has been saved as it was tested: what was found of it holds. @param {Saved} saved */
  keep(saved) {
    if (this.typed) this.saved = { ...this.typed, keySince: saved.key.updated_at };
    this.typed = null;
  }

  /** Whether anything is known of the key as it is saved. @param {Saved} saved */
  knows(saved) {
    return this.saved?.keySince === saved.key.updated_at;
  }
}
