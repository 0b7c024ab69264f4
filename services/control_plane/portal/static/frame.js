// What every page has around it: the bar at the top, an org's sidebar, and the notices of an ended session and of a
// gateway that does not answer. It stands before anything is known, and is filled in when it is.

import { h, icon, say } from "./dom.js";
import { orgSwitcher } from "./org_switcher.js";
import { rest, send } from "./rest.js";

/** @import {Org} from "./types.d.ts" */

const SECTIONS = [
  ["ai-integrations", "AI Integrations"],
  ["members", "Members"],
  ["history", "History"],
];

/**
 * Build the page's frame; give the element that its content goes into, and how to fill in the person and the org.
 * @param {{org: string | null, section?: string}} page `org` is the id in the address
 */
export function frame({ org, section }) {
  const main = h("main", { id: "main", tabindex: "-1" });
  const person = h("span", { class: "person" });
  const name = h("p", { class: "org-name" }, "\u00a0");
  document.body.append(
    h("a", { class: "skip", href: "#main" }, "Skip to content"),
    topBar(person),
    org === null ? h("div", { class: "plain" }, main) : h("div", { class: "with-sidebar" }, sidebar(org, name, section), main),
  );
  watchGateway();
  return {
    main,
    /** @param {string} me */
    setPerson(me) {
      say(person, me);
      person.title = me;
      watchSession(me);
    },
    /** @param {Org} found */
    setOrg(found) {
      say(name, found.name);
      document.title = `${found.name} · ${document.title}`;
    },
  };
}

/** The product's mark. @param {string | null} href */
export function brand(href) {
  const mark = h("span", { class: "mark", "aria-hidden": "true" }, "r9");
  const name = h("span", { class: "brand-name" }, "run9 ", h("span", { class: "brand-part" }, "AI Gateway"));
  return href ? h("a", { class: "brand", href }, mark, name) : h("span", { class: "brand" }, mark, name);
}

/** @param {HTMLElement} person */
function topBar(person) {
  const signOut = h("button", { type: "button", class: "button quiet small", onclick: () => leave(signOut) }, "Sign out");
  return h("header", { class: "top-bar" }, brand("/"), person, signOut);
}

/** @param {HTMLButtonElement} button */
async function leave(button) {
  button.disabled = true;
  try {
    const { data } = await send("POST", "/sign-out", { onslow: () => say(button, "Signing out …") });
    // Where the sign-in service has a sign-out of its own, its page comes next, and leads back.
    location.assign(data?.continue_at ?? "/sign-in?left");
  } catch (error) {
    button.disabled = false;
    say(button, "Sign out");
    if (error.status === 401) location.assign("/sign-in?left");
    else notice("sign-out-failed", "You may still be signed in. ", `${error.message} Try again.`);
  }
}

/** @param {string} org @param {HTMLElement} name @param {string | undefined} section */
function sidebar(org, name, section) {
  const links = SECTIONS.map(([path, title]) =>
    h("li", {}, h("a", { href: `/orgs/${encodeURIComponent(org)}/${path}`, "aria-current": path === section ? "page" : null }, title)),
  );
  return h(
    "aside",
    { class: "sidebar", "aria-label": "Organization" },
    h(
      "div",
      { class: "back-line" },
      h("a", { class: "back", href: "/" }, icon("back"), "My Orgs"),
      orgSwitcher(org, section ?? "ai-integrations"),
    ),
    name,
    h("p", { class: "org-id" }, org),
    h("nav", { "aria-labelledby": "org-settings" }, h("h2", { class: "nav-head", id: "org-settings" }, "Org Settings"), h("ul", {}, links)),
  );
}

/** Show one notice below the bar, once. @param {string} name @param {string} strong @param {...any} content */
function notice(name, strong, ...content) {
  if (document.querySelector(`.bar-notice.${name}`)) return null;
  const [text, ...more] = content;
  const element = h("div", { class: `notice warn bar-notice ${name}`, role: "alert" }, h("p", {}, h("strong", {}, strong), text), ...more);
  document.querySelector(".top-bar")?.after(element);
  return element;
}

/** Say that what is shown may be old, as long as the gateway does not answer. */
function watchGateway() {
  /** @type {HTMLElement | null} */
  let shown = null;
  document.addEventListener("reachable", (event) => {
    if (/** @type {CustomEvent} */ (event).detail) {
      shown?.remove();
      shown = null;
    } else {
      shown ??= notice("unreachable", "The gateway does not answer. ", "What is shown here may be out of date. This page keeps asking.");
    }
  });
}

/** Say that the session has ended, without losing what was typed: signing in happens in another tab. @param {string} me */
function watchSession(me) {
  /** @type {HTMLElement | null} */
  let shown = null;
  document.addEventListener("signed-out", () => {
    shown ??= notice(
      "session-ended",
      "Your session has ended. ",
      "What you typed is still here. Sign in again, then come back to this page.",
      h("a", { class: "button", href: "/sign-in?again", target: "_blank", rel: "noopener" }, "Sign in in a new tab", icon("external")),
    );
  });
  document.addEventListener("visibilitychange", async () => {
    if (!shown || document.visibilityState !== "visible") return;
    const { data } = await rest("GET", "/me").catch(() => ({ data: null }));
    if (data?.email === me) {
      shown?.remove();
      shown = null;
      document.dispatchEvent(new CustomEvent("signed-in"));
    } else if (data) {
      location.reload();
    }
  });
}

/** A page's heading with a line below it. @param {string} title @param {string} lead */
export function heading(title, lead) {
  return h("header", { class: "page-head" }, h("h1", {}, title), lead ? h("p", { class: "lead" }, lead) : null);
}

/** The outline of what is being loaded. @param {number} count @param {string} shape */
export function skeleton(count, shape) {
  const blocks = Array.from({ length: count }, () => h("div", { class: `bone ${shape}` }));
  return h("div", { class: "skeleton", role: "status" }, h("p", { class: "unseen" }, "Loading …"), ...blocks);
}

/** Say in the outline that loading takes long. @param {HTMLElement} main */
export function onslow(main) {
  const outline = main.querySelector(".skeleton");
  if (!outline) return;
  outline.querySelector("p")?.replaceWith(h("p", { class: "slow" }, "This takes longer than usual …"));
}

/** Say in place of a page that its organization is no longer this person's. @param {HTMLElement} main */
export function showGone(main) {
  main.replaceChildren(
    failure({ status: 404, isRefusal: true, message: "This organization is no longer yours to see. Ask an owner of it." }),
  );
}

/** A failure that leaves nothing to show: what happened, and a way to try again. @param {any} error */
export function failure(error) {
  const gone = error.status === 404 && error.isRefusal;
  const again = h("button", { type: "button", class: "button", onclick: () => location.reload() }, "Try again");
  return h(
    "div",
    { class: "empty", role: "alert" },
    h("h1", {}, gone ? "There is nothing here" : "This could not be loaded"),
    h("p", {}, error.message),
    gone ? h("a", { class: "button", href: "/" }, "Go to My Orgs") : again,
  );
}
