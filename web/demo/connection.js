/** The connection indicator: how it is now in one word, and in numbers for those who ask. */

import { $, h } from './dom.js';

const EVERY = 2; // seconds between two looks at the statistics
const WORDS = { connecting: 'Connecting', reconnecting: 'Reconnecting', good: 'Good', fair: 'Fair', poor: 'Weak', unknown: 'Connected' };

export class ConnectionIndicator {
  #room;
  #signal = 'connecting';
  #media = 'new';
  #digest = null;
  #timer;

  /** @param {import('../auralink.js').Room} room */
  constructor(room) {
    this.#room = room;
    $('connection').onclick = () => {
      const open = $('connection-details').hidden;
      $('connection-details').hidden = !open;
      $('connection').setAttribute('aria-expanded', String(open));
      this.#show();
    };
    this.#timer = setInterval(() => this.#look(), EVERY * 1000);
    this.#show();
  }

  /** @param {'connecting' | 'connected' | 'reconnecting'} state */
  set signal(state) {
    this.#signal = state;
    this.#show();
  }

  /** @param {string} state */
  set media(state) {
    this.#media = state;
    this.#show();
  }

  close() {
    clearInterval(this.#timer);
    $('connection-details').hidden = true;
    $('connection').setAttribute('aria-expanded', 'false');
  }

  async #look() {
    try {
      this.#digest = await this.#room.stats();
    } catch {
      return; // the connection was closed meanwhile: what is shown stays until the next look
    }
    this.#show();
  }

  #state() {
    if (this.#signal !== 'connected') return this.#signal;
    if (this.#media === 'disconnected' || this.#media === 'failed') return 'reconnecting';
    if (this.#media === 'connecting') return 'connecting';
    const quality = this.#digest?.quality ?? 'unknown';
    return quality;
  }

  #show() {
    const state = this.#state();
    $('connection').dataset.state = state === 'unknown' ? 'good' : state;
    if ($('connection-text').textContent !== WORDS[state]) $('connection-text').textContent = WORDS[state];
    $('connection').setAttribute('aria-label', `Connection: ${WORDS[state]}`);
    if (!$('connection-details').hidden) $('connection-details').replaceChildren(...this.#rows());
  }

  #rows() {
    const { rtt, up = 0, down = 0, loss, inbound = [] } = this.#digest ?? {};
    const largest = inbound.filter(({ kind }) => kind === 'video').sort((a, b) => b.height - a.height)[0];
    const rows = [
      ['Server', this.#signal === 'connected' ? 'connected' : 'interrupted'],
      ['Sound and picture', this.#media === 'new' ? 'waiting' : this.#media],
      ['Round trip', rtt === null || rtt === undefined ? '–' : `${Math.round(rtt * 1000)} ms`],
      ['Sending', bits(up)],
      ['Receiving', bits(down)],
      ['Lost on the way', loss === null || loss === undefined ? '–' : `${(loss * 100).toFixed(1)} %`],
      ['Largest picture', largest?.width ? `${largest.width} × ${largest.height}` : '–'],
    ];
    return rows.flatMap(([term, value]) => [h('dt', {}, term), h('dd', {}, value)]);
  }
}

const bits = (rate) => (rate < 1e6 ? `${Math.round(rate / 1000)} kbit/s` : `${(rate / 1e6).toFixed(1)} Mbit/s`);
