// My Orgs: each with the person's role, how many providers are on, and the way to its settings.

import { h, newId, say } from "./dom.js";
import { heading, onslow, skeleton } from "./frame.js";
import { LIST_MS, Poll } from "./poll.js";
import { all } from "./rest.js";
import { count, onCount } from "./words.js";

/** @import {Org} from "./types.d.ts" */

const SEARCH_FROM = 8;
const ORGS_PER_ANSWER = 200;

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
  const content = h("div", {});
  const list = new OrgList();
  let shown = "";
  const show = (/** @type {Org[]} */ found) => {
    const text = JSON.stringify(found);
    if (text === shown) return;
    shown = text;
    list.show(found);
    const wanted = found.length ? list.element : nothing(me);
    if (content.firstElementChild !== wanted) content.replaceChildren(wanted);
  };
  show(orgs);
  main.querySelector(".skeleton")?.replaceWith(content);
  const pages = () => Math.ceil(list.rows.size / ORGS_PER_ANSWER) || 1;
  new Poll({ ask: async () => show(await all("/orgs")), pauseMs: () => LIST_MS * pages(), ongone: () => {} }).later();
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

/** The list with its search, for people who have many. A row is made again only when its organization has changed. */
class OrgList {
  constructor() {
    /** @type {Map<string, {element: HTMLElement, text: string, shown: string}>} */
    this.rows = new Map();
    const id = newId("search");
    this.told = h("p", { class: "fine", role: "status" });
    this.field = h("input", { id, type: "search", class: "input", autocomplete: "off", oninput: () => this.#search() });
    this.search = h("div", { class: "search" }, h("label", { for: id }, "Search your organizations"), this.field, this.told);
    this.list = h("ul", { class: "orgs" });
    this.element = h("div", {}, this.search, this.list);
  }

  /** @param {Org[]} orgs */
  show(orgs) {
    const before = this.rows;
    this.rows = new Map(
      orgs.map((org) => {
        const shown = JSON.stringify(org);
        const known = before.get(org.org);
        return [org.org, known?.shown === shown ? known : { element: row(org), text: `${org.name} ${org.org}`.toLowerCase(), shown }];
      }),
    );
    const elements = [...this.rows.values()].map(({ element }) => element);
    for (const gone of [...this.list.children].filter((one) => !elements.includes(/** @type {HTMLElement} */ (one)))) gone.remove();
    elements.forEach((element, at) => {
      if (this.list.children[at] !== element) this.list.insertBefore(element, this.list.children[at] ?? null);
    });
    this.search.hidden = orgs.length < SEARCH_FROM && !this.field.value;
    this.#search();
  }

  #search() {
    const words = this.field.value.toLowerCase().split(/\s+/).filter(Boolean);
    let found = 0;
    for (const { element, text } of this.rows.values()) {
      element.hidden = !words.every((word) => text.includes(word));
      if (!element.hidden) found += 1;
    }
    this.list.hidden = found === 0;
    say(this.told, words.length ? `${count(found, "organization")} found.` : "");
  }
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
