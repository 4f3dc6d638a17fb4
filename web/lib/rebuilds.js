/** When the next connection is built: at once, then later each time that one did not last. */

const MOST_DELAY = 10; // seconds between two new connections, when the ones before did not last
const LASTING = 10; // seconds after which a connection has lasted

export class Rebuilds {
  /** The next connection is built early, for a relay that has come, or was: it may take its time. */
  hurried = false;
  #build;
  #clock;
  #count = 0; // of those in a row that did not last
  #timer = 0;

  /**
   * @param {() => void} build
   * @param {{setTimeout: Function, clearTimeout: Function}} [clock]
   */
  constructor(build, clock = globalThis) {
    this.#build = build;
    this.#clock = clock;
  }

  /** Whether a connection waits to be built. */
  get isPlanned() {
    return this.#timer !== 0;
  }

  /** A connection was given up: plan the next one. @param {number} lasted  seconds for which it was up */
  plan(lasted) {
    if (lasted > LASTING) this.#count = 0;
    this.hurried = false;
    if (this.isPlanned) return;
    const delay = Math.min(MOST_DELAY, this.#count ? 2 ** (this.#count - 1) : 0);
    this.#count += 1;
    this.#timer = this.#clock.setTimeout(() => this.buildNow(), delay * 1000);
  }

  /** Do not wait any longer. */
  buildNow() {
    this.cancel();
    this.#build();
  }

  /** That others did not last says nothing about the next one. */
  forgive() {
    this.#count = 0;
  }

  cancel() {
    this.#clock.clearTimeout(this.#timer);
    this.#timer = 0;
  }
}
