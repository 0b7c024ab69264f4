// My Orgs: each with the person's role, how many providers are on, and the way to its settings.

import { h, newId, say } from "./dom.js";
import { heading, onslow, skeleton } from "./frame.js";
import { all } from "./rest.js";
import { count, onCount } from "./words.js";

/** @import {Org} from "./types.d.ts" */

const SEARCH_FROM = 8;

/** What can be shown before anything is known. @param {HTMLElement} main */
export function outlineOrgs(main) {
  main.append(
    heading("My Orgs", "Each organization has its own provider keys. Its boxes share them without seeing them."),
    skeleton(3, "line-bone"),
  );
}

/** Fill the page. @param {HTMLElement} main @param {Promise<string>} asking who is signed in */
export async function showOrgs(main, asking) {
  const [me, orgs] = await Promise.all([asking, all("/orgs", { onslow: () => onslow(main) })]);
  main.querySelector(".skeleton")?.replaceWith(...(orgs.length ? listOf(orgs) : [nothing(me)]));
}

/** @param {string} me */
function nothing(me) {
  return h(
    "div",
    { class: "empty" },
    h("h2", {}, "No organizations yet"),
    h("p", {}, `You are signed in as ${me}. Ask the owner of an organization to add this address, then reload the page.`),
  );
}

/** @param {Org[]} orgs */
function listOf(orgs) {
  const rows = orgs.map((org) => ({ element: row(org), text: `${org.name} ${org.org}`.toLowerCase() }));
  const list = h(
    "ul",
    { class: "orgs" },
    rows.map(({ element }) => element),
  );
  if (orgs.length < SEARCH_FROM) return [list];
  const id = newId("search");
  const told = h("p", { class: "fine", role: "status" });
  const field = h("input", { id, type: "search", class: "input", autocomplete: "off", oninput: () => search() });
  function search() {
    const words = field.value.toLowerCase().split(/\s+/).filter(Boolean);
    const found = rows.filter(({ element, text }) => {
      element.hidden = !words.every((word) => text.includes(word));
      return !element.hidden;
    });
    list.hidden = found.length === 0;
    say(told, words.length ? `${count(found.length, "organization")} found.` : "");
  }
  return [h("div", { class: "search" }, h("label", { for: id }, "Search your organizations"), field, told), list];
}

/** @param {Org} org */
function row(org) {
  const settings = `/orgs/${encodeURIComponent(org.org)}/ai-integrations`;
  return h(
    "li",
    { class: "org" },
    h("div", { class: "org-title" }, h("h2", {}, org.name), h("span", { class: "org-id" }, org.org)),
    h("span", { class: `role ${org.role}` }, org.role === "owner" ? "Owner" : "Member"),
    h("span", { class: org.enabled.length ? "org-state some" : "org-state" }, onCount(org.enabled)),
    h("a", { class: "button", href: settings, "aria-label": `Settings of ${org.name}` }, "Settings"),
  );
}
