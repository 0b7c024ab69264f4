// Members: who may edit and who may read. The platform decides; here an owner can end a person's sessions.

import { h, say } from "./dom.js";
import { askToEndSessions } from "./end_sessions_dialog.js";
import { heading, onslow, showGone, skeleton } from "./frame.js";
import { LIST_MS, Poll } from "./poll.js";
import { all, orgPath } from "./rest.js";
import { clockTime, day } from "./words.js";

/** @import {Member, Org} from "./types.d.ts" */

/** What can be shown before anything is known. @param {HTMLElement} main */
export function outlineMembers(main) {
  main.append(
    heading("Members", "Owners set keys and switch providers. Members see everything but the keys, and change nothing."),
    skeleton(3, "line-bone"),
  );
}

/** Fill the page. @param {HTMLElement} main @param {Promise<Org>} finding the org @param {Promise<string>} asking who is signed in @param {string} id of the org */
export async function showMembers(main, finding, asking, id) {
  const path = `${orgPath(id)}/members`;
  const [org, me, members] = await Promise.all([finding, asking, all(path, { onslow: () => onslow(main) })]);
  const body = h("tbody");
  const told = h("p", { class: "fine", role: "status" });
  const columns = ["Person", "Role", "Since"];
  if (org.role === "owner") columns.push("Sessions");
  /** @param {Member[]} found */
  const fill = (found) => body.replaceChildren(...found.map((member) => row(member, me, org, told)));
  fill(members);
  main.querySelector(".skeleton")?.replaceWith(
    h(
      "div",
      { class: "table-box" },
      h(
        "table",
        { class: "stacked" },
        h("caption", { class: "unseen" }, `Members of ${org.name}`),
        h(
          "thead",
          {},
          h(
            "tr",
            {},
            columns.map((name) => h("th", { scope: "col" }, name)),
          ),
        ),
        body,
      ),
    ),
    h("p", { class: "fine" }, "People are added and removed in the run9 platform."),
    told,
  );
  let shown = JSON.stringify(members);
  const ask = async () => {
    const found = await all(path);
    if (JSON.stringify(found) === shown) return;
    shown = JSON.stringify(found);
    fill(found);
    say(told, `This list has changed at ${clockTime()}.`);
  };
  new Poll({ ask, pauseMs: () => LIST_MS, ongone: () => showGone(main) }).later();
}

/** @param {Member} member @param {string} me @param {Org} org @param {HTMLElement} told */
function row(member, me, org, told) {
  return h(
    "tr",
    {},
    h("th", { scope: "row" }, member.email, member.email === me ? h("span", { class: "tag" }, "you") : null),
    h("td", { "data-label": "Role" }, h("span", { class: `role ${member.role}` }, member.role === "owner" ? "Owner" : "Member")),
    h("td", { "data-label": "Since" }, h("time", { datetime: member.since }, day(member.since))),
    org.role === "owner" ? h("td", { "data-label": "Sessions" }, endButton(member, me, org, told)) : null,
  );
}

/** @param {Member} member @param {string} me @param {Org} org @param {HTMLElement} told */
function endButton({ email }, me, org, told) {
  const onclick = async () => {
    const ended = await askToEndSessions(org, email, { isMe: email === me });
    if (ended !== null) say(told, endedWords(email, ended));
  };
  return h("button", { type: "button", class: "button small", "aria-label": `End sessions of ${email}`, onclick }, "End sessions …");
}

/** @param {string} email @param {number} ended */
function endedWords(email, ended) {
  if (ended === 0) return `${email} was signed in nowhere. Unused sign-in links no longer work.`;
  return `${email} was signed out of ${ended === 1 ? "1 browser" : `${ended} browsers`} at ${clockTime()}.`;
}
