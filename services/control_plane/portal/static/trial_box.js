// The outcome of a trial: a verdict, and each step with what was found.

import { h, icon } from "./dom.js";
import { stepName, trialVerdict } from "./words.js";

const MARKS = {
  ok: ["check", "passed"],
  failed: ["cross", "failed"],
  unknown: ["question", "unclear"],
  skipped: ["dash", "not tried"],
};

/** Build the list for a trial's result. */
export function trialBox(result) {
  const verdict = trialVerdict(result);
  return h(
    "div",
    { class: `trial ${verdict.tone}` },
    h("p", { class: "verdict" }, verdict.text),
    h("ol", { class: "steps" }, result.steps.map(step)),
    h("p", { class: "fine" }, "Tried at ", h("code", {}, result.endpoint)),
  );
}

function step({ step: name, status, detail }) {
  const [mark, word] = MARKS[status];
  return h(
    "li",
    { "data-status": status },
    icon(mark),
    h("span", { class: "step-name" }, stepName(name), h("span", { class: "unseen" }, ` ${word}: `)),
    h("span", { class: "step-detail" }, detail),
  );
}
