/** Runs one job at a time; wishes that arrive while it runs become a single run afterwards. */

export class Coalescer {
  #job;
  #running = false;
  #next = null;

  /** @param {() => Promise<void>} job */
  constructor(job) {
    this.#job = job;
  }

  /**
   * Ask for a run that *begins* after this call, so that it sees everything its caller has prepared.
   * @returns {Promise<void>} settles as that run does
   */
  request() {
    if (!this.#next) {
      this.#next = deferred();
      if (!this.#running) this.#drain();
    }
    return this.#next.promise;
  }

  async #drain() {
    this.#running = true;
    while (this.#next) {
      await turn(); // callers of this very turn share the run
      const { resolve, reject } = this.#next;
      this.#next = null;
      try {
        resolve(await this.#job());
      } catch (error) {
        reject(error);
      }
    }
    this.#running = false;
  }
}

/** A promise with its two handles outside; it never counts as an unhandled rejection. */
export function deferred() {
  const handles = {};
  handles.promise = new Promise((resolve, reject) => Object.assign(handles, { resolve, reject }));
  handles.promise.catch(() => {});
  return handles;
}

/** The next turn of the event loop. A message port, because hidden pages have their timers slowed down. */
function turn() {
  return new Promise((resolve) => {
    const { port1, port2 } = new MessageChannel();
    port1.onmessage = () => {
      port1.close();
      resolve();
    };
    port2.postMessage(null);
  });
}
