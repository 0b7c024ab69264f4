// The outcome of a trial: a verdict, each step with what was found, which key it was and where it went; and the place on
// a card where it stands until something else is typed.

import { h, icon } from "./dom.js";
import { stepName, stepTime, trialVerdict, triedKey } from "./words.js";

const MARKS = {
  ok: ["check", "passed"],
  failed: ["cross", "failed"],
  unknown: ["question", "unclear"],
  skipped: ["dash", "not tried"],
};

export class TrialPlace {
  constructor() {
    this.element = h("div", { class: "trial-place", role: "status" });
    this.turn = 0;
  }

  /** Take the outcome away; that of a trial under way is not shown any more. */
  forget() {
    this.turn += 1;
    this.element.replaceChildren();
  }

  /**
   * Say that a trial is under way; `last4` is the saved key's end, "" for a typed key. Give the function that shows the
   * result, null for none, and tells whether it is still wanted.
   */
  begin(last4) {
    this.forget();
    const { turn } = this;
    this.element.replaceChildren(h("p", { class: "trial fine" }, `Testing ${triedKey(last4)} …`));
    return (result) => {
      if (turn !== this.turn) return false;
      this.element.replaceChildren(...(result ? [outcome(result)] : []));
      return true;
    };
  }
}

function outcome(result) {
  const verdict = trialVerdict(result);
  const isSaved = result.tested === "stored";
  return h(
    "div",
    { class: `trial ${verdict.tone}` },
    h("p", { class: "verdict" }, verdict.text),
    h("ol", { class: "steps" }, result.steps.map(step)),
    h(
      "p",
      { class: "fine" },
      `Tried ${triedKey(result.key_last4)}, at `,
      h("code", {}, result.endpoint),
      isSaved ? ", by a gateway process, the way boxes use it" : "",
    ),
  );
}

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
