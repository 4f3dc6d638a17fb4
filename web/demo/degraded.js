/** The banner that says what the server misses just now, since when, and at the end that all is well again. */

import { $, h, icon } from './dom.js';

const GOOD_NEWS = 8; // seconds

export class DegradedBanner {
  #room;
  #timer = 0;

  /** @param {import('../auralink.js').Room} room */
  constructor(room) {
    this.#room = room;
    room.addEventListener('degraded', () => this.#show());
    room.addEventListener('recovered', ({ detail }) => this.#recovered(detail));
  }

  close() {
    clearTimeout(this.#timer);
    $('degraded').replaceChildren();
  }

  #show() {
    clearTimeout(this.#timer);
    $('degraded').replaceChildren(...this.#room.degraded.map((one) => banner('warning', 'warning', one.message, h('span', { class: 'since' }, 'since ', time(one.since)))));
  }

  #recovered({ message }) {
    this.#show();
    if (this.#room.degraded.length) return;
    $('degraded').replaceChildren(banner('good', 'check', message ? `All is well again. ${message}` : 'All is well again.'));
    this.#timer = setTimeout(() => this.close(), GOOD_NEWS * 1000);
  }
}

function banner(kind, sign, words, ...more) {
  return h('div', { class: `banner ${kind}` }, icon(sign), h('p', {}, words), ...more);
}

/** The hour is enough for what began today. */
function time(at) {
  const today = at.toDateString() === new Date().toDateString();
  const format = today ? { hour: '2-digit', minute: '2-digit' } : { weekday: 'short', hour: '2-digit', minute: '2-digit' };
  return h('time', { dateTime: at.toISOString() }, at.toLocaleString([], format));
}
