// Keeps one card current: asks how far a change has got, what traffic shows, and whether the saved state is another; more
// often while something is expected.

import { Poll } from "./poll.js";
import { rest } from "./rest.js";

/** @import {Rollout} from "./types.d.ts" */

const SOON_MS = 300;
const SOON_POLLS = 30;
const WAITING_MS = 1000;
const USUAL_MS = 4000;

export class LiveWatch {
  /**
   * `show` takes each answer; `isWaiting` tells whether the person waits for news; `ongone` is called when the card is
   * no longer the person's to see.
   * @param {string} path @param {{show: (found: Rollout) => void, isWaiting: () => boolean, ongone: () => void}} told
   */
  constructor(path, { show, isWaiting, ongone }) {
    this.isWaiting = isWaiting;
    this.soon = SOON_POLLS;
    const ask = async () => {
      const { data } = await rest("GET", `${path}/rollout`);
      if (data.live >= data.total) this.soon = 0;
      show(data);
    };
    this.poll = new Poll({ ask, pauseMs: () => this.#pauseMs(), ongone });
  }

  /** Ask now, and often for a while: something has just been changed. */
  hurry() {
    this.soon = SOON_POLLS;
    this.poll.now();
  }

  #pauseMs() {
    if (this.soon > 0) {
      this.soon -= 1;
      return SOON_MS;
    }
    return this.isWaiting() ? WAITING_MS : USUAL_MS;
  }
}
