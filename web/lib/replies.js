/** Requests that wait for their reply: each settles once, by the reply that repeats its id, in time or not at all. */

import { deferred } from './coalescer.js';
import { AuraLinkError } from './errors.js';

export class Replies {
  #pending = new Map();
  #next = 1;
  #patience;

  /** @param {number} patience  seconds */
  constructor(patience) {
    this.#patience = patience;
  }

  /** @param {string} what  the type of the request @returns {{request: string, reply: Promise<object>}} its id, and what comes of it */
  expect(what) {
    const request = `r${this.#next++}`;
    const pending = deferred();
    const timer = setTimeout(() => {
      this.#take(request)?.reject(new AuraLinkError('timeout', `The server did not answer to “${what}” in time.`));
    }, this.#patience * 1000);
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

  /** None of the replies will come any more. */
  fail(code, message) {
    for (const request of [...this.#pending.keys()]) this.#take(request).reject(new AuraLinkError(code, message));
  }

  #take(request) {
    const pending = this.#pending.get(request);
    this.#pending.delete(request);
    clearTimeout(pending?.timer);
    return pending;
  }
}
