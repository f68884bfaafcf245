// Keeps the page up to date with tasks that repeat while the page is visible, pause while it is hidden, and respect
// Retry-After.

const FIRST_PAUSE_MS = 2_000;
const LONGEST_PAUSE_MS = 30_000;

/**
 * All repeated tasks of the page. `show({ state, error, until })` is called with their state: "live", "paused",
 * "offline", "waiting" (for `until`, in ms since the epoch) or "problem". `onRefused(error)`: the API does not accept
 * the key.
 */
export class Live {
  #show;
  #onRefused;
  #pollers = new Set();
  #troubles = new Map();
  #notBefore = 0;
  #listening = new AbortController();

  constructor(show, onRefused) {
    this.#show = show;
    this.#onRefused = onRefused;
    const signal = this.#listening.signal;
    document.addEventListener("visibilitychange", () => this.#onVisibility(), { signal });
    window.addEventListener("online", () => this.wake(), { signal });
    window.addEventListener("offline", () => this.#showState(), { signal });
  }

  /** Repeats `task(signal)` every `pause()` milliseconds, starting now. See Poller. */
  add(task, pause) {
    const poller = new Poller(this, task, pause);
    this.#pollers.add(poller);
    poller.now();
    return poller;
  }

  /** Stops a poller. */
  remove(poller) {
    poller?.stop();
    this.#pollers.delete(poller);
    this.#troubles.delete(poller);
    this.#showState();
  }

  /** Runs every task now, or as soon as the API allows requests again. */
  wake() {
    for (const poller of this.#pollers) poller.now();
  }

  /** Stops every task. */
  stop() {
    for (const poller of [...this.#pollers]) this.remove(poller);
    this.#listening.abort();
  }

  /** Returns the milliseconds until the API allows requests again, by its last Retry-After. */
  get hold() {
    return Math.max(0, this.#notBefore - Date.now());
  }

  /** Records the outcome of a run. `error` is null after a success. */
  report(poller, error) {
    if (!this.#pollers.has(poller)) return;
    if (error && isRefusal(error)) {
      this.#onRefused(error);
      return;
    }
    if (error?.retryAfter) this.#notBefore = Date.now() + error.retryAfter * 1_000;
    if (error) this.#troubles.set(poller, error);
    else this.#troubles.delete(poller);
    this.#showState();
  }

  #onVisibility() {
    if (!document.hidden) this.wake();
    this.#showState();
  }

  #showState() {
    const errors = [...this.#troubles.values()];
    const offline = errors.find((error) => error.code === "offline");
    if (document.hidden) this.#show({ state: "paused" });
    else if (offline || !navigator.onLine) this.#show({ state: "offline", error: offline });
    else if (errors.length && this.hold) this.#show({ state: "waiting", error: errors[0], until: this.#notBefore });
    else if (errors.length) this.#show({ state: "problem", error: errors[0] });
    else this.#show({ state: "live" });
  }
}

/** Whether the API does not accept the key. */
export const isRefusal = (error) => error.status === 401 || error.status === 403;

/** One task. Its runs never overlap. After a failure the pause doubles, up to 30 seconds. */
class Poller {
  #live;
  #task;
  #pause;
  #timer = 0;
  #failures = 0;
  #running = null;
  #wanted = false;
  #stopped = false;

  constructor(live, task, pause) {
    this.#live = live;
    this.#task = task;
    this.#pause = pause;
  }

  /** Runs the task now, or again right after the current run. */
  now() {
    if (this.#running) this.#wanted = true;
    else this.#schedule(0);
  }

  stop() {
    this.#stopped = true;
    clearTimeout(this.#timer);
    this.#running?.abort();
  }

  #schedule(pause) {
    clearTimeout(this.#timer);
    if (!this.#stopped) this.#timer = setTimeout(() => this.#run(), Math.max(pause, this.#live.hold));
  }

  async #run() {
    if (document.hidden || this.#running) return; // a page that becomes visible calls wake()
    if (this.#live.hold) {
      this.#schedule(0);
      return;
    }
    const running = new AbortController();
    this.#running = running;
    let error = null;
    try {
      await this.#task(running.signal);
    } catch (problem) {
      error = problem;
    }
    this.#running = null;
    if (this.#stopped) return;
    this.#failures = error ? this.#failures + 1 : 0;
    this.#live.report(this, error);
    this.#schedule(this.#next());
  }

  #next() {
    if (this.#failures) return Math.min(LONGEST_PAUSE_MS, FIRST_PAUSE_MS * 2 ** (this.#failures - 1));
    const wanted = this.#wanted;
    this.#wanted = false;
    return wanted ? 0 : this.#pause();
  }
}
