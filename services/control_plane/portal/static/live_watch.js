// Keeps one card current: asks how far a change has got, what traffic shows, and whether the saved state is another.
// Asks while the page is looked at and the session lasts, more often while something is expected.

import { rest } from "./rest.js";

/** @import {Rollout} from "./types.d.ts" */

const SOON_MS = 300;
const SOON_POLLS = 30;
const WAITING_MS = 1000;
const USUAL_MS = 4000;
const MAX_FAILURES_MS = 30_000;

/** After this many polls without an answer the page says that it may be out of date. */
const FAILURES_TOLD = 2;

export class LiveWatch {
  /**
   * `show` takes each answer; `isWaiting` tells whether the person waits for news; `ongone` is called when the card is
   * no longer the person's to see.
   * @param {string} path @param {{show: (found: Rollout) => void, isWaiting: () => boolean, ongone: () => void}} told
   */
  constructor(path, { show, isWaiting, ongone }) {
    this.path = path;
    this.show = show;
    this.isWaiting = isWaiting;
    this.ongone = ongone;
    this.soon = SOON_POLLS;
    this.failures = 0;
    this.isEnded = false;
    this.isAsking = false;
    /** @type {ReturnType<typeof setTimeout> | undefined} */
    this.timer = undefined;
    document.addEventListener("visibilitychange", () => this.#wake());
    document.addEventListener("signed-out", () => this.#pause(true));
    document.addEventListener("signed-in", () => this.#pause(false));
    for (const name of ["pageshow", "online"]) window.addEventListener(name, () => this.#wake());
  }

  /** Ask now, and often for a while: something has just been changed. */
  hurry() {
    this.soon = SOON_POLLS;
    this.#wake();
  }

  /** @param {boolean} isEnded */
  #pause(isEnded) {
    this.isEnded = isEnded;
    if (isEnded) clearTimeout(this.timer);
    else this.#wake();
  }

  #wake() {
    clearTimeout(this.timer);
    if (!this.isEnded && !this.isAsking && document.visibilityState === "visible") this.#ask();
  }

  async #ask() {
    this.isAsking = true;
    try {
      const { data } = await rest("GET", `${this.path}/rollout`);
      this.#reachable(true);
      if (data.live >= data.total) this.soon = 0;
      this.show(data);
    } catch (error) {
      if (error.status === 404 && error.isRefusal) {
        this.isEnded = true;
        this.ongone();
      }
      this.#reachable(error.status === 401 || error.status === 404);
    } finally {
      this.isAsking = false;
    }
    if (this.isEnded || document.visibilityState !== "visible") return;
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.#wake(), this.#pauseMs());
  }

  /** @param {boolean} isReachable */
  #reachable(isReachable) {
    this.failures = isReachable ? 0 : this.failures + 1;
    if (isReachable || this.failures >= FAILURES_TOLD) document.dispatchEvent(new CustomEvent("reachable", { detail: isReachable }));
  }

  #pauseMs() {
    if (this.failures) return Math.min(USUAL_MS * this.failures, MAX_FAILURES_MS);
    if (this.soon > 0) {
      this.soon -= 1;
      return SOON_MS;
    }
    return this.isWaiting() ? WAITING_MS : USUAL_MS;
  }
}
