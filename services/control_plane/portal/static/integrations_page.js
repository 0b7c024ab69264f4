// AI Integrations: one card per provider, and what an organization without any should know.

import { Card } from "./card.js";
import { h } from "./dom.js";
import { heading, onslow, skeleton } from "./frame.js";
import { ReadOnlyCard } from "./read_only_card.js";
import { orgPath, rest } from "./rest.js";
import { listed } from "./words.js";

/** @import {Org, Saved} from "./types.d.ts" */

/** What can be shown before anything is known. @param {HTMLElement} main */
export function outlineIntegrations(main) {
  main.append(
    heading("AI Integrations", "One key per provider, shared by every box of this organization and visible to none of them."),
    skeleton(2, "card"),
  );
}

/** Fill the page. @param {HTMLElement} main @param {Promise<Org>} finding the org @param {Promise<string>} asking who is signed in @param {string} id of the org */
export async function showIntegrations(main, finding, asking, id) {
  const [org, me, { data }] = await Promise.all([
    finding,
    asking,
    rest("GET", `${orgPath(id)}/ai-integrations`, { onslow: () => onslow(main) }),
  ]);
  /** @type {Saved[]} */
  const items = data.items;
  const isOwner = org.role === "owner";
  const cards = isOwner ? items.map((saved) => new Card(org, me, saved)) : [];
  const readOnly = isOwner ? [] : items.map((saved) => new ReadOnlyCard(org, me, saved));
  main
    .querySelector(".skeleton")
    ?.replaceWith(
      ...(isOwner ? [] : [readOnlyNotice(org)]),
      ...(items.every((one) => one.state === "not_set_up") ? [welcome(org)] : []),
      ...[...cards, ...readOnly].map((card) => card.element),
    );
  window.addEventListener("beforeunload", (event) => {
    if (cards.some((card) => card.isDirty)) event.preventDefault();
  });
}

/** @param {Org} org */
function readOnlyNotice(org) {
  const owners = org.owners.length ? listed(org.owners) : "nobody yet; ask the platform's operator";
  return h(
    "div",
    { class: "notice" },
    h("p", {}, h("strong", {}, "You can look, not change. "), `The owners of ${org.name} can: `, owners, "."),
  );
}

/** @param {Org} org */
function welcome(org) {
  return h(
    "div",
    { class: "notice welcome" },
    h(
      "p",
      {},
      h("strong", {}, "How this works. "),
      `Save a provider's key here once. Programs in every box of ${org.name} then call one fixed local address with a placeholder, and the gateway puts the key in outside the box.`,
    ),
  );
}
