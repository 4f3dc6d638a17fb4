/** One RTCPeerConnection, and all that lives and dies with it. */

import { Pulse } from './pulse.js';
import { Sections } from './sections.js';
import { ConnectionWatch } from './watch.js';

export class MediaConnection {
  /** @type {RTCPeerConnection} */
  pc;
  /** @type {Sections} */
  sections;
  /** The next offer is to restart ICE. */
  restart = false;
  #answered = false; // the server knows of this connection
  #rebuild;
  #watch;
  #pulse;
  #connectedAt = Infinity;
  #ended = null; // the error with which it was given up
  #steps = new Set(); // how to end each step that is under way

  /**
   * @param {RTCConfiguration} configuration
   * @param {{offer: () => void, rebuild: () => void, hurry: () => void, show: (state: string) => void, silent: () => void}} act
   *   `offer`: one is due; `rebuild`: this one is of no use any more; `hurry`: the same, before it has had its time;
   *   `silent`: nothing arrives any more, which used to
   * @param {object} [patience]  overrides of DEFAULT_PATIENCE
   */
  constructor(configuration, act, patience) {
    this.pc = new RTCPeerConnection(configuration);
    this.sections = new Sections(this.pc);
    this.#rebuild = act.rebuild;
    this.#pulse = new Pulse(this.pc, act.silent);
    const restart = () => {
      this.restart = true;
      act.offer();
    };
    const show = (state) => {
      if (state === 'connected') this.#connectedAt = now();
      act.show(state);
    };
    this.#watch = new ConnectionWatch({ restart, rebuild: act.rebuild, hurry: act.hurry, show }, patience);
    this.pc.onconnectionstatechange = () => this.#watch.observe(this.pc.connectionState);
  }

  /** Whether nothing arrives any more, which used to. */
  get isSilent() {
    return this.#pulse.isSilent;
  }

  /** Seconds since it came up, or came up again; 0 if it never did. */
  get lasted() {
    return Math.max(0, now() - this.#connectedAt);
  }

  /**
   * What comes of something that was asked of the connection, or of somebody on its behalf. A closed connection never
   * settles what was asked of it: without this, giving it up would hang whoever waits.
   * @template T @param {Promise<T>} promise @returns {Promise<T>} rejects with the error given to `close()` when it is given up
   */
  step(promise) {
    return new Promise((resolve, reject) => {
      if (this.#ended) reject(this.#ended);
      this.#steps.add(reject);
      promise.then(resolve, reject).finally(() => this.#steps.delete(reject));
    });
  }

  /** The same, of what is not missed: null when the connection is given up. @template T @param {Promise<T>} promise @returns {Promise<T | null>} */
  stepOrNull(promise) {
    return this.step(promise).catch((error) => {
      if (error === this.#ended) return null;
      throw error;
    });
  }

  /**
   * One exchange of offer and answer, about what the sections hold by now.
   * @param {Iterable<import('./publication.js').Publication>} publications
   * @param {(offer: object) => Promise<object>} ask  sends the offer, and gives the answer
   * @returns {Promise<{offered: import('./publication.js').Publication[], answer: object}>}
   */
  async exchange(publications, ask) {
    const { pc, sections, restart } = this;
    sections.changed = true; // also if it is a restart alone that is not agreed yet
    this.restart = false;
    try {
      await this.step(pc.setLocalDescription(await this.step(pc.createOffer({ iceRestart: restart }))));
      const offered = [...publications].filter((publication) => sections.leg(publication).transceiver?.mid);
      const tracks = offered.map((publication) => {
        const leg = sections.leg(publication);
        const { source, muted, dtx } = publication;
        leg.mutedInOffer = muted;
        return { mid: leg.transceiver.mid, source, muted, ...(dtx && { dtx: true }) };
      });
      const answer = await this.step(ask({ type: 'offer', sdp: pc.localDescription.sdp, tracks }));
      await this.step(pc.setRemoteDescription({ type: 'answer', sdp: answer.sdp }));
      this.#answered = true;
      sections.changed = false;
      return { offered, answer };
    } catch (error) {
      this.restart ||= restart;
      throw error;
    }
  }

  /** The server's view of our transport. */
  observeServer(state) {
    if (!this.#answered) return; // speaks of a connection that was given up before this one
    // So does a late `closed` to one that has not come up yet: if it is about this one, that will not come up in time.
    if (state === 'closed' && this.#connectedAt === Infinity) return;
    if (state === 'failed' || state === 'closed') this.#rebuild();
    else this.#watch.observeServer(state);
  }

  /** The way that media took is no more: look for another one now. */
  networkChanged() {
    this.#watch.networkChanged();
  }

  /** There are other relays than before. @param {boolean} mayHurry  start over with them, if this one never came up */
  serversChanged(mayHurry) {
    this.#watch.serversChanged(mayHurry);
  }

  /** Give it up. @param {Error} error  of all that waits for it */
  close(error) {
    this.#watch.close();
    this.#pulse.close();
    this.pc.onconnectionstatechange = null;
    this.pc.close();
    this.#ended = error;
    for (const end of this.#steps) end(error);
    this.#steps.clear();
  }
}

const now = () => performance.now() / 1000;
