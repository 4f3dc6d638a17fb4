/** Requests that wait for their reply: each settles once, by the reply that repeats its id, in time or not at all. */

import { deferred } from './coalescer.js';
import { AuraLinkError } from './errors.js';

const tooLate = (what) => new AuraLinkError('timeout', `The server did not answer to “${what}” in time.`);

export class Replies {
  #pending = new Map();
  #next = 1;
  #late;

  /** @param {(what: string) => Error} [late]  what becomes of a request of that type whose reply does not come in time */
  constructor(late = tooLate) {
    this.#late = late;
  }

  /**
   * @param {string} what  the type of the request
   * @param {number} patience  seconds
   * @returns {{request: string, reply: Promise<object>}} its id, and what comes of it
   */
  expect(what, patience) {
    const request = `r${this.#next++}`;
    const pending = deferred();
    const timer = setTimeout(() => this.#take(request)?.reject(this.#late(what)), patience * 1000);
    this.#pending.set(request, { ...pending, timer });
    return { request, reply: pending.promise };
  }

  expects(request) {
    return this.#pending.has(request);
  }

  /** A message arrived, which may be a reply. */
  settle(message) {
    const pending = this.#take(message.request);
    if (message.type === 'error') pending?.reject(AuraLinkError.from(message));
    else pending?.resolve(message);
  }

  /** None of the replies will come any more. @param {Error} error */
  fail(error) {
    for (const request of [...this.#pending.keys()]) this.#take(request).reject(error);
  }

  #take(request) {
    const pending = this.#pending.get(request);
    this.#pending.delete(request);
    clearTimeout(pending?.timer);
    return pending;
  }
}
