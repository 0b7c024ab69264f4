// Makes the key tests of one card, shows each in the card's place for it, and keeps what they have found.

import { testBody } from "./draft.js";
import { KeyFindings } from "./key_findings.js";
import { rest } from "./rest.js";
import { TestPlace } from "./test_place.js";

/** @import {Draft, Faults, Saved} from "./types.d.ts" */

export class KeyTester {
  /** `onchange` is told when a test begins or ends, `onfaults` what the server says of the fields. @param {string} path of the card @param {{onchange: () => void, onfaults: (found: Faults) => void}} told */
  constructor(path, { onchange, onfaults }) {
    this.path = path;
    this.onchange = onchange;
    this.onfaults = onfaults;
    this.place = new TestPlace();
    this.findings = new KeyFindings();
    this.running = 0;
  }

  /** What is typed now is another key, or goes to another place: nothing is known of it. */
  forget() {
    this.findings.typed = null;
    this.place.forget();
  }

  /** Test the saved key, or the typed one. @param {Saved} saved @param {Draft} draft @param {boolean} isOfSaved */
  async run(saved, draft, isOfSaved) {
    const place = this.place.begin(isOfSaved ? saved.key.last4 : "");
    this.running += 1;
    this.onchange();
    try {
      const body = isOfSaved ? {} : testBody(saved, draft);
      const { data, at } = await rest("POST", `${this.path}/test`, { body, onslow: place.slow });
      this.findings.note(data, at ?? "", { saved, isOfSaved, isWanted: place.result(data, saved) });
    } catch (error) {
      const found = { key: error.faultAt?.("#/api_key"), endpoint: error.faultAt?.("#/endpoint") };
      if (found.key || found.endpoint) {
        place.none();
        this.onfaults(found);
      } else {
        place.failed(error.message);
      }
    } finally {
      this.running -= 1;
      this.onchange();
    }
  }
}
