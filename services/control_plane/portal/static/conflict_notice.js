// What is said when somebody else's change came first, and the two ways on from there.

import { h } from "./dom.js";
import { ago, capital, differences, listed, who } from "./words.js";

/** Build it. `before` is what the page knew, `current` what is saved now; give {content, first}: `first` wants the focus. */
export function conflictNotice(before, current, me, { load, overwrite }) {
  const author = who(current.updated_by, me);
  const first = h("button", { type: "button", class: "button", onclick: load }, "Load their version");
  const content = [
    h(
      "p",
      {},
      h("strong", {}, author === "you" ? "Changed in another window. " : "Somebody was faster. "),
      `${capital(author)} ${listed(differences(before, current))} ${ago(current.updated_at)}. Nothing of yours was saved.`,
    ),
    h(
      "div",
      { class: "actions start" },
      first,
      h("button", { type: "button", class: "button", onclick: overwrite }, "Overwrite with mine"),
    ),
  ];
  return { content, first };
}
