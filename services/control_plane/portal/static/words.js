// Sentences about states, people, times and changes. Pure: text in, text out.

import { PROVIDERS } from "./providers.js";

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

/** "3 Nov", or "3 Nov 2025" in another year; in the reader's own time zone. */
export function day(timestamp, now = new Date()) {
  const at = new Date(timestamp);
  const year = at.getFullYear() === now.getFullYear() ? {} : { year: "numeric" };
  return new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "short", ...year }).format(at);
}

/** "just now", "4 minutes ago", "2 hours ago", then the day. */
export function ago(timestamp, now = new Date()) {
  const age = now.getTime() - new Date(timestamp).getTime();
  if (age < MINUTE) return "just now";
  if (age < HOUR) return count(Math.floor(age / MINUTE), "minute") + " ago";
  if (age < DAY) return count(Math.floor(age / HOUR), "hour") + " ago";
  return `on ${day(timestamp, now)}`;
}

/** "3 Nov 2026, 14:05:09", for tables. */
export function moment(timestamp) {
  return new Intl.DateTimeFormat("en-GB", { dateStyle: "medium", timeStyle: "medium" }).format(new Date(timestamp));
}

/** "1 minute", "2 minutes". */
export function count(number, noun) {
  return `${number} ${noun}${number === 1 ? "" : "s"}`;
}

/** How a person is called: "you", "the platform", or the address. */
export function who(actor, me) {
  if (!actor) return "somebody";
  if (actor === me) return "you";
  return actor === "platform" ? "the platform" : actor;
}

/** A person at the start of a sentence: "You", "The platform"; an address stays as it is. */
export function capital(person) {
  return person.includes("@") ? person : person[0].toUpperCase() + person.slice(1);
}

/** "set 3 Nov by you". */
export function savedKey(key, me, now = new Date()) {
  return `set ${day(key.updated_at, now)} by ${who(key.updated_by, me)}`;
}

/** "a", "a and b", "a, b and c". */
export function listed(names) {
  if (names.length < 2) return names.join("");
  return `${names.slice(0, -1).join(", ")} and ${names.at(-1)}`;
}

/**
 * The chip of a card: {tone, text, title}. `traffic` is what real requests have shown, or null; `finding` what a test on
 * this page has found of the key that was saved at `keySince`, or null. The last word on this key counts.
 */
export function status(saved, traffic, finding = null, now = new Date()) {
  if (saved.state === "not_set_up") return { tone: "quiet", text: "Not set up", title: "There is no key yet." };
  if (saved.state === "disabled") return { tone: "quiet", text: "Off", title: "The key is saved; requests are refused." };
  const keySince = Date.parse(saved.key.updated_at);
  const seen = (timestamp) => (Date.parse(timestamp ?? "") >= keySince ? Date.parse(timestamp) : 0);
  const accepted = seen(traffic?.accepted_at);
  // The time of a test is in whole seconds, so it may seem to have come before the key.
  const tested = finding?.keySince === saved.key.updated_at ? Math.max(Date.parse(finding.at), keySince) : 0;
  const good = Math.max(accepted, finding?.verdict === "valid" ? tested : 0);
  const bad = Math.max(seen(traffic?.rejected_at), finding?.verdict === "invalid" ? tested : 0);
  if (bad > good) return { tone: "bad", text: `Key rejected ${ago(bad, now)}`, title: "The provider refuses this key. Replace it." };
  if (accepted) return { tone: "good", text: "On", title: `The provider accepted this key ${ago(accepted, now)}.` };
  if (good) return { tone: "good", text: "On, verified", title: `The provider accepted this key in a test ${ago(good, now)}. No box has used it yet.` };
  return { tone: "good", text: "On, unverified", title: "No box has used this key yet. Test asks the provider." };
}

/** How many providers are on, of all: "1 of 2 on". */
export function onCount(enabled) {
  return `${enabled.length} of ${Object.keys(PROVIDERS).length} on`;
}

/** What somebody else changed meanwhile, as a list of parts. */
export function differences(before, after) {
  if (after.state === "not_set_up") return before.state === "not_set_up" ? [] : ["cleared it"];
  const parts = [];
  if (before.key.updated_at !== after.key.updated_at) parts.push(before.key.set ? "replaced the key" : "set a key");
  if (before.state !== "not_set_up" && before.endpoint !== after.endpoint) parts.push("changed the endpoint");
  if (before.state === "enabled" && after.state === "disabled") parts.push("switched it off");
  if (before.state === "disabled" && after.state === "enabled") parts.push("switched it on");
  return parts.length ? parts : ["saved it"];
}

/** How far a change has got; with the time it took, where that is of interest. */
export function rollout({ live, total, seconds }, withTime = false) {
  if (total === 0) return "No gateway process is running yet; it takes the change when it starts.";
  if (live < total) return `Live on ${live} of ${total} …`;
  return `Live on ${live} of ${total}${withTime && typeof seconds === "number" ? took(seconds) : ""}`;
}

/** "0.3 s", for a step that took some time; "" for one that was done at once, or not at all. */
export function stepTime(seconds) {
  if (typeof seconds !== "number" || seconds < 0.05) return "";
  return `${seconds < 10 ? seconds.toFixed(1) : Math.round(seconds)} s`;
}

function took(seconds) {
  if (seconds < 0.1) return ", at once";
  return ` after ${seconds < 10 ? seconds.toFixed(1) : Math.round(seconds)} s`;
}

const CHANGED = { api_key: "key", endpoint: "endpoint", enabled: "switch" };

/** One row of History: what happened, in a sentence without its author. */
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

/** The fine print of a row: which key, which endpoint. */
export function changeDetails(entry) {
  if (entry.action !== "integration.put") return "";
  const changed = entry.details.changed ?? [];
  const parts = [];
  if (changed.includes("api_key")) parts.push(`key ends …${entry.details.key_last4}`);
  if (changed.includes("endpoint")) parts.push(entry.details.endpoint);
  return parts.join(" · ");
}

const STEPS = { dns: "DNS", tls: "Connection", authentication: "Authentication", model_list: "Models" };

/** The name of a step of a trial. */
export function stepName(step) {
  return STEPS[step] ?? step;
}

/** Which key a trial is of: "the saved key, which ends …AbCd" or "the key you typed". */
export function triedKey(last4) {
  return last4 ? `the saved key, which ends …${last4}` : "the key you typed";
}

/** What to do about a trial, in one sentence. */
export function trialVerdict(result) {
  const isSaved = result.tested === "stored";
  const failed = result.steps.find((step) => step.status === "failed" || step.status === "unknown");
  switch (result.verdict) {
    case "valid":
      return { tone: "good", text: isSaved ? "The saved key works." : "The key works." };
    case "invalid":
      return {
        tone: "bad",
        text: isSaved
          ? "The provider refuses the saved key. Replace it by one that is active and belongs to this provider."
          : "The provider refuses this key. Check that it was copied whole, is active, and belongs to this provider.",
      };
    default:
      return { tone: "warn", text: `This says nothing about the key. ${remedy(failed?.step, isSaved)}` };
  }
}

function remedy(step, isSaved) {
  switch (step) {
    case "dns":
      return "Check the endpoint's host name.";
    case "tls":
      return "Check the endpoint's host and port, and its certificate.";
    default:
      return isSaved ? "Try again in a minute." : "Try again in a minute; you can save all the same.";
  }
}
