/** A room as an application sees it: who is there, what they publish, what one publishes, and that it stays so. */

import { AuraLinkError, CONNECTION_LOST } from './errors.js';
import { Media } from './media.js';
import { Publication } from './publication.js';
import { Roster } from './roster.js';
import { Signal, socketUrl } from './signal.js';
import { SlotMap } from './slots.js';
import { StatsDigest } from './stats.js';

const SOURCES = { audio: 'microphone', video: 'camera' };
const MOST_REMEMBERED_CHAT = 256; // ids, to tell a repeated message after a resume

/**
 * @typedef {object} RoomOptions
 * @property {string} [url]         of the server; by default the one that served the page. `http…` is understood
 * @property {string} [token]       the access token
 * @property {(context: {refused: AuraLinkError | null}) => string | Promise<string>} [getToken]  asked for a token at each
 *   join, also when joining anew after a lost session; `refused` tells why the server refused the last one, if it did
 * @property {'auto' | 'manual'} [subscribe]  receive all tracks (default), or only those passed to `subscribe()`
 * @property {RTCConfiguration} [rtcConfiguration]  merged over what the server says
 * @property {object} [timing]      overrides in seconds, see DEFAULT_TIMING in signal.js and DEFAULT_PATIENCE in watch.js
 *
 * @typedef {object} PublishOptions
 * @property {'microphone' | 'camera' | 'screen' | 'screen_audio'} [source]  by default what fits the track's kind
 * @property {boolean} [muted]      publish it muted
 * @property {number} [maxBitrate]  bits per second
 * @property {string} [codec]       for example 'VP9'; by default VP8 and Opus
 * @property {boolean} [red]        send each sound twice, so that single losses are not heard; by default for microphones
 * @property {boolean} [dtx]        send next to nothing while nobody speaks; by default not
 */

/**
 * Every event is a CustomEvent with these fields in `detail`:
 *
 * | event | detail |
 * |---|---|
 * | `connected` | `rejoined`: whether a lost session was replaced by a new one |
 * | `reconnecting` | `attempt`, `delay` in seconds; repeated for each attempt. Media goes on meanwhile |
 * | `resumed` | – |
 * | `disconnected` | `code`, `message`: why it will not come back |
 * | `participant-joined`, `participant-left` | `participant`; also `reason` of leaving. Those present at `connect()` “join” too |
 * | `track-published`, `track-unpublished` | `participant`, `track` |
 * | `track-subscribed`, `track-unsubscribed` | `participant`, `track`, `mediaStreamTrack`, `mediaStream` (for `srcObject`) |
 * | `muted`, `unmuted` | `participant`, `track` |
 * | `speakers` | `speakers`: participants, loudest first |
 * | `chat` | `id`, `sender`, `name`, `text`, `at` (a Date), `to` (a participant id or null), `own` |
 * | `notice` | `code`, `level` (`info` or `warning`), `message` |
 * | `media-state` | `state`: `connecting`, `connected`, `disconnected` or `failed` |
 * | `publish-failed` | `publication`, `error`: the server refused a track when it was offered again |
 * | `error` | `error`: an AuraLinkError that no call of a method could report |
 */
export class Room extends EventTarget {
  #signal;
  #media;
  #roster = new Roster((type, detail) => this.#emit(type, detail));
  #slots = new SlotMap();
  #digest = new StatsDigest();
  #subscribe;
  #wanted = new Set(); // tracks asked for by hand
  #refused = new Set(); // tracks declined by hand
  #streams = new Map();
  #chatIds = new Set();
  #everConnected = false;
  #interrupted = false;
  #onPageHide = () => this.leave();

  /** What the server said of this room. @type {string} */
  name = '';
  /** What the token allows. @type {{publish: string[], subscribe: boolean, chat: boolean, admin: boolean} | null} */
  permissions = null;
  /** `idle`, `connecting`, `connected`, `reconnecting` or `disconnected`. */
  state = 'idle';

  /** @param {RoomOptions} options */
  constructor({ url, token, getToken, subscribe = 'auto', rtcConfiguration, timing } = {}) {
    super();
    const address = socketUrl(url || '/', globalThis.location?.href);
    if (!address) throw new AuraLinkError('bad_url', `${url} is not an address of a server.`);
    if (!token && !getToken) throw new AuraLinkError('no_token', 'Joining needs `token` or `getToken`.');
    this.#subscribe = subscribe;
    this.#signal = new Signal({ url: address, getToken: async (context) => (getToken ? getToken(context) : token), subscribe, timing });
    this.#media = new Media({ signal: this.#signal, rtcConfiguration, patience: timing });
    this.#listen();
  }

  /** Oneself. @returns {import('./roster.js').Participant | null} */
  get me() {
    return this.#roster.local;
  }

  /** The others. @returns {import('./roster.js').Participant[]} */
  get participants() {
    return [...this.#roster.participants.values()].filter((participant) => !participant.isLocal);
  }

  /** @returns {import('./roster.js').Participant | undefined} anybody in the room, by id */
  participant(id) {
    return this.#roster.participants.get(id);
  }

  /** What one publishes. @returns {Publication[]} */
  get publications() {
    return [...this.#media.publications];
  }

  /** The state of the media connection. @returns {string} */
  get mediaState() {
    return this.#media.state;
  }

  /**
   * Enter the room.
   * @returns {Promise<this>} when the server has welcomed us; media may still be connecting
   * @throws {AuraLinkError} the server's refusal, or `unreachable`
   */
  async connect() {
    if (this.state !== 'idle') throw new AuraLinkError('already_connected', 'A Room connects once; make another one.');
    this.state = 'connecting';
    globalThis.addEventListener?.('pagehide', this.#onPageHide);
    await this.#signal.connect();
    return this;
  }

  /** Leave for good. Local tracks are not stopped: they belong to the caller. */
  leave() {
    if (this.state === 'idle') this.state = 'disconnected';
    this.#signal.close();
  }

  // ------------------------------------------------------------------------------------------ publishing

  /**
   * Publish a track. Called before `connect()`, it travels in the first offer.
   * @param {MediaStreamTrack} mediaStreamTrack
   * @param {PublishOptions} [options]
   * @returns {Promise<Publication>} when the server has accepted it
   * @throws {AuraLinkError} when the server refuses the track
   */
  async publish(mediaStreamTrack, { source, muted = false, maxBitrate, codec, red, dtx = false } = {}) {
    source ??= SOURCES[mediaStreamTrack.kind];
    red ??= source === 'microphone';
    // Text and thin lines matter more on a screen than motion; an application may have chosen otherwise.
    if (source === 'screen' && !mediaStreamTrack.contentHint) mediaStreamTrack.contentHint = 'detail';
    if (muted) mediaStreamTrack.enabled = false;
    const stream = this.#streamOf(source);
    const publication = new Publication(mediaStreamTrack, { source, stream, muted, maxBitrate, codec, red, dtx });
    await this.#media.publish(publication);
    return publication;
  }

  /** Stop publishing. The track itself goes on. @param {Publication} publication */
  async unpublish(publication) {
    await this.#media.unpublish(publication);
  }

  /**
   * Publish another track of the same kind in place of the old one; nobody else notices.
   * @param {Publication} publication
   * @param {MediaStreamTrack} mediaStreamTrack
   */
  async replaceTrack(publication, mediaStreamTrack) {
    mediaStreamTrack.enabled = !publication.muted;
    await this.#media.replace(publication, mediaStreamTrack);
  }

  /** Mute at once here, and tell the others. @param {Publication} publication */
  mute(publication) {
    return this.#setMuted(publication, true);
  }

  /** @param {Publication} publication */
  unmute(publication) {
    return this.#setMuted(publication, false);
  }

  async #setMuted(publication, muted) {
    publication.muted = muted;
    publication.track.enabled = !muted;
    if (!publication.id) return; // the offer under way says it, or the reconciliation after its answer
    this.#roster.muted(publication.id, muted);
    await this.#ask({ type: muted ? 'mute' : 'unmute', track: publication.id });
  }

  // ------------------------------------------------------------------------------------------ receiving

  /** Receive tracks of others. @param {...string} trackIds */
  async subscribe(...trackIds) {
    for (const id of trackIds) {
      this.#wanted.add(id);
      this.#refused.delete(id);
    }
    await this.#ask({ type: 'subscribe', tracks: trackIds });
  }

  /** Receive them no longer. @param {...string} trackIds */
  async unsubscribe(...trackIds) {
    for (const id of trackIds) {
      this.#wanted.delete(id);
      this.#refused.add(id);
    }
    await this.#ask({ type: 'unsubscribe', tracks: trackIds });
  }

  /**
   * Say something to everybody, or to one.
   * @param {string} text
   * @param {{to?: string}} [options]  a participant's id
   * @returns {Promise<void>} when the server has passed it on; it also comes back as a `chat` event
   */
  async chat(text, { to } = {}) {
    await this.#signal.request(to ? { type: 'chat', text, to } : { type: 'chat', text });
  }

  /** @returns {Promise<import('./stats.js').Digest>} rates are since the call before */
  async stats() {
    return this.#digest.read((await this.getStats()) ?? new Map(), (mid) => this.#slots.trackOf(mid));
  }

  /** The browser's own report on the media connection. @returns {Promise<RTCStatsReport | null>} */
  async getStats() {
    return (await this.#media.connection?.getStats()) ?? null;
  }

  /** The RTCPeerConnection, for tinkering. It is another one after some reconnects. */
  get connection() {
    return this.#media.connection;
  }

  // ------------------------------------------------------------------------------------------ what happens

  #listen() {
    const on = (source, type, handle) => source.addEventListener(type, ({ detail }) => handle(detail));
    on(this.#signal, 'welcome', (message) => this.#welcomed(message));
    on(this.#signal, 'message', (message) => this.#received(message));
    on(this.#signal, 'lost', () => (this.#interrupted = true));
    on(this.#signal, 'retrying', (detail) => {
      if (!this.#everConnected) return;
      this.state = 'reconnecting';
      this.#emit('reconnecting', detail);
    });
    on(this.#signal, 'ended', (error) => this.#ended(error));
    on(this.#media, 'answered', () => {
      this.#listOwn();
      this.#play();
      this.#reconcile();
    });
    on(this.#media, 'rebuilt', () => {
      for (const [, id] of this.#slots.clear()) this.#stopped(id);
    });
    on(this.#media, 'state', (state) => this.#emit('media-state', { state }));
    on(this.#media, 'refused', (detail) => this.#emit('publish-failed', detail));
    on(this.#media, 'error', (error) => this.#emit('error', { error }));
  }

  #welcomed(message) {
    const rejoined = this.#everConnected && !message.resumed;
    this.#everConnected = true;
    this.name = message.room.name;
    this.permissions = message.permissions;
    if (rejoined) this.#media.reset(); // the new session knows nothing of the old connection
    this.#media.iceServers = message.ice_servers;
    this.#roster.replace(message.room, message.participant);
    this.#slots.replace(message.slots);
    this.#play();
    this.state = 'connected';
    if (message.resumed && this.#interrupted) this.#emit('resumed', {});
    else this.#emit('connected', { rejoined });
    this.#interrupted = false;
    for (const said of message.chat) this.#said(said);
    if (message.resumed) this.#reconcile();
    else this.#choose();
    this.#media.receive(message.receive).catch((error) => this.#emit('error', { error }));
  }

  #received(message) {
    switch (message.type) {
      case 'renegotiate':
        this.#media.receive(message, { anyway: true }).catch((error) => this.#emit('error', { error }));
        break;
      case 'slots':
        this.#slots.replace(message.slots);
        this.#play();
        break;
      case 'participant_joined':
        this.#roster.joined(message.participant);
        break;
      case 'participant_left':
        for (const id of this.participant(message.participant)?.tracks.keys() ?? []) this.#forget(id);
        this.#roster.left(message.participant, message.reason);
        this.#play();
        break;
      case 'track_published':
        this.#roster.published(message.participant, message.track);
        this.#play();
        break;
      case 'track_unpublished':
        this.#forget(message.track);
        this.#roster.unpublished(message.track);
        break;
      case 'track_muted':
        this.#mutedByServer(message);
        break;
      case 'speakers':
        this.#roster.speak(message.speakers);
        break;
      case 'chat_message':
        this.#said(message);
        break;
      case 'media_state':
        this.#media.observeServer(message.state);
        break;
      case 'notice':
        this.#emit('notice', { code: message.code, level: message.level, message: message.message });
        break;
      case 'track_unreceivable':
        this.#emit('notice', { code: 'track_unreceivable', level: 'warning', message: message.message, track: message.track });
        break;
      case 'error':
        this.#emit('error', { error: AuraLinkError.from(message) });
        break;
    }
  }

  #ended(error) {
    globalThis.removeEventListener?.('pagehide', this.#onPageHide);
    const was = this.state;
    this.state = 'disconnected';
    this.#media.close();
    if (was !== 'connecting') this.#emit('disconnected', { code: error.code, message: error.message });
  }

  // ------------------------------------------------------------------------------------------ keeping in step

  /** Let what plays follow the slot map, as far as its sections and tracks are known. */
  #play() {
    const { ended, begun } = this.#slots.apply((mid, id) => this.#media.trackOf(mid) && this.#roster.track(id));
    for (const [, id] of ended) this.#stopped(id);
    for (const [mid, id] of begun) {
      const track = this.#roster.track(id);
      track.mid = mid;
      track.mediaStreamTrack = this.#media.trackOf(mid);
      track.mediaStream = new MediaStream([track.mediaStreamTrack]);
      this.#playing.set(id, track);
      this.#emit('track-subscribed', about(track));
    }
  }

  #playing = new Map(); // tracks that were announced as subscribed, some of which the roster may have dropped since

  #stopped(id) {
    const track = this.#playing.get(id);
    if (!track) return;
    this.#playing.delete(id);
    const detail = about(track);
    track.mid = track.mediaStreamTrack = track.mediaStream = null;
    this.#emit('track-unsubscribed', detail);
  }

  /** A track ended: its slot follows in a moment, but nobody should wait for that. */
  #forget(id) {
    this.#wanted.delete(id);
    this.#refused.delete(id);
    this.#stopped(id);
  }

  /** The others hear of our tracks by `track_published`; we learn their ids from the answer. */
  #listOwn() {
    if (!this.me) return;
    const published = this.publications.filter(({ id }) => id);
    const ids = new Set(published.map(({ id }) => id));
    for (const id of [...this.me.tracks.keys()]) if (!ids.has(id)) this.#roster.unpublished(id);
    for (const { id, kind, source, mutedInOffer } of published) {
      this.#roster.published(this.me.id, { id, kind, source, muted: mutedInOffer });
    }
  }

  /** After a gap: what was muted or unmuted meanwhile is told now. The local state is what the person sees. */
  #reconcile() {
    for (const publication of this.#media.publications) {
      const known = this.#roster.track(publication.id);
      if (!known || known.muted === publication.muted) continue;
      this.#setMuted(publication, publication.muted).catch((error) => this.#emit('error', { error }));
    }
  }

  /** In a new session, repeat what was chosen by hand in the one before. */
  #choose() {
    const chosen = this.#subscribe === 'manual' ? this.#wanted : this.#refused;
    const tracks = [...chosen].filter((id) => this.#roster.track(id));
    if (tracks.length === 0) return;
    this.#signal.send({ type: this.#subscribe === 'manual' ? 'subscribe' : 'unsubscribe', tracks });
  }

  #mutedByServer({ track: id, muted }) {
    this.#roster.muted(id, muted);
    const own = this.publications.find((publication) => publication.id === id);
    // A moderator may mute us; nobody else may unmute us.
    if (own && muted && !own.muted) {
      own.muted = true;
      own.track.enabled = false;
    }
  }

  #said({ id, sender, name, text, at, to = null }) {
    if (this.#chatIds.has(id)) return;
    this.#chatIds.add(id);
    if (this.#chatIds.size > MOST_REMEMBERED_CHAT) this.#chatIds.delete(this.#chatIds.values().next().value);
    this.#emit('chat', { id, sender, name, text, at: new Date(at * 1000), to, own: sender === this.me?.id });
  }

  /** A request whose effect a reconnect repeats by itself, so that a lost socket is no failure of it. */
  async #ask(message) {
    try {
      await this.#signal.request(message);
    } catch (error) {
      if (error.code !== CONNECTION_LOST) throw error;
    }
  }

  /** Microphone and camera share a stream for lip sync; screen and its sound share another. */
  #streamOf(source) {
    const group = source.startsWith('screen') ? 'screen' : 'person';
    if (!this.#streams.has(group)) this.#streams.set(group, new MediaStream());
    return this.#streams.get(group);
  }

  #emit(type, detail) {
    this.dispatchEvent(new CustomEvent(type, { detail }));
  }
}

const about = (track) => ({
  participant: track.participant,
  track,
  mediaStreamTrack: track.mediaStreamTrack,
  mediaStream: track.mediaStream,
});
