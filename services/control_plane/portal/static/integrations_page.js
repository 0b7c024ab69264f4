// AI Integrations: one card per provider, and what an organization without any should know.

import { Card } from "./card.js";
import { h } from "./dom.js";
import { heading } from "./frame.js";
import { readOnlyCard } from "./read_only_card.js";
import { orgPath, rest } from "./rest.js";
import { listed } from "./words.js";

/** Fill the page. */
export async function showIntegrations(main, org, me) {
  const { data } = await rest("GET", `${orgPath(org.org)}/ai-integrations`);
  main.append(heading("AI Integrations", "One key per provider, shared by every box of this organization and visible to none of them."));
  if (org.role !== "owner") main.append(readOnlyNotice(org));
  if (data.items.every((one) => one.state === "not_set_up")) main.append(welcome(org));
  if (org.role !== "owner") {
    main.append(...data.items.map((saved) => readOnlyCard(org, me, saved)));
    return;
  }
  const cards = data.items.map((saved) => new Card(org, me, saved));
  main.append(...cards.map((card) => card.element));
  window.addEventListener("beforeunload", (event) => {
    if (cards.some((card) => card.isDirty)) event.preventDefault();
  });
}

function readOnlyNotice(org) {
  const owners = org.owners.length ? listed(org.owners) : "nobody yet; ask the platform's operator";
  return h(
    "div",
    { class: "notice" },
    h("p", {}, h("strong", {}, "You can look, not change. "), `The owners of ${org.name} can: `, owners, "."),
  );
}

function welcome(org) {
  return h(
    "div",
    { class: "notice welcome" },
    h("p", {}, h("strong", {}, "How this works. "), `Save a provider's key here once. Programs in every box of ${org.name} then call one fixed local address with a placeholder, and the gateway puts the key in outside the box.`),
  );
}
