/** The one RTCPeerConnection: sections to publish and to receive, and offers one at a time. */

import { backoff } from './backoff.js';
import { Coalescer, deferred } from './coalescer.js';
import { AuraLinkError, CONNECTION_LOST } from './errors.js';
import { Leg } from './publication.js';
import { Pulse } from './pulse.js';
import { Sections } from './sections.js';
import { ConnectionWatch } from './watch.js';

/** @typedef {import('./publication.js').Publication} Publication */

const MOST_REBUILD_DELAY = 10; // seconds between two new connections, when the ones before did not last
const LASTING = 10; // seconds after which a connection has lasted
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
  #pc = null;
  #sections = null; // of this connection
  #gone = null; // rejects when the connection is given up
  #watch = null;
  #pulse = null;
  #wanted = { audio: 0, video: 0 };
  #restart = false;
  #asked = false; // the server wants an offer, changed or not
  #poorerAt = -Infinity; // when a server had gone
  #rebuilds = 0;
  #connectedAt = Infinity;
  #rebuildTimer = 0;
  #hurried = false; // this connection was built early, for a relay that had come: it may take its time
  #answered = false;
  #closed = false;
  #offers = new Coalescer(() => this.#negotiate());

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
    return this.#pc;
  }

  /**
   * The browser's own report on it. Firefox never gives one that was asked for before a connection was closed.
   * @returns {Promise<RTCStatsReport | null>} null without a connection, or when it is given up meanwhile
   */
  async report() {
    if (!this.#pc) return null;
    const { promise: gone } = this.#gone;
    return Promise.race([this.#pc.getStats(), gone.catch(() => null)]);
  }

  /** @returns {string} `new`, `connecting`, `connected`, `disconnected`, `failed` or `closed` */
  get state() {
    return this.#closed ? 'closed' : (this.#pc?.connectionState ?? 'new');
  }

  /** Whether nothing arrives any more, which used to. */
  get isSilent() {
    return this.#pulse?.isSilent ?? false;
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
    for (const [publication, error] of this.#sections?.refused ?? []) this.#emit('refused', { publication, error });
  }

  /** @param {RTCIceServer[]} servers  used by this connection's next ICE gathering and by every later connection */
  set iceServers(servers) {
    this.#iceServers = servers;
    try {
      this.#pc?.setConfiguration(this.#configuration());
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
    if (hasNewRelay) this.#rebuilds = 0; // that others led nowhere says nothing about this one
    if (this.#rebuildTimer) {
      if (hasNewRelay) this.#startOver();
    } else if (isPoorer && this.isSilent) this.networkChanged();
    else if (isPoorer || hasNewRelay) this.#watch?.serversChanged(hasNewRelay && !this.#hurried);
  }

  /**
   * The server wants so many receive sections in total. They are only ever added.
   * @param {{audio: number, video: number}} total
   * @param {{anyway?: boolean}} [wish]  `anyway`: it wants an offer even if we have them all
   * @returns {Promise<void>} of the offer that adds them
   */
  receive({ audio, video }, { anyway = false } = {}) {
    this.#wanted = { audio: Math.max(audio, this.#wanted.audio), video: Math.max(video, this.#wanted.video) };
    this.#asked ||= anyway;
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
      this.#sections.forget(publication);
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
    const { promise: gone } = this.#gone;
    await Promise.race([transceiver.sender.replaceTrack(track), gone.catch(() => {})]);
  }

  /** The track that arrives in section `mid`, if an answer has confirmed it. @returns {MediaStreamTrack | undefined} */
  trackOf(mid) {
    return this.#sections?.receiverOf(mid)?.receiver.track;
  }

  /** The server's view of our transport. */
  observeServer(state) {
    if (!this.#answered) return; // speaks of a connection that we have already given up
    // So does a late `closed` to one that has not come up yet: if it is about this one, that will not come up in time.
    if (state === 'closed' && this.#connectedAt === Infinity) return;
    if (state === 'failed' || state === 'closed') this.rebuild();
    else this.#watch?.observeServer(state);
  }

  /** The way that media took is no more: look for another one now. */
  networkChanged() {
    this.#watch?.networkChanged();
  }

  /** Start over with a new connection. Publications stay and are offered again. */
  rebuild() {
    if (this.#closed) return;
    if (performance.now() - this.#connectedAt > LASTING * 1000) this.#rebuilds = 0;
    this.#discard();
    this.#hurried = false;
    if (this.#rebuildTimer) return;
    const delay = Math.min(MOST_REBUILD_DELAY, this.#rebuilds ? 2 ** (this.#rebuilds - 1) : 0);
    this.#rebuilds += 1;
    this.#rebuildTimer = setTimeout(() => this.#startOver(), delay * 1000);
  }

  #startOver() {
    clearTimeout(this.#rebuildTimer);
    this.#rebuildTimer = 0;
    this.#negotiateQuietly();
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
    clearTimeout(this.#rebuildTimer);
    this.publications.clear();
  }

  // ------------------------------------------------------------------------------------------ negotiation

  /** One exchange of offer and answer, carried on over lost sockets and new connections. */
  async #negotiate() {
    let refusals = 0;
    while (!this.#closed) {
      await this.#signal.whenOpen();
      if (this.#closed) return;
      const pc = (this.#pc ??= this.#build());
      const restart = this.#restart;
      // A closed connection never settles what was asked of it: without this, giving it up would hang us for good.
      const { promise: gone } = this.#gone;
      const step = (promise) => Promise.race([promise, gone]);
      const sections = this.#sections;
      try {
        await step(sections.prepare(this.publications, this.#wanted));
        if (!sections.changed && !restart && !this.#asked) return;
        sections.changed = true;
        this.#restart = this.#asked = false;
        await step(pc.setLocalDescription(await step(pc.createOffer({ iceRestart: restart }))));
        const offered = [...this.publications].filter((p) => this.#leg(p).transceiver?.mid);
        for (const publication of offered) this.#leg(publication).mutedInOffer = publication.muted;
        const request = this.#signal.request({
          type: 'offer',
          sdp: pc.localDescription.sdp,
          tracks: offered.map((p) => ({
            mid: this.#leg(p).transceiver.mid,
            source: p.source,
            muted: p.muted,
            ...(p.dtx && { dtx: true }),
          })),
        });
        const answer = await step(request);
        await step(pc.setRemoteDescription({ type: 'answer', sdp: answer.sdp }));
        this.#answered = true;
        sections.changed = false;
        await step(this.#conclude(answer, offered));
        return;
      } catch (error) {
        if (this.#closed) return;
        if (pc !== this.#pc) continue; // whatever it was, it concerned a connection that is gone
        this.#restart ||= restart;
        if (error.code === CONNECTION_LOST || error.code === 'timeout') continue; // the same again, under the same mids
        if (pc.signalingState === 'have-local-offer') await step(pc.setLocalDescription({ type: 'rollback' })).catch(() => {});
        const passing = error.retryAfter !== undefined || PASSING.has(error.code);
        if (!passing || refusals === MOST_REFUSALS) throw error;
        await new Promise((resolve) => setTimeout(resolve, ((error.retryAfter ?? 0) + backoff(refusals, Math.random())) * 1000));
        refusals += 1;
      }
    }
  }

  async #conclude(answer, offered) {
    const ids = new Map(answer.tracks.map(({ mid, track }) => [mid, track]));
    const reasons = new Map(answer.rejected.map((rejected) => [rejected.mid, rejected]));
    for (const publication of offered) {
      const leg = this.#leg(publication);
      const { transceiver } = leg;
      const mid = transceiver?.mid;
      if (!mid) continue;
      if (reasons.has(mid)) {
        this.publications.delete(publication);
        this.#sections.refuse(publication, AuraLinkError.from(reasons.get(mid)));
        if (this.#leading) this.#emit('refused', { publication, error: leg.error });
      } else {
        leg.id = ids.get(mid) ?? leg.id;
        await publication.tune(transceiver);
      }
      if (this.#leading) publication.id = leg.id;
    }
    this.#emit('answered', null);
  }

  #leg(publication) {
    return this.#sections?.leg(publication) ?? new Leg();
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
    const pc = new RTCPeerConnection(this.#configuration());
    this.#sections = new Sections(pc);
    this.#pulse = new Pulse(pc, () => {
      if (performance.now() - this.#poorerAt < BLAMED * 1000) this.networkChanged();
      this.#emit('silent', null);
    });
    const watch = new ConnectionWatch(
      {
        restart: () => {
          this.#restart = true;
          this.#negotiateQuietly();
        },
        rebuild: () => this.rebuild(),
        hurry: () => {
          this.rebuild();
          this.#hurried = true;
        },
        show: (state) => {
          if (state === 'connected') this.#connectedAt = performance.now();
          this.#emit('state', state);
        },
      },
      this.#patience,
    );
    pc.onconnectionstatechange = () => watch.observe(pc.connectionState);
    this.#watch = watch;
    this.#gone = deferred();
    return pc;
  }

  #discard() {
    const pc = this.#pc;
    this.#pc = null;
    this.#answered = this.#restart = this.#asked = false;
    this.#connectedAt = Infinity;
    this.#watch?.close();
    this.#pulse?.close();
    this.#watch = this.#pulse = null;
    this.#sections = null;
    if (this.#leading) for (const publication of this.publications) publication.id = null;
    if (pc) {
      pc.onconnectionstatechange = null;
      pc.close();
      this.#gone.reject(new AuraLinkError('superseded', 'The media connection was replaced by another one.'));
      this.#emit('rebuilt', null);
    }
  }

  #emit(type, detail) {
    this.dispatchEvent(new CustomEvent(type, { detail }));
  }
}

const urls = (servers) => servers.flatMap((server) => server.urls);
const isRelay = (url) => /^turns?:/i.test(url);
