// The outcome of a key test: a verdict, each step with what was found, which key it was and where it went; and the place
// on a card where the outcome stands until something else is typed.

import { h, icon } from "./dom.js";
import { stepName, stepTime, testedKey, testVerdict } from "./words.js";

/** @import {Saved, Step, TestResult} from "./types.d.ts" */

/** @type {Record<string, [string, string]>} */
const MARKS = {
  ok: ["check", "passed"],
  failed: ["cross", "failed"],
  unknown: ["question", "unclear"],
  skipped: ["dash", "not tried"],
};

export class TestPlace {
  constructor() {
    this.element = h("div", { class: "test-place", role: "status" });
    this.turn = 0;
  }

  /** Take the outcome away; that of a test under way is not shown any more. */
  forget() {
    this.turn += 1;
    this.element.replaceChildren();
  }

  /**
   * Say that a test is under way; `last4` is the saved key's end, "" for a typed key. Give what shows its end: `slow` that
   * it takes long, `result` the result, `failed` that there is none, and why. Each tells whether it is still wanted.
   * @param {string} last4
   */
  begin(last4) {
    this.forget();
    const { turn } = this;
    const show = (/** @type {Node} */ content) => {
      if (turn !== this.turn) return false;
      this.element.replaceChildren(content);
      return true;
    };
    show(line(`Testing ${testedKey(last4)} …`));
    return {
      slow: () => show(line(`Testing ${testedKey(last4)} … This takes longer than usual.`)),
      result: (/** @type {TestResult} */ result, /** @type {Saved} */ saved) => show(outcome(result, saved)),
      failed: (/** @type {string} */ reason) =>
        show(h("div", { class: "key-test warn" }, h("p", { class: "verdict" }, `Not tested. ${reason}`))),
      none: () => turn === this.turn && this.forget(),
    };
  }
}

/** @param {string} text */
function line(text) {
  return h("p", { class: "key-test fine" }, text);
}

/** @param {TestResult} result @param {Saved} saved */
function outcome(result, saved) {
  const verdict = testVerdict(result, saved.endpoint === result.endpoint ? saved.endpoint_kind : undefined);
  const isSaved = result.tested === "stored";
  return h(
    "div",
    { class: `key-test ${verdict.tone}` },
    h("p", { class: "verdict" }, verdict.text),
    h("ol", { class: "steps" }, result.steps.map(step)),
    h(
      "p",
      { class: "fine" },
      `Tried ${testedKey(result.key_last4)}, at `,
      h("code", {}, result.endpoint),
      isSaved ? ", by a gateway process, the way boxes use it" : "",
    ),
  );
}

/** @param {Step} step */
function step({ step: name, status, detail, seconds }) {
  const [mark, word] = MARKS[status];
  return h(
    "li",
    { "data-status": status },
    icon(mark),
    h("span", { class: "step-name" }, stepName(name), h("span", { class: "unseen" }, ` ${word}: `)),
    h("span", { class: "step-detail" }, detail, h("span", { class: "step-time" }, stepTime(seconds))),
  );
}
