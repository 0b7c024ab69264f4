// Sentences about states, people, times and changes. Pure: text in, text out.

import { changes, shown } from "./draft.js";
import { hostOf } from "./endpoint_rules.js";
import { PROVIDERS } from "./providers.js";

/** @import {AuditEntry, Draft, Finding, Rollout, Saved, TestResult, Traffic} from "./types.d.ts" */

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

/** "3 Nov", or "3 Nov 2025" in another year; in the reader's own time zone. @param {string} timestamp @param {Date} [now] */
export function day(timestamp, now = new Date()) {
  const at = new Date(timestamp);
  /** @type {Intl.DateTimeFormatOptions} */
  const year = at.getFullYear() === now.getFullYear() ? {} : { year: "numeric" };
  return new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "short", ...year }).format(at);
}

/** "just now", "4 minutes ago", "2 hours ago", then the day. @param {string} timestamp @param {Date} [now] */
export function ago(timestamp, now = new Date()) {
  const age = now.getTime() - new Date(timestamp).getTime();
  if (age < MINUTE) return "just now";
  if (age < HOUR) return `${count(Math.floor(age / MINUTE), "minute")} ago`;
  if (age < DAY) return `${count(Math.floor(age / HOUR), "hour")} ago`;
  return `on ${day(timestamp, now)}`;
}

/** "just now", "3 s ago", "4 min ago", then the day. @param {number} at milliseconds @param {Date} [now] */
export function shortAgo(at, now = new Date()) {
  const age = now.getTime() - at;
  if (age < 1000) return "just now";
  if (age < MINUTE) return `${Math.floor(age / 1000)} s ago`;
  if (age < HOUR) return `${Math.floor(age / MINUTE)} min ago`;
  return ago(new Date(at).toISOString(), now);
}

/** "3 Nov 2026, 14:05:09", for tables. @param {string} timestamp */
export function moment(timestamp) {
  return new Intl.DateTimeFormat("en-GB", { dateStyle: "medium", timeStyle: "medium" }).format(new Date(timestamp));
}

/** "14:05:09". @param {Date} [now] */
export function clockTime(now = new Date()) {
  return new Intl.DateTimeFormat("en-GB", { timeStyle: "medium" }).format(now);
}

/** "1 minute", "2 minutes". @param {number} number @param {string} noun */
export function count(number, noun) {
  return `${number} ${noun}${number === 1 ? "" : "s"}`;
}

/** How a person is called: "you", "the platform", or the address. @param {string | null} actor @param {string} me */
export function who(actor, me) {
  if (!actor) return "somebody";
  if (actor === me) return "you";
  return actor === "platform" ? "the platform" : actor;
}

/** A person at the start of a sentence: "You", "The platform"; an address stays as it is. @param {string} person */
export function capital(person) {
  return person.includes("@") ? person : person[0].toUpperCase() + person.slice(1);
}

/** "set 3 Nov by you". @param {Saved["key"]} key @param {string} me @param {Date} [now] */
export function savedKey(key, me, now = new Date()) {
  return `set ${day(key.updated_at, now)} by ${who(key.updated_by, me)}`;
}

/** "a", "a and b", "a, b and c". @param {string[]} names */
export function listed(names) {
  if (names.length < 2) return names.join("");
  return `${names.slice(0, -1).join(", ")} and ${names.at(-1)}`;
}

/**
 * The chip of a card: {tone, text, title}. `traffic` is what real requests have shown, or null; `finding` what a test on
 * this page has found of the key that was saved at `keySince`, or null. The last word on this key counts.
 * @param {Saved} saved @param {Traffic | null} traffic @param {Finding | null} [finding] @param {Date} [now]
 */
export function status(saved, traffic, finding = null, now = new Date()) {
  if (saved.state === "not_set_up") return { tone: "quiet", text: "Not set up", title: "There is no key yet." };
  if (saved.state === "disabled") return { tone: "quiet", text: "Off", title: "The key is saved; requests are refused." };
  const keySince = Date.parse(saved.key.updated_at);
  const seen = (/** @type {string | null | undefined} */ timestamp) => {
    const at = Date.parse(timestamp ?? "");
    return at >= keySince ? at : 0;
  };
  const accepted = seen(traffic?.accepted_at);
  // The time of a test is in whole seconds, so it may seem to have come before the key.
  const tested = finding && finding.keySince === saved.key.updated_at ? Math.max(Date.parse(finding.at), keySince) : 0;
  const good = Math.max(accepted, finding?.verdict === "valid" ? tested : 0);
  const bad = Math.max(seen(traffic?.rejected_at), finding?.verdict === "invalid" ? tested : 0);
  const { refuser, remedy } = whoAnswers(saved.provider, saved.endpoint, saved.endpoint_kind);
  if (bad > good)
    return { tone: "bad", text: `Key rejected ${ago(new Date(bad).toISOString(), now)}`, title: `${refuser} refuses this key. ${remedy}` };
  if (accepted) return { tone: "good", text: "On", title: `${refuser} accepted this key ${ago(new Date(accepted).toISOString(), now)}.` };
  if (good)
    return {
      tone: "good",
      text: "On, verified",
      title: `${refuser} accepted this key in a test ${ago(new Date(good).toISOString(), now)}. No box has used it yet.`,
    };
  return { tone: "quiet", text: "On, unverified", title: `No box has used this key yet. Test asks ${refuser}.` };
}

/**
 * Who answers at an endpoint, as the one who may refuse a key, and how its refusal is mended.
 * @param {string} provider @param {string} endpoint @param {string} [kind] of the endpoint
 */
export function whoAnswers(provider, endpoint, kind) {
  const { company, defaultEndpoint } = PROVIDERS[provider];
  const host = hostOf(endpoint);
  if (endpoint === defaultEndpoint) {
    return { refuser: `${company} (${host})`, remedy: `Replace it by one that is active and belongs to ${company}.`, isOwn: true };
  }
  const what = kind === "demo" ? `The demo provider (${host})` : `${host}, the custom endpoint of this card,`;
  return {
    refuser: what,
    remedy: `Replace the key by one of ${host}, or reset the endpoint if the key is one of ${company}.`,
    isOwn: false,
  };
}

/** What the switch means now, and what saving it would do. @param {Saved} saved @param {Draft} draft @param {string} title @param {string} org */
export function switchHint(saved, draft, title, org) {
  const changed = changes(saved, draft);
  const { enabled } = shown(saved, draft);
  const isSetUp = saved.state !== "not_set_up";
  if (enabled) return { tone: "quiet", text: `Boxes of ${org} can use ${title}${saved.state === "enabled" ? "." : " once you save."}` };
  if (isSetUp && changed.enabled) {
    return {
      tone: "warn",
      text: `When you save, requests to ${title} from every box of ${org} are refused and running answers are cut within seconds. The key stays saved.`,
    };
  }
  if (changed.key) return { tone: "warn", text: `Off: saving keeps the key, but boxes of ${org} cannot use ${title} until this is on.` };
  return {
    tone: "quiet",
    text: isSetUp
      ? `Boxes of ${org} cannot use ${title}. They are told so, and who can change it.`
      : `Turn this on to let boxes of ${org} use ${title}.`,
  };
}

/** How many providers are on, of all: "1 of 2 on". @param {string[]} enabled */
export function onCount(enabled) {
  return `${enabled.filter((name) => name in PROVIDERS).length} of ${Object.keys(PROVIDERS).length} on`;
}

/** What somebody else changed meanwhile, as a list of parts. @param {Saved} before @param {Saved} after */
export function differences(before, after) {
  if (after.state === "not_set_up") return before.state === "not_set_up" ? [] : ["cleared it"];
  const parts = [];
  if (before.key.updated_at !== after.key.updated_at) parts.push(before.key.set ? "replaced the key" : "set a key");
  if (before.state !== "not_set_up" && before.endpoint !== after.endpoint) parts.push("changed the endpoint");
  if (before.state === "enabled" && after.state === "disabled") parts.push("switched it off");
  if (before.state === "disabled" && after.state === "enabled") parts.push("switched it on");
  return parts.length ? parts : ["saved it"];
}

/** Whether a person could see a difference between two saved states. @param {Saved} before @param {Saved} after */
export function differs(before, after) {
  const same = before.state === after.state && before.endpoint === after.endpoint && before.key?.updated_at === after.key?.updated_at;
  return !same;
}

/** How far a change has got; with the time it took, where that is of interest. @param {Pick<Rollout, "live" | "total" | "unknown" | "unknown_seconds" | "seconds">} found @param {boolean} [withTime] */
export function rollout({ live, total, unknown, unknown_seconds, seconds }, withTime = false) {
  if (total === 0) return "No gateway process is running yet; it takes the change when it starts.";
  if (unknown > 0) return `Live on ${live} of ${total}; ${unheard(unknown, unknown_seconds ?? 0)}`;
  if (live < total) return `Live on ${live} of ${total} …`;
  return `Live on ${live} of ${total}${withTime && typeof seconds === "number" ? took(seconds) : ""}`;
}

/** Processes that may be cut off and serve on, or be gone. @param {number} unknown @param {number} seconds */
function unheard(unknown, seconds) {
  const minutes = Math.round(seconds / 60);
  const silence = minutes < 2 ? `${Math.round(seconds)} s` : minutes < 120 ? `${minutes} min` : `${Math.round(minutes / 60)} h`;
  return `${unknown} not heard for ${silence}: ${unknown === 1 ? "it" : "they"} may still serve the older state.`;
}

/** "0.3 s", for a step that took some time; "" for one that was done at once, or not at all. @param {number | null} seconds */
export function stepTime(seconds) {
  if (typeof seconds !== "number" || seconds < 0.05) return "";
  return `${seconds < 10 ? seconds.toFixed(1) : Math.round(seconds)} s`;
}

/** @param {number} seconds */
function took(seconds) {
  if (seconds < 0.1) return ", at once";
  return ` after ${seconds < 10 ? seconds.toFixed(1) : Math.round(seconds)} s`;
}

/** @type {Record<string, string>} */
const CHANGED = { api_key: "key", endpoint: "endpoint", enabled: "switch" };

/** One row of History: what happened, in a sentence without its author. @param {AuditEntry} entry */
export function change(entry) {
  const title = PROVIDERS[entry.target]?.title ?? entry.target;
  const { details } = entry;
  switch (entry.action) {
    case "integration.put": {
      const changed = details.changed ?? [];
      if (changed.length === 1 && changed[0] === "enabled") {
        return `Switched ${title} ${details.state === "enabled" ? "on" : "off"}`;
      }
      const parts = changed.filter((part) => part !== "enabled").map((part) => CHANGED[part] ?? part);
      const state = changed.includes("enabled") ? `, switched ${details.state === "enabled" ? "on" : "off"}` : "";
      return `Set the ${listed(parts)} of ${title}${state}`;
    }
    case "integration.cleared":
      return `Cleared ${title}`;
    case "integration.tested":
      return `Tested ${details.tested === "stored" ? "the saved" : "a typed"} key of ${title}`;
    case "sessions.ended":
      return `Signed ${entry.target} out everywhere`;
    case "member.put":
      return `Made ${entry.target} ${details.role === "owner" ? "an owner" : "a member"}`;
    case "member.removed":
      return `Removed ${entry.target}`;
    case "org.put":
      return `Named the organization ${details.name}`;
    case "org.removed":
      return "Removed the organization";
    default:
      return `${entry.action} ${entry.target}`;
  }
}

/** The fine print of a row: which key, which endpoint. @param {AuditEntry} entry */
export function changeDetails(entry) {
  if (entry.action !== "integration.put") return "";
  const changed = entry.details.changed ?? [];
  const parts = [];
  if (changed.includes("api_key")) parts.push(`key ends …${entry.details.key_last4}`);
  if (changed.includes("endpoint")) parts.push(entry.details.endpoint ?? "");
  return parts.join(" · ");
}

/** @type {Record<string, string>} */
const STEPS = { dns: "DNS", tls: "Connection", authentication: "Authentication", model_list: "Models" };

/** The name of a step of a key test. @param {string} step */
export function stepName(step) {
  return STEPS[step] ?? step;
}

/** Which key a test is of: "the saved key, which ends …AbCd" or "the key you typed". @param {string | null} last4 */
export function testedKey(last4) {
  return last4 ? `the saved key, which ends …${last4}` : "the key you typed";
}

/** What to do about a key test, in one sentence that names who refused. @param {TestResult} result @param {string} [kind] of the endpoint */
export function testVerdict(result, kind) {
  const isSaved = result.tested === "stored";
  const failed = result.steps.find((step) => step.status === "failed" || step.status === "unknown");
  const { refuser, remedy, isOwn } = whoAnswers(result.provider, result.endpoint, kind);
  switch (result.verdict) {
    case "valid":
      return { tone: "good", text: isSaved ? "The saved key works." : "The key works." };
    case "invalid":
      return {
        tone: "bad",
        text: isSaved
          ? `${refuser} refuses the saved key. ${remedy}`
          : `${refuser} refuses this key. Check that it was copied whole. ${remedy}`,
      };
    default:
      return {
        tone: "warn",
        text: `This says nothing about the key. ${whatToCheck(failed?.step, hostOf(result.endpoint), isOwn, isSaved)}`,
      };
  }
}

/** @param {string | undefined} step @param {string} host @param {boolean} isOwn @param {boolean} isSaved */
function whatToCheck(step, host, isOwn, isSaved) {
  if (step === "dns" || step === "tls") {
    if (isOwn) return `The gateway could not reach ${host}: that is the gateway's network, so tell its operator.`;
    return step === "dns"
      ? `Check the endpoint's host name, ${host}.`
      : `Check the endpoint: host and port (${host}), and its certificate.`;
  }
  return isSaved ? `Try ${host} again in a minute.` : `Try ${host} again in a minute; you can save all the same.`;
}
