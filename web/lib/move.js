/** A move to another instance: a second stay is made there, and the move is done when all that plays here plays there. */

import { AuraLinkError } from './errors.js';
import { Media } from './media.js';
import { Roster } from './roster.js';
import { Signal } from './signal.js';
import { SlotMap } from './slots.js';

/** All in seconds. */
const LOOK = 0.1; // between two looks at what arrives there
const PATIENCE = 15; // where the server sets no deadline
const MARGIN = 0.5; // before the deadline
const SILENCE = 3; // that a track may keep which is published there, as one that is not muted and still sends nothing

const MOST_LATER = 256; // messages

/** The code of a move that leads to where we are. */
export const ALREADY_HERE = 'already_here';

/**
 * @typedef {object} Stay
 * @property {string} url            of the other instance
 * @property {string | null} [here]  of this instance
 * @property {number} [deadline]     seconds until this instance sends us away
 * @property {(context: object) => Promise<string>} getToken
 * @property {'auto' | 'manual'} subscribe
 * @property {object} [timing]
 * @property {RTCConfiguration} [rtcConfiguration]
 * @property {Iterable<import('./publication.js').Publication>} publications
 * @property {() => {identity: string, source: string}[]} playing  what plays here
 * @property {() => {identity: string, source: string}[]} chosen   what was subscribed to, or declined, by hand
 */

export class Move {
  roster = new Roster(() => {});
  slots = new SlotMap();
  /** Be content with a session there. */
  isContent = false;
  /** The other instance's `welcome`. @type {object | null} */
  welcome = null;
  /** What was told there so far that is for the room, not for us. */
  later = [];
  #stay;
  #until;
  #ended = null; // why there will be no session there
  #over = false; // our part is done: somebody else listens
  #seen = new Map(); // track → when it was first seen in a slot

  /** @param {Stay} stay */
  constructor(stay) {
    const { url, getToken, subscribe, timing, rtcConfiguration, publications, deadline } = stay;
    const patience = Math.max(LOOK, deadline === undefined ? PATIENCE : deadline - MARGIN);
    this.#stay = stay;
    this.#until = now() + patience;
    // Nobody there may have heard yet that the instance here is about to end: then one insists.
    const avoid = deadline === undefined ? null : stay.here;
    this.signal = new Signal({ url, getToken, subscribe, rtcConfiguration, timing: { ...timing, firstConnectTimeout: patience }, avoid });
    this.media = new Media({ signal: this.signal, rtcConfiguration, patience: timing, publications, leading: false });
    const on = (source, type, handle) => source.addEventListener(type, ({ detail }) => this.#over || handle(detail));
    on(this.signal, 'welcome', (message) => this.#welcomed(message));
    on(this.signal, 'message', (message) => this.#received(message));
    on(this.signal, 'redirected', (hop) => hop.url === stay.here && this.#giveUp());
    on(this.signal, 'ended', (error) => (this.#ended ??= error));
    on(this.media, 'rebuilt', () => this.slots.clear());
  }

  get url() {
    return this.#stay.url;
  }

  /**
   * Go there.
   * @returns {Promise<void>} when everything plays there, or when there is no more time and at least a session there
   * @throws {AuraLinkError} when there is no session in time, or the move was cancelled
   */
  async run() {
    this.signal.connect().catch(() => {}); // `ended` tells why
    while (!this.#over) {
      await new Promise((resolve) => setTimeout(resolve, LOOK * 1000));
      if (this.#ended) break;
      const late = now() > this.#until;
      if (this.welcome && (late || this.isContent || (await this.#everythingPlays()))) {
        if (this.#over) break;
        this.#over = true;
        return;
      }
      if (late) break;
    }
    const error = this.#ended ?? new AuraLinkError('unreachable', 'The other server cannot be reached.');
    this.cancel();
    throw error;
  }

  /** Do not wait any longer for what does not play there yet. */
  hurry() {
    this.#until = 0;
  }

  /** To join there would end the session that we have here. */
  #giveUp() {
    this.#ended = new AuraLinkError(ALREADY_HERE, 'The way leads back to the server that we are at.');
    this.signal.close();
  }

  cancel() {
    this.#over = true;
    this.signal.close();
    this.media.close();
  }

  // ------------------------------------------------------------------------------------------ the stay there

  #welcomed(message) {
    if (this.welcome && !message.resumed) this.media.reset();
    this.welcome = message;
    this.media.iceServers = message.ice_servers;
    this.roster.replace(message.room, message.participant);
    this.slots.replace(message.slots);
    this.media.receive(message.receive).catch(() => {}); // what fails is offered again, or is seen not to play
    this.#choose();
  }

  #received(message) {
    if (this.media.hear(message)) return;
    switch (message.type) {
      case 'slots':
        this.slots.replace(message.slots);
        break;
      case 'participant_joined':
        this.roster.joined(message.participant);
        this.#choose();
        break;
      case 'participant_left':
        this.roster.left(message.participant);
        break;
      case 'room':
        this.roster.replace(message.room, this.welcome.participant);
        this.#choose();
        this.#keep(message);
        break;
      case 'track_published':
        this.roster.published(message.participant, message.track);
        this.#choose();
        break;
      case 'track_unpublished':
        this.roster.unpublished(message.track);
        break;
      case 'track_muted':
        this.roster.muted(message.track, message.muted);
        break;
      default:
        this.#keep(message);
    }
  }

  #keep(message) {
    if (this.later.length < MOST_LATER) this.later.push(message);
  }

  /** Choose there what was chosen here. Saying it twice does no harm. */
  #choose() {
    const { subscribe, chosen } = this.#stay;
    const tracks = chosen().map((wish) => this.#find(wish)).filter((track) => track?.isReceivable).map(({ id }) => id);
    if (tracks.length) this.signal.send({ type: subscribe === 'manual' ? 'subscribe' : 'unsubscribe', tracks });
  }

  #find({ identity, source }) {
    return [...this.roster.participants.values()].find((participant) => participant.identity === identity)?.trackFrom(source);
  }

  // ------------------------------------------------------------------------------------------ whether it is complete

  async #everythingPlays() {
    const { audio, video } = this.welcome.receive;
    if (this.media.publications.size + audio + video > 0 && this.media.state !== 'connected') return false;
    const report = (await this.media.report()) ?? new Map();
    const inbound = new Map([...report.values()].filter(({ type }) => type === 'inbound-rtp').map((stat) => [stat.mid, stat]));
    return this.#stay.playing().every((wish) => {
      const track = this.#find(wish);
      const mid = track && this.slots.midOf(track.id);
      if (!mid || !this.media.trackOf(mid)) return false;
      if (track.muted) return true;
      if (!this.#seen.has(track)) this.#seen.set(track, now());
      const { kind, framesDecoded = 0, packetsReceived = 0 } = inbound.get(mid) ?? {};
      return (kind === 'video' ? framesDecoded : packetsReceived) > 0 || now() - this.#seen.get(track) > SILENCE;
    });
  }
}

const now = () => performance.now() / 1000;
