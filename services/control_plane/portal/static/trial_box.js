// The outcome of a trial: a verdict, each step with what was found, which key it was and where it went.

import { h, icon } from "./dom.js";
import { stepName, stepTime, trialVerdict, triedKey } from "./words.js";

const MARKS = {
  ok: ["check", "passed"],
  failed: ["cross", "failed"],
  unknown: ["question", "unclear"],
  skipped: ["dash", "not tried"],
};

/** Say that a trial is under way; `last4` is the saved key's end, "" for a typed key. */
export function trialBegun(last4) {
  return h("p", { class: "trial fine" }, `Testing ${triedKey(last4)} …`);
}

/** Build the list for a trial's result. */
export function trialBox(result) {
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
