/** Who came and who went, as one sentence for what happened at the same time. */

import { toast } from './notices.js';

const TOGETHER = 0.4; // seconds; who goes and comes again within them has only changed the server

export class Comings {
  #came = new Map();
  #went = new Map();
  #timer = 0;

  came({ identity, name }) {
    if (!this.#went.delete(identity)) this.#came.set(identity, name);
    this.#soon();
  }

  /** @param {string} reason  as the server tells it */
  went({ identity, name }, reason) {
    if (!this.#came.delete(identity)) this.#went.set(identity, { name, how: reason === 'removed' || reason === 'banned' ? 'removed' : 'left' });
    this.#soon();
  }

  close() {
    clearTimeout(this.#timer);
  }

  #soon() {
    this.#timer ||= setTimeout(() => this.#tell(), TOGETHER * 1000);
  }

  #tell() {
    this.#timer = 0;
    const went = (how) => [...this.#went.values()].filter((one) => one.how === how).map(({ name }) => name);
    say([...this.#came.values()], 'joined.', 'joined.');
    say(went('left'), 'left.', 'left.');
    say(went('removed'), 'was removed.', 'were removed.');
    this.#came.clear();
    this.#went.clear();
  }
}

function say(names, one, many) {
  if (names.length === 1) toast(`${names[0]} ${one}`);
  else if (names.length > 3) toast(`${names.length} people ${many}`);
  else if (names.length) toast(`${names.slice(0, -1).join(', ')} and ${names.at(-1)} ${many}`);
}
