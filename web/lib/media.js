/** What is published and received, agreed with the server: offers one at a time, over one connection after another. */

import { backoff } from './backoff.js';
import { Coalescer } from './coalescer.js';
import { AuraLinkError, CONNECTION_LOST } from './errors.js';
import { MediaConnection } from './media_connection.js';
import { Leg } from './publication.js';
import { Rebuilds } from './rebuilds.js';

/** @typedef {import('./publication.js').Publication} Publication */

const BLAMED = 10; // seconds for which a server that has gone is to blame for a silence

/** Refusals of an offer that says nothing against the offer: the same may succeed a moment later. */
const PASSING = new Set(['offer_pending', 'peer_closed', 'unknown_peer', 'media_timeout', 'internal_error']);
const MOST_REFUSALS = 8; // in a row

/**
 * Events: `answered` (the SDP answer is applied), `rebuilt` (the connection is another one: nothing plays any more),
 * `state` (a string), `refused` ({publication, error}), `error` (an AuraLinkError of an offer nobody awaits), `silent`
 * (nothing arrives any more, which used to).
 */
export class Media extends EventTarget {
  /** What is published, in the order of publishing. Outlives connections. @type {Set<Publication>} */
  publications;
  #leading; // whether publications bear the ids that we know
  #rtcConfiguration;
  #signal;
  #patience;
  #iceServers = [];
  /** @type {MediaConnection | null} */
  #connection = null;
  #wanted = { audio: 0, video: 0 };
  #asked = false; // the server wants an offer, changed or not
  #poorerAt = -Infinity; // when a server had gone
  #closed = false;
  #offers = new Coalescer(() => this.#negotiate());
  #rebuilds = new Rebuilds(() => this.#negotiateQuietly());

  /**
   * @param {{signal: import('./signal.js').Signal, rtcConfiguration?: RTCConfiguration, patience?: object,
   *   publications?: Iterable<Publication>, leading?: boolean}} options  `publications` are offered from the beginning;
   *   one that is not `leading` publishes them beside another one until `lead()`
   */
  constructor({ signal, rtcConfiguration, patience, publications = [], leading = true }) {
    super();
    this.publications = new Set(publications);
    this.#leading = leading;
    this.#signal = signal;
    this.#rtcConfiguration = rtcConfiguration;
    this.#patience = patience;
  }

  /** The current connection, for tinkering. @returns {RTCPeerConnection | null} */
  get connection() {
    return this.#connection?.pc ?? null;
  }

  /**
   * The browser's own report on it. Firefox never gives one that was asked for before a connection was closed.
   * @returns {Promise<RTCStatsReport | null>} null without a connection, or when it is given up meanwhile
   */
  async report() {
    const connection = this.#connection;
    return connection && connection.stepOrNull(connection.pc.getStats());
  }

  /** @returns {string} `new`, `connecting`, `connected`, `disconnected`, `failed` or `closed` */
  get state() {
    return this.#closed ? 'closed' : (this.connection?.connectionState ?? 'new');
  }

  /** Whether nothing arrives any more, which used to. */
  get isSilent() {
    return this.#connection?.isSilent ?? false;
  }

  /** What the room knows of ours, by the last answer. @returns {{id: string, kind: string, source: string, muted: boolean}[]} */
  get published() {
    return [...this.publications]
      .map((publication) => ({ publication, leg: this.#leg(publication) }))
      .filter(({ leg }) => leg.id)
      .map(({ publication: { kind, source }, leg: { id, mutedInOffer } }) => ({ id, kind, source, muted: mutedInOffer }));
  }

  /** Go on beside a connection that takes over: publications bear its ids from now on. */
  follow() {
    this.#leading = false;
  }

  /** Take over from the connection beside which this one was built: publications bear our ids from now on. */
  lead() {
    this.#leading = true;
    for (const publication of this.publications) publication.id = this.#leg(publication).id;
    for (const [publication, error] of this.#connection?.sections.refused ?? []) this.#emit('refused', { publication, error });
  }

  /** @param {RTCIceServer[]} servers  used by this connection's next ICE gathering and by every later connection */
  set iceServers(servers) {
    this.#iceServers = servers;
    try {
      this.connection?.setConfiguration(this.#configuration());
    } catch {
      // A browser that cannot change it uses the new servers with its next connection.
    }
  }

  /**
   * Other servers work now, or there are new credentials for the same. A running call is left alone, over a relay too;
   * one in trouble tries other servers at once. So does one that hears nothing any more while a server has gone: some
   * browsers need 13 s to notice that it was their relay.
   * @param {RTCIceServer[]} servers
   */
  serversChanged(servers) {
    const [had, work] = [urls(this.#iceServers), urls(servers)];
    this.iceServers = servers;
    if (this.#rtcConfiguration?.iceServers) return; // these are used instead
    const isPoorer = had.some((url) => !work.includes(url));
    const hasNewRelay = work.some((url) => isRelay(url) && !had.includes(url));
    if (isPoorer) this.#poorerAt = performance.now();
    if (hasNewRelay) this.#rebuilds.forgive();
    if (this.#rebuilds.isPlanned) {
      if (hasNewRelay) this.#rebuilds.buildNow();
    } else if (isPoorer && this.isSilent) this.networkChanged();
    else if (isPoorer || hasNewRelay) this.#connection?.serversChanged(hasNewRelay && !this.#rebuilds.hurried);
  }

  /**
   * The server wants so many receive sections in total. They are only ever added.
   * @param {{audio: number, video: number}} total
   * @returns {Promise<void>} of the offer that adds them
   */
  receive({ audio, video }) {
    this.#wanted = { audio: Math.max(audio, this.#wanted.audio), video: Math.max(video, this.#wanted.video) };
    return this.negotiate();
  }

  /**
   * Offer what is published and received by now, if that changed. Wishes made while an offer is under way share the next.
   * @returns {Promise<void>}
   */
  negotiate() {
    return this.#closed ? Promise.resolve() : this.#offers.request();
  }

  /** @param {Publication} publication */
  async publish(publication) {
    this.publications.add(publication);
    try {
      await this.negotiate();
    } catch (error) {
      this.publications.delete(publication);
      throw error;
    }
    const { error } = this.#leg(publication);
    if (error) {
      this.#connection.sections.forget(publication);
      throw error;
    }
  }

  /** @param {Publication} publication */
  async unpublish(publication) {
    if (!this.publications.delete(publication)) return;
    this.#leg(publication).transceiver?.sender.replaceTrack(null).catch(() => {});
    await this.negotiate();
  }

  /** Send another track of the same kind. @param {Publication} publication @param {MediaStreamTrack} track */
  async replace(publication, track) {
    publication.track = track; // what a later connection offers
    const { transceiver } = this.#leg(publication);
    if (!transceiver) return;
    await this.#connection.stepOrNull(transceiver.sender.replaceTrack(track));
  }

  /** The track that arrives in section `mid`, if an answer has confirmed it. @returns {MediaStreamTrack | undefined} */
  trackOf(mid) {
    return this.#connection?.sections.receiverOf(mid)?.receiver.track;
  }

  /** A message of the server's. @returns {boolean} whether it was about media */
  hear(message) {
    const { type } = message;
    if (type === 'renegotiate') {
      this.#asked = true;
      this.receive(message).catch((error) => this.#emit('error', error));
    } else if (type === 'media_state') this.#connection?.observeServer(message.state);
    else if (type === 'media_restart') this.#connection?.observeServer('failed');
    else if (type === 'ice_servers') this.serversChanged(message.ice_servers);
    else return false;
    return true;
  }

  /** The way that media took is no more: look for another one now. */
  networkChanged() {
    this.#connection?.networkChanged();
  }

  /** Start over with a new connection. Publications stay and are offered again. */
  rebuild() {
    if (this.#closed) return;
    const lasted = this.#connection?.lasted ?? 0;
    this.#discard();
    this.#rebuilds.plan(lasted);
  }

  /** The session is another one: forget what it wanted and all that was agreed. Nothing is offered by itself. */
  reset() {
    this.#wanted = { audio: 0, video: 0 };
    this.#discard();
  }

  close() {
    if (this.#closed) return;
    this.#discard();
    this.#closed = true;
    this.#rebuilds.cancel();
    this.publications.clear();
  }

  // ------------------------------------------------------------------------------------------ negotiation

  /** Agree with the server on what changed, over lost sockets and new connections. */
  async #negotiate() {
    let refusals = 0;
    while (!this.#closed) {
      await this.#signal.whenOpen();
      if (this.#closed) return;
      const connection = (this.#connection ??= this.#build());
      const { pc, sections } = connection;
      const step = (promise) => connection.step(promise);
      try {
        await step(sections.prepare(this.publications, this.#wanted));
        if (!sections.changed && !connection.restart && !this.#asked) return;
        this.#asked = false;
        const { offered, answer } = await connection.exchange(this.publications, (offer) => this.#signal.request(offer));
        await this.#conclude(connection, offered, answer);
        return;
      } catch (error) {
        if (this.#closed) return;
        if (connection !== this.#connection) continue; // whatever it was, it concerned a connection that is gone
        if (error.code === CONNECTION_LOST || error.code === 'timeout') continue; // the same again, under the same mids
        if (pc.signalingState === 'have-local-offer') await step(pc.setLocalDescription({ type: 'rollback' })).catch(() => {});
        const passing = error.retryAfter !== undefined || PASSING.has(error.code);
        if (!passing || refusals === MOST_REFUSALS) throw error;
        await new Promise((resolve) => setTimeout(resolve, ((error.retryAfter ?? 0) + backoff(refusals, Math.random())) * 1000));
        refusals += 1;
      }
    }
  }

  /** Put into effect what the server made of our offer. */
  async #conclude(connection, offered, answer) {
    const { sections } = connection;
    const ids = new Map(answer.tracks.map(({ mid, track }) => [mid, track]));
    const reasons = new Map(answer.rejected.map((rejected) => [rejected.mid, rejected]));
    for (const publication of offered) {
      const leg = sections.leg(publication);
      const { transceiver } = leg;
      const mid = transceiver?.mid;
      if (!mid) continue;
      if (reasons.has(mid)) {
        this.publications.delete(publication);
        sections.refuse(publication, AuraLinkError.from(reasons.get(mid)));
        if (this.#leading) this.#emit('refused', { publication, error: leg.error });
      } else {
        leg.id = ids.get(mid) ?? leg.id;
        await connection.step(publication.tune(transceiver));
      }
      if (this.#leading) publication.id = leg.id;
    }
    this.#emit('answered', null);
  }

  #leg(publication) {
    return this.#connection?.sections.leg(publication) ?? new Leg();
  }

  #negotiateQuietly() {
    this.negotiate().catch((error) => this.#emit('error', error));
  }

  // ------------------------------------------------------------------------------------------ the connection

  #configuration() {
    return {
      iceServers: this.#iceServers,
      ...this.#rtcConfiguration,
      bundlePolicy: 'max-bundle',
      rtcpMuxPolicy: 'require',
    };
  }

  #build() {
    const act = {
      offer: () => this.#negotiateQuietly(),
      rebuild: () => this.rebuild(),
      hurry: () => {
        this.rebuild();
        this.#rebuilds.hurried = true;
      },
      show: (state) => this.#emit('state', state),
      silent: () => {
        if (performance.now() - this.#poorerAt < BLAMED * 1000) this.networkChanged();
        this.#emit('silent', null);
      },
    };
    return new MediaConnection(this.#configuration(), act, this.#patience);
  }

  /** Give the connection up, if there is one. */
  #discard() {
    const connection = this.#connection;
    this.#connection = null;
    this.#asked = false;
    if (this.#leading) for (const publication of this.publications) publication.id = null;
    if (!connection) return;
    connection.close(new AuraLinkError('superseded', 'The media connection was replaced by another one.'));
    this.#emit('rebuilt', null);
  }

  #emit(type, detail) {
    this.dispatchEvent(new CustomEvent(type, { detail }));
  }
}

const urls = (servers) => servers.flatMap((server) => server.urls);
const isRelay = (url) => /^turns?:/i.test(url);
