// Sign-in: by the organization's sign-in service, or by the one-time link that `aigw up` prints.

import { h } from "./dom.js";
import { brand } from "./frame.js";
import { send } from "./rest.js";

const KEPT = "after-sign-in";
const KEPT_MS = 30 * 60_000;
const OWN_PAGE = /^\/orgs\/[\w.:@%-]{1,256}\/(?:ai-integrations|members|history)$/;

/** @type {Record<string, string>} */
const FAILED = {
  refused: "You were not signed in: it was cancelled or refused, or no verified email address was given.",
  expired: "That took too long, or was begun in another browser. Please begin again.",
  unavailable: "The sign-in service does not answer. Try again in a minute.",
};

/** Fill the page. `way` is "oidc" or "link". @param {string} way */
export async function showSignIn(way) {
  // The token of a one-time link leaves the address bar and the history before anything else happens.
  const token = location.hash.slice(1);
  const query = new URLSearchParams(location.search);
  // A link that is opened in a tab which shows this page already changes the fragment alone.
  window.addEventListener("hashchange", () => location.reload());
  if (token) history.replaceState(null, "", "/sign-in");
  else remember(query.get("to"));
  const box = h("div", { class: "sign-in-box" });
  document.body.append(h("main", { class: "sign-in" }, h("div", { class: "sign-in-brand" }, brand(null)), box));
  if (token) return useLink(box, token);
  box.append(h("h1", {}, "Sign in"), ...notes(query), ...(way === "oidc" ? byIssuer(query) : byLink()));
}

/** @param {URLSearchParams} query */
function notes(query) {
  const failed = FAILED[query.get("failed") ?? ""];
  if (failed) return [h("p", { class: "notice bad", role: "alert" }, failed)];
  if (query.has("left")) return [h("p", { class: "notice", role: "status" }, "You are signed out.")];
  return [];
}

/** @param {URLSearchParams} query */
function byIssuer(query) {
  const to = query.get("to");
  const start = `/sign-in/start${to ? `?to=${encodeURIComponent(to)}` : ""}`;
  return [
    h("p", {}, "Set up AI providers for your organization's boxes, without a key ever entering one."),
    h("a", { class: "button primary wide", href: start }, "Continue to sign in"),
  ];
}

function byLink() {
  return [
    h(
      "p",
      {},
      "This gateway runs on this machine only. Open the link that ",
      h("code", {}, "aigw up"),
      " printed beside ",
      h("strong", {}, "Portal"),
      "; it signs you in once.",
    ),
    h(
      "p",
      { class: "fine" },
      "Used already, or older than 30 minutes? In the folder where ",
      h("code", {}, "make run"),
      " was called, ",
      h("code", {}, ".venv/bin/aigw sign-in-link"),
      " prints a new one; give it the same ",
      h("code", {}, "--data-dir"),
      " if the gateway was started with one.",
    ),
  ];
}

/**
 * A one-time link is opened from a terminal, often in a new tab: where the person wanted to go is kept for it.
 * @param {string | null} to
 */
function remember(to) {
  if (to && OWN_PAGE.test(to)) localStorage.setItem(KEPT, JSON.stringify({ to, at: Date.now() }));
}

/** Give where the person wanted to go, once, if that was lately. */
function remembered() {
  try {
    const { to, at } = JSON.parse(localStorage.getItem(KEPT) ?? "{}");
    localStorage.removeItem(KEPT);
    return OWN_PAGE.test(to) && Date.now() - at < KEPT_MS ? to : "/";
  } catch {
    return "/";
  }
}

/** @param {HTMLElement} box @param {string} token */
async function useLink(box, token) {
  box.append(h("h1", {}, "Signing in …"));
  try {
    await send("POST", "/sign-in/link", { body: { token } });
    location.replace(remembered());
  } catch (error) {
    box.replaceChildren(h("h1", {}, "Sign in"), h("p", { class: "notice bad", role: "alert" }, error.message), ...byLink());
  }
}
