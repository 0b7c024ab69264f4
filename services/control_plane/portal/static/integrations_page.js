// AI Integrations: one card per provider, and what an organization without any should know.

import { Card } from "./card.js";
import { h } from "./dom.js";
import { heading, onslow, skeleton } from "./frame.js";
import { LIST_MS, Poll } from "./poll.js";
import { PROVIDERS } from "./providers.js";
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
  const items = data.items.filter((/** @type {Saved} */ saved) => saved.provider in PROVIDERS);
  const isOwner = org.role === "owner";
  const cards = isOwner ? items.map((saved) => new Card(org, me, saved)) : [];
  const readOnly = isOwner ? [] : items.map((saved) => new ReadOnlyCard(org, me, saved));
  const notice = h("div", { class: "notice", hidden: true, role: "status" });
  if (!isOwner) sayReadOnly(notice, org);
  main
    .querySelector(".skeleton")
    ?.replaceWith(
      notice,
      ...(items.every((one) => one.state === "not_set_up") ? [welcome(org)] : []),
      ...[...cards, ...readOnly].map((card) => card.element),
    );
  window.addEventListener("beforeunload", (event) => {
    if (cards.some((card) => card.isDirty)) event.preventDefault();
  });
  watchRole(org, notice, cards);
}

/** Notice that this person has become an owner or is one no longer, and who the owners are now. @param {Org} org @param {HTMLElement} notice @param {Card[]} cards */
function watchRole(org, notice, cards) {
  const ask = async () => {
    const { data } = await rest("GET", orgPath(org.org));
    if (data.role === "owner" && org.role === "owner") return;
    if (data.role !== org.role && !cards.some((card) => card.isDirty)) return location.reload();
    sayReadOnly(notice, data, data.role !== org.role);
  };
  // Each card says itself that the organization is gone.
  new Poll({ ask, pauseMs: () => LIST_MS, ongone: () => {} }).later();
}

/** @param {HTMLElement} notice @param {Org} org @param {boolean} [isNew] whether the person was an owner when the page was opened */
function sayReadOnly(notice, org, isNew = false) {
  const owners = org.owners.length ? listed(org.owners) : "nobody yet; ask the platform's operator";
  const first = isNew ? "You are no longer an owner: what you typed cannot be saved. " : "You can look, not change. ";
  const said = `${first}The owners of ${org.name} can: ${owners}.`;
  notice.hidden = false;
  if (notice.textContent === said) return;
  notice.replaceChildren(h("p", {}, h("strong", {}, first), said.slice(first.length)));
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
