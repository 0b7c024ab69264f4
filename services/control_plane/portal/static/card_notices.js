// What a card says above its fields: a refusal, a change that nobody knows the end of, and what others have changed.

import { h } from "./dom.js";
import { ago, capital, differences, listed, who } from "./words.js";

/** @import {Saved} from "./types.d.ts" */

/** "a@b.test switched it off just now." @param {Saved} before @param {Saved} now @param {string} me */
export function whatChanged(before, now, me) {
  return `${capital(who(now.updated_by, me))} ${listed(differences(before, now))} ${ago(now.updated_at)}.`;
}

/**
 * What is said when another change came first: `isRefused` tells whether a save met it, else the page noticed by itself.
 * `first` wants the focus.
 * @param {Saved} before @param {Saved} now @param {string} me
 * @param {{isRefused: boolean, load: () => void, overwrite: () => void}} ways
 */
export function changedNotice(before, now, me, { isRefused, load, overwrite }) {
  const isMine = now.updated_by === me;
  const faster = isRefused ? "Somebody was faster. " : `Changed by ${who(now.updated_by, me)} ${ago(now.updated_at)}. `;
  const first = h("button", { type: "button", class: "button", onclick: load }, "Load their version");
  const content = [
    h(
      "p",
      {},
      h("strong", {}, isMine ? "Changed in another window. " : faster),
      whatChanged(before, now, me),
      isRefused ? " Nothing of yours was saved." : " What you typed is still here; saving changes only that.",
    ),
    h(
      "div",
      { class: "actions start" },
      first,
      isRefused && h("button", { type: "button", class: "button", onclick: overwrite }, "Overwrite with mine"),
    ),
  ];
  return { content, first };
}

/** What is said while it is open whether a change was made. @param {string} done "saved" or "cleared" @param {string} reason */
export function openNotice(done, reason) {
  return [h("p", {}, h("strong", {}, `It is not known whether this was ${done}. `), reason, " Checking …")];
}

/** What is said when the card was read again and holds no such change. @param {string} done */
export function absentNotice(done) {
  const kept = done === "saved" ? " What you typed is still here. If the change arrives after all, this card will say so." : "";
  return [h("p", {}, h("strong", {}, `It was not ${done}. `), `The card was read again just now, and it is as it was before.${kept}`)];
}
