// The parts that a card is made of: rows with a label, faults and hints, the switch, copying, tabs.

import { attribute, h, icon, newId, say } from "./dom.js";

const COPIED_MS = 2000;

/**
 * A row: label at the left, control at the right, what is said about it below.
 * @param {string} label @param {any} control @param {{labelFor?: string | null, below?: HTMLElement[]}} [options]
 */
export function row(label, control, { labelFor = null, below = [] } = {}) {
  const name = labelFor ? h("label", { class: "row-label", for: labelFor }, label) : h("p", { class: "row-label" }, label);
  return h("div", { class: "row" }, name, h("div", { class: "row-control" }, control, ...below));
}

/**
 * A text field with a hint and a fault of its own; `fault` and `hint` set them, and `tellsHint` has the hint told aloud.
 * @param {{type?: string, placeholder?: string, tellsHint?: boolean, oninput: (event: any) => void, onblur: (event: any) => void}} options
 */
export function textField({ type = "text", placeholder = "", tellsHint = false, oninput, onblur }) {
  const id = newId("field");
  const faultText = h("p", { class: "fault", id: `${id}-fault`, "aria-live": "polite" });
  const hintText = h("p", { class: "hint", id: `${id}-hint`, "aria-live": tellsHint ? "polite" : null });
  const input = h("input", {
    id,
    type,
    placeholder,
    class: "input",
    autocomplete: "off",
    autocapitalize: "off",
    spellcheck: "false",
    "data-1p-ignore": true,
    "data-lpignore": "true",
    "aria-describedby": `${id}-fault ${id}-hint`,
    oninput,
    onblur,
  });
  return {
    id,
    input,
    below: [faultText, hintText],
    /** @param {string} text */
    fault(text) {
      say(faultText, text);
      attribute(input, "aria-invalid", text ? "true" : null);
    },
    /** @param {string} text @param {string} [tone] */
    hint(text, tone = "quiet") {
      say(hintText, text);
      hintText.dataset.tone = tone;
    },
  };
}

/** A box to tick, with its words. @param {string} label @param {boolean} isOn */
export function checkbox(label, isOn) {
  const input = h("input", { type: "checkbox", checked: isOn });
  return { element: h("label", { class: "check" }, input, label), input };
}

/**
 * A switch (role=switch). `set` moves it without telling anybody.
 * @param {{label: string, describedBy: string, onchange: (on: boolean) => void}} options
 */
export function toggle({ label, describedBy, onchange }) {
  const button = h("button", {
    type: "button",
    role: "switch",
    class: "switch",
    "aria-checked": "false",
    "aria-label": label,
    "aria-describedby": describedBy,
    onclick: () => {
      set(button.getAttribute("aria-checked") !== "true");
      onchange(button.getAttribute("aria-checked") === "true");
    },
  });
  button.append(h("span", { class: "knob", "aria-hidden": "true" }));
  /** @param {boolean} on */
  function set(on) {
    button.setAttribute("aria-checked", String(on));
  }
  return { element: button, set };
}

/** A button that copies a text and says so. @param {string} what @param {() => string} text */
export function copyButton(what, text) {
  const label = h("span", {}, "Copy");
  const button = h(
    "button",
    { type: "button", class: "button small copy", "aria-label": `Copy ${what}`, onclick: () => copy() },
    icon("copy"),
    label,
  );
  const told = h("span", { class: "unseen", role: "status" });
  async function copy() {
    let outcome = "Copied";
    try {
      await navigator.clipboard.writeText(text());
    } catch {
      outcome = "Select it";
    }
    say(label, outcome);
    say(told, outcome === "Copied" ? `Copied ${what}.` : "The browser does not allow copying. Select the text instead.");
    setTimeout(() => {
      say(label, "Copy");
      say(told, "");
    }, COPIED_MS);
  }
  return h("span", { class: "copy-box" }, button, told);
}

/**
 * Tabs (role=tablist); arrow keys, Home and End move between them.
 * @param {string} name @param {{title: string, panel: HTMLElement}[]} entries
 */
export function tabs(name, entries) {
  const made = entries.map((entry) => {
    const id = newId("tab");
    const panel = h("div", { role: "tabpanel", id: `${id}-panel`, "aria-labelledby": id, tabindex: "0", class: "panel" }, entry.panel);
    const tab = h("button", { type: "button", role: "tab", id, class: "tab", "aria-controls": `${id}-panel` }, entry.title);
    return { tab, panel };
  });
  /** @param {number} index @param {{focus: boolean}} options */
  function select(index, { focus }) {
    made.forEach(({ tab, panel }, at) => {
      tab.setAttribute("aria-selected", String(at === index));
      tab.setAttribute("tabindex", at === index ? "0" : "-1");
      panel.hidden = at !== index;
    });
    if (focus) made[index].tab.focus();
  }
  made.forEach(({ tab }, index) => {
    tab.addEventListener("click", () => select(index, { focus: false }));
    tab.addEventListener("keydown", (event) => {
      const next = step(event.key, index, made.length);
      if (next === null) return;
      event.preventDefault();
      select(next, { focus: true });
    });
  });
  select(0, { focus: false });
  const list = h(
    "div",
    { role: "tablist", class: "tabs", "aria-label": name },
    made.map(({ tab }) => tab),
  );
  return h("div", {}, list, ...made.map(({ panel }) => panel));
}

/** Where a key leads among tabs; null for another key. @param {string} key @param {number} index @param {number} length */
export function step(key, index, length) {
  /** @type {Record<string, number>} */
  const moves = { ArrowRight: index + 1, ArrowLeft: index - 1, Home: 0, End: length - 1 };
  return key in moves ? (moves[key] + length) % length : null;
}

/** Give a button its word, or what is running, and a name that holds all that is seen. @param {HTMLElement} button @param {string} word @param {string} title @param {string} running */
export function nameButton(button, word, title, running) {
  say(button, running || word);
  attribute(button, "aria-label", running ? `${word} ${title}: ${running}` : `${word} ${title}`);
}
