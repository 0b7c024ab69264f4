// Asks again and again while the page is looked at and the session lasts, and at once when the page comes back to either.
// Tells the frame when the gateway does not answer.

/** How often a list that people look at is asked for again. */
export const LIST_MS = 5000;

const LEAST_RETRY_MS = 4000;
const MAX_FAILURES_MS = 30_000;

/** After this many polls without an answer the page says that it may be out of date. */
const FAILURES_TOLD = 2;

export class Poll {
  /**
   * `ask` asks once; `pauseMs` gives the pause after an answer, and the step by which pauses grow without one; `ongone` is
   * called when the person may no longer see what is asked for.
   * @param {{ask: () => Promise<void>, pauseMs: () => number, ongone: () => void}} told
   */
  constructor({ ask, pauseMs, ongone }) {
    this.ask = ask;
    this.pauseMs = pauseMs;
    this.ongone = ongone;
    this.failures = 0;
    this.isEnded = false;
    this.isAsking = false;
    /** @type {ReturnType<typeof setTimeout> | undefined} */
    this.timer = undefined;
    document.addEventListener("visibilitychange", () => this.now());
    document.addEventListener("signed-out", () => this.#pause(true));
    document.addEventListener("signed-in", () => this.#pause(false));
    for (const name of ["pageshow", "online"]) window.addEventListener(name, () => this.now());
  }

  /** Ask now, unless nobody looks or the session has ended. */
  now() {
    clearTimeout(this.timer);
    if (!this.isEnded && !this.isAsking && document.visibilityState === "visible") this.#ask();
  }

  /** Ask after the usual pause. */
  later() {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.now(), this.pauseMs());
  }

  /** @param {boolean} isEnded */
  #pause(isEnded) {
    this.isEnded = isEnded;
    if (isEnded) clearTimeout(this.timer);
    else this.now();
  }

  async #ask() {
    this.isAsking = true;
    try {
      await this.ask();
      this.#reachable(true);
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
    const usual = this.pauseMs();
    const pause = this.failures ? Math.min(Math.max(usual, LEAST_RETRY_MS) * this.failures, MAX_FAILURES_MS) : usual;
    this.timer = setTimeout(() => this.now(), pause);
  }

  /** @param {boolean} isReachable */
  #reachable(isReachable) {
    this.failures = isReachable ? 0 : this.failures + 1;
    if (isReachable || this.failures >= FAILURES_TOLD) document.dispatchEvent(new CustomEvent("reachable", { detail: isReachable }));
  }
}
