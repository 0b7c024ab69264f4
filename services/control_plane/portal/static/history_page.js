// History: who changed what, and when; filtered by the server, exported as CSV.

import { auditCsv } from "./csv.js";
import { h, newId, say } from "./dom.js";
import { heading, onslow, showGone, skeleton } from "./frame.js";
import { LIST_MS, Poll } from "./poll.js";
import { PROVIDERS } from "./providers.js";
import { all, orgPath, rest } from "./rest.js";
import { capital, change, changeDetails, clockTime, count, moment, who } from "./words.js";

const PAGE = 50;

/** @import {AuditEntry, Org} from "./types.d.ts" */

/**
 * The table and what fills it.
 * `newest` is the entry at the top, as text; "" for none.
 * @typedef {{org: Org, me: string, rows: HTMLElement, told: HTMLElement, more: HTMLButtonElement, cursor: string | null,
 *   newest: string, turn: number, path: () => string}} List
 */

/** What can be shown before anything is known. @param {HTMLElement} main */
export function outlineHistory(main) {
  main.append(heading("History", "Every change to this organization, newest first. Keys are never part of it."), skeleton(3, "line-bone"));
}

/** Fill the page. @param {HTMLElement} main @param {Promise<Org>} finding the org @param {Promise<string>} asking who is signed in @param {string} id of the org */
export async function showHistory(main, finding, asking, id) {
  const [org, me, members] = await Promise.all([finding, asking, all(`${orgPath(id)}/members`, { onslow: () => onslow(main) })]);
  const people = [...new Set([...members.map((member) => member.email), "platform"])];
  const what = select("What", [["", "Everything"], ...Object.values(PROVIDERS).map(({ name, title }) => [name, title])]);
  const person = select("Who", [["", "Everybody"], ...people.map((email) => [email, capital(who(email, me))])]);
  const rows = h("tbody");
  const told = h("p", { class: "fine", role: "status" });
  const more = h("button", { type: "button", class: "button", hidden: true }, "Show older changes");
  /** @type {List} */
  const list = {
    org,
    me,
    rows,
    told,
    more,
    cursor: null,
    newest: "",
    turn: 0,
    path: () => auditPath(org, what.field.value, person.field.value),
  };
  const save = h("button", { type: "button", class: "button", onclick: () => exportCsv(list, save) }, "Export CSV");
  more.addEventListener("click", () => load(list));
  for (const { field } of [what, person]) field.addEventListener("change", () => restart(list));
  const page = [h("div", { class: "filters" }, what.element, person.element, save), table(org, rows), told, more];
  await load(list);
  main.querySelector(".skeleton")?.replaceWith(...page);
  new Poll({ ask: () => addNewer(list), pauseMs: () => LIST_MS, ongone: () => showGone(main) }).later();
}

/** @param {Org} org @param {HTMLElement} rows */
function table(org, rows) {
  return h(
    "div",
    { class: "table-box" },
    h(
      "table",
      { class: "stacked" },
      h("caption", { class: "unseen" }, `Changes of ${org.name}`),
      h(
        "thead",
        {},
        h(
          "tr",
          {},
          ["What", "Who", "When"].map((name) => h("th", { scope: "col" }, name)),
        ),
      ),
      rows,
    ),
  );
}

/** @param {string} label @param {string[][]} options */
function select(label, options) {
  const id = newId("filter");
  const field = h(
    "select",
    { id },
    options.map(([value, text]) => h("option", { value }, text)),
  );
  return { field, element: h("div", { class: "filter" }, h("label", { for: id }, label), field) };
}

/** @param {Org} org @param {string} target @param {string} actor */
function auditPath(org, target, actor) {
  const query = new URLSearchParams();
  if (target) query.set("target", target);
  if (actor) query.set("actor", actor);
  return `${orgPath(org.org)}/audit?${query}`;
}

/** @param {List} list */
async function restart(list) {
  list.cursor = null;
  list.turn += 1;
  list.rows.replaceChildren();
  await load(list);
}

/** @param {List} list */
async function load(list) {
  const { turn } = list;
  const cursor = list.cursor ? `&cursor=${encodeURIComponent(list.cursor)}` : "";
  try {
    const { data } = await rest("GET", `${list.path()}&limit=${PAGE}${cursor}`, {
      onslow: () => say(list.told, "This takes longer than usual …"),
    });
    if (turn !== list.turn) return; // another filter was chosen meanwhile
    if (!list.cursor) list.newest = data.items.length ? JSON.stringify(data.items[0]) : "";
    list.cursor = data.next_cursor;
    list.rows.append(...data.items.map((/** @type {AuditEntry} */ entry) => row(entry, list.me)));
    tellCount(list);
  } catch (error) {
    if (turn !== list.turn) return;
    say(list.told, `This could not be loaded. ${error.message}`);
    say(list.more, "Try again");
    list.more.hidden = false;
    return;
  }
  say(list.more, "Show older changes");
  list.more.hidden = list.cursor === null;
}

/** Put what has happened since above what is shown. @param {List} list */
async function addNewer(list) {
  const { turn, newest } = list;
  const { data } = await rest("GET", `${list.path()}&limit=${PAGE}`);
  if (turn !== list.turn || newest !== list.newest || !data.items.length) return;
  const known = data.items.findIndex((/** @type {AuditEntry} */ entry) => JSON.stringify(entry) === newest);
  if (known === 0) return;
  if (known < 0 && newest) return restart(list); // more than a page has happened
  const added = known < 0 ? data.items : data.items.slice(0, known);
  list.rows.prepend(...added.map((/** @type {AuditEntry} */ entry) => row(entry, list.me)));
  list.newest = JSON.stringify(data.items[0]);
  tellCount(list, ` ${count(added.length, "change")} came at ${clockTime()}.`);
}

/** @param {List} list @param {string} [news] */
function tellCount({ rows, cursor, told }, news = "") {
  const shown = rows.children.length;
  say(told, shown ? `${count(shown, "change")} shown${cursor ? "; there are older ones" : ""}.${news}` : "No change matches.");
}

/** @param {AuditEntry} entry @param {string} me */
function row(entry, me) {
  const details = changeDetails(entry);
  return h(
    "tr",
    {},
    h("th", { scope: "row" }, change(entry), details ? h("span", { class: "fine" }, details) : null),
    h("td", { "data-label": "Who" }, capital(who(entry.actor, me))),
    h("td", { "data-label": "When" }, h("time", { datetime: entry.at }, moment(entry.at))),
  );
}

/** @param {List} list @param {HTMLButtonElement} button */
async function exportCsv(list, button) {
  button.disabled = true;
  try {
    const entries = await all(list.path());
    const url = URL.createObjectURL(new Blob([auditCsv(entries)], { type: "text/csv" }));
    h("a", { href: url, download: `${list.org.org}-history.csv` }).click();
    URL.revokeObjectURL(url);
    say(list.told, `${count(entries.length, "change")} exported.`);
  } catch (error) {
    say(list.told, `Nothing was exported. ${error.message}`);
  } finally {
    button.disabled = false;
  }
}
