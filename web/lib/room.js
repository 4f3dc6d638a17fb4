/** A room as an application sees it: who is there, what they publish, what one publishes, and that it stays so. */

import { socketUrl } from './address.js';
import { AuraLinkError, CONNECTION_LOST } from './errors.js';
import { Media } from './media.js';
import { Move } from './move.js';
import { ModeratedRoom } from './moderation.js';
import { Publication } from './publication.js';
import { Roster } from './roster.js';
import { Signal } from './signal.js';
import { SlotMap } from './slots.js';
import { StatsDigest } from './stats.js';

const SOURCES = { audio: 'microphone', video: 'camera' };
const LINGER = 3; // seconds that one is still seen at the instance one has left, by those who are on their way
const MOST_REMEMBERED_CHAT = 256; // ids, to tell a repeated message after a resume

/**
 * @typedef {object} RoomOptions
 * @property {string} [url]         of the server; by default the one that served the page. `http…` is understood
 * @property {string} [token]       the access token
 * @property {(context: {refused: AuraLinkError | null, url: string}) => string | Promise<string>} [getToken]  asked for a
 *   token at each join, also when joining anew after a lost session, or elsewhere (at `url`) when the server sends us on;
 *   `refused` tells why the server refused the last one, if it did
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
 * | `migrated` | `url`: one is at another instance now. People and tracks are the objects they were, with new ids |
 * | `migration-failed` | `url`, `error`: one should have gone there, and stays |
 * | `disconnected` | `code`, `message`: why it will not come back |
 * | `participant-joined`, `participant-left` | `participant`; also `reason` of leaving. Those present at `connect()` “join” too |
 * | `track-published`, `track-unpublished` | `participant`, `track` |
 * | `track-subscribed`, `track-unsubscribed` | `participant`, `track`, `mediaStreamTrack`, `mediaStream` (for `srcObject`) |
 * | `track-replaced` | as `track-subscribed`: another MediaStreamTrack is in the same `mediaStream`, which plays on by itself |
 * | `muted`, `unmuted` | `participant`, `track` |
 * | `speakers` | `speakers`: participants, loudest first |
 * | `chat` | `id`, `sender`, `name`, `text`, `at` (a Date), `to` (a participant id or null), `own` |
 * | `notice` | `code`, `level` (`info` or `warning`), `message` |
 * | `media-state` | `state`: `connecting`, `connected`, `disconnected` or `failed` |
 * | `waiting` | –; `connect()` goes on when a moderator lets us in, and rejects when not (`denied`) |
 * | `muted-by` | `publication`, `by`: the participant who muted us, or null for somebody outside |
 * | `permissions-changed` | `permissions`, `by`. What may not be published any more has ended |
 * | `room-updated` | `locked`, `waitingRoom` |
 * | `participant-waiting`, `waiting-ended` | `waiter`; also the `reason`. For moderators |
 * | `publish-failed` | `publication`, `error`: the server refused a track when it was offered again |
 * | `error` | `error`: an AuraLinkError that no call of a method could report |
 */
export class Room extends ModeratedRoom {
  #signal;
  #media;
  #roster = new Roster((type, detail) => this.#emit(type, detail));
  #slots = new SlotMap();
  #digest = new StatsDigest();
  #options;
  #subscribe;
  #move = null; // to another instance
  #movedOn = new Map(); // who left while we are about to follow: participant id → reason
  #before = null; // the stay that we have moved away from, while it lingers
  #wanted = new Set(); // tracks asked for by hand
  #refused = new Set(); // tracks declined by hand
  #streams = new Map();
  #chatIds = new Set();
  #everConnected = false;
  #interrupted = false;
  #onPageHide = () => this.leave();
  #onOnline = () => this.#media.isSilent && this.#media.networkChanged();

  /** What the server said of this room. @type {string} */
  name = '';
  /** What we may do. @type {{publish: string[], subscribe: boolean, chat: boolean, admin: boolean} | null} */
  permissions = null;
  /** `idle`, `connecting`, `waiting` (to be let in), `connected`, `reconnecting` or `disconnected`. */
  state = 'idle';

  /** @param {RoomOptions} options */
  constructor({ url, token, getToken, subscribe = 'auto', rtcConfiguration, timing } = {}) {
    super((message) => this.#signal.request(message));
    const address = socketUrl(url || '/', globalThis.location?.href);
    if (!address) throw new AuraLinkError('bad_url', `${url} is not an address of a server.`);
    if (!token && !getToken) throw new AuraLinkError('no_token', 'Joining needs `token` or `getToken`.');
    this.#subscribe = subscribe;
    const tokenFor = (url) => async (context) => (getToken ? getToken({ ...context, url }) : token);
    this.#options = { tokenFor, rtcConfiguration, timing };
    this.#signal = new Signal({ url: address, getToken: tokenFor(address), subscribe, timing });
    this.#media = new Media({ signal: this.#signal, rtcConfiguration, patience: timing });
    this.#listen(this.#signal, this.#media);
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
    globalThis.addEventListener?.('online', this.#onOnline);
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
    this.#move?.media.publish(publication).catch(() => {}); // told when we are there
    await this.#media.publish(publication);
    return publication;
  }

  /** Stop publishing. The track itself goes on. @param {Publication} publication */
  async unpublish(publication) {
    this.#move?.media.unpublish(publication).catch(() => {});
    await this.#media.unpublish(publication);
  }

  /**
   * Publish another track of the same kind in place of the old one; nobody else notices.
   * @param {Publication} publication
   * @param {MediaStreamTrack} mediaStreamTrack
   */
  async replaceTrack(publication, mediaStreamTrack) {
    mediaStreamTrack.enabled = !publication.muted;
    await Promise.all([this.#media, this.#move?.media].map((media) => media?.replace(publication, mediaStreamTrack)));
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
    publication.untold = true;
    publication.track.enabled = !muted;
    if (!publication.id) return; // the offer under way says it, or the reconciliation after its answer
    this.#roster.muted(publication.id, muted);
    const told = await this.#ask({ type: muted ? 'mute' : 'unmute', track: publication.id });
    if (told && publication.muted === muted) publication.untold = false;
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

  /** What `signal` and `media` tell counts for as long as they are ours. */
  #listen(signal, media) {
    const on = (source, type, handle) => source.addEventListener(type, ({ detail }) => signal === this.#signal && handle(detail));
    on(signal, 'welcome', (message) => this.#welcomed(message));
    on(signal, 'message', (message) => this.#received(message));
    on(signal, 'lost', () => {
      this.#interrupted = true;
      this.#move?.hurry();
      if (media.isSilent) media.networkChanged(); // neither speaks: it is the network
    });
    on(signal, 'retrying', (detail) => {
      if (!this.#everConnected) return;
      this.state = 'reconnecting';
      this.#emit('reconnecting', detail);
    });
    on(signal, 'ended', (error) => this.#ended(error));
    on(media, 'silent', () => {
      if (signal.isOpen) signal.suspect();
      else media.networkChanged();
    });
    on(media, 'answered', () => {
      this.#listOwn();
      this.#play();
      this.#reconcile();
    });
    on(media, 'rebuilt', () => {
      for (const [, id] of this.#slots.clear()) this.#stopped(id);
    });
    on(media, 'state', (state) => this.#emit('media-state', { state }));
    on(media, 'refused', (detail) => this.#emit('publish-failed', detail));
    on(media, 'error', (error) => this.#emit('error', { error }));
  }

  #welcomed(message) {
    const rejoined = this.#everConnected && !message.resumed;
    this.#everConnected = true;
    this.name = message.room.name;
    this.permissions = message.permissions;
    this.settle(message.room);
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
    if (this.moderated(message)) return;
    switch (message.type) {
      case 'waiting':
        this.state = 'waiting';
        this.#emit('waiting', {});
        break;
      case 'permissions_changed':
        this.#permitted(message);
        break;
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
        if (message.reason === 'migrated' && this.#move) {
          this.#movedOn.set(message.participant, message.reason); // we shall meet again in a moment
          break;
        }
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
      case 'media_restart':
        this.#media.observeServer('failed');
        break;
      case 'migrate':
        this.#follow(message);
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
    globalThis.removeEventListener?.('online', this.#onOnline);
    this.#move?.cancel();
    this.#move = null;
    this.#leaveBehind();
    const was = this.state;
    this.state = 'disconnected';
    this.#media.close();
    const refused = !this.#everConnected && ['connecting', 'waiting'].includes(was); // `connect()` rejects
    if (!refused) this.#emit('disconnected', { code: error.code, message: error.message });
  }

  // ------------------------------------------------------------------------------------------ keeping in step

  /** Let what plays follow the slot map, as far as its sections and tracks are known. */
  #play() {
    const { ended, begun } = this.#slots.apply((mid, id) => this.#media.trackOf(mid) && this.#roster.track(id));
    for (const [, id] of ended) if (!this.#movedOn.has(this.#playing.get(id)?.participant.id)) this.#stopped(id);
    for (const [mid, id] of begun) {
      const track = this.#roster.track(id);
      const before = track.mediaStreamTrack;
      track.mid = mid;
      track.mediaStreamTrack = this.#media.trackOf(mid);
      if (this.#playing.has(id)) {
        // Away with the old one first: Firefox selects a track that is added only if there is none.
        track.mediaStream.removeTrack(before);
        track.mediaStream.addTrack(track.mediaStreamTrack);
        this.#emit('track-replaced', about(track));
        continue;
      }
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
    const { published } = this.#media;
    const ids = new Set(published.map(({ id }) => id));
    for (const id of [...this.me.tracks.keys()]) if (!ids.has(id)) this.#roster.unpublished(id);
    for (const own of published) this.#roster.published(this.me.id, own);
  }

  /** After a gap: what was muted or unmuted meanwhile is told now. The local state is what the person sees. */
  #reconcile() {
    for (const publication of this.#media.publications) {
      const known = this.#roster.track(publication.id);
      if (known?.muted === publication.muted) publication.untold = false;
      if (!known || known.muted === publication.muted) continue;
      if (known.muted && !publication.untold) {
        // Not our doing: a moderator muted us while we were away.
        this.#silence(publication);
        this.#emit('muted-by', { publication, by: null });
        continue;
      }
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

  // ------------------------------------------------------------------------------------------ going on elsewhere

  /** The server sends us on: be there before we leave here. */
  async #follow({ url, deadline }) {
    const address = socketUrl(url, globalThis.location?.href);
    if (this.#move && this.#move.url === address) return;
    this.#move?.cancel();
    const { tokenFor, rtcConfiguration, timing } = this.#options;
    const names = (tracks) => [...tracks].map(({ participant, source }) => ({ identity: participant.identity, source }));
    const chosen = this.#subscribe === 'manual' ? this.#wanted : this.#refused;
    const move = new Move({
      url: address,
      deadline,
      getToken: tokenFor(address),
      subscribe: this.#subscribe,
      timing,
      rtcConfiguration,
      publications: this.publications,
      playing: () => names([...this.#playing.values()].filter(({ muted }) => !muted)),
      chosen: () => names([...chosen].map((id) => this.#roster.track(id)).filter(Boolean)),
    });
    this.#move = move;
    try {
      await move.run();
    } catch (error) {
      if (this.#move === move) this.#stay(url, error);
      return;
    }
    if (this.#move === move) this.#arrive(move);
  }

  /** Let the stay there take the place of the one here, which lingers for those who are still on their way. */
  #arrive(move) {
    this.#move = null;
    this.#movedOn.clear();
    this.#leaveBehind();
    const before = { signal: this.#signal, media: this.#media };
    before.timer = setTimeout(() => this.#leaveBehind(), LINGER * 1000);
    before.signal.addEventListener('lost', () => this.#before === before && this.#leaveBehind());
    this.#before = before;

    const chosen = [...this.#wanted, ...this.#refused].map((id) => this.#roster.track(id)).filter(Boolean);
    const wanted = chosen.filter(({ id }) => this.#wanted.has(id));
    const playing = [...this.#playing.values()];
    this.#media.follow();
    this.#signal = move.signal;
    this.#media = move.media;
    this.#slots = move.slots;
    this.#listen(move.signal, move.media);
    this.permissions = move.welcome.permissions;
    this.settle(move.welcome.room);
    for (const own of move.media.published) move.roster.published(move.welcome.participant, own);
    move.media.lead();
    this.#roster.become(move.roster);
    this.#playing = new Map(playing.map((track) => [track.id, track]));
    this.#wanted = new Set(wanted.map(({ id }) => id));
    this.#refused = new Set(chosen.filter((track) => !wanted.includes(track)).map(({ id }) => id));
    this.#play();
    for (const id of [...this.#playing.keys()]) if (!this.#slots.isPlaying(id)) this.#stopped(id);
    this.#reconcile();
    for (const message of move.later) this.#received(message);
    this.state = 'connected';
    if (this.#interrupted) this.#emit('resumed', {});
    this.#interrupted = false;
    this.#emit('migrated', { url: move.url });
  }

  /** We cannot go there: who has gone is gone for us. */
  #stay(url, error) {
    this.#move = null;
    const gone = [...this.#movedOn];
    this.#movedOn.clear();
    for (const [participant, reason] of gone) this.#received({ type: 'participant_left', participant, reason });
    this.#emit('migration-failed', { url, error });
  }

  #leaveBehind() {
    if (!this.#before) return;
    const { signal, media, timer } = this.#before;
    this.#before = null;
    clearTimeout(timer);
    signal.close('migrated');
    media.close();
  }

  #mutedByServer({ track: id, muted, by }) {
    const own = this.publications.find((publication) => publication.id === id);
    // A moderator may mute us; nobody else may unmute us.
    const silenced = own && muted && !own.muted;
    if (silenced) this.#silence(own);
    this.#roster.muted(id, muted);
    if (silenced) this.#emit('muted-by', { publication: own, by: this.participant(by) ?? null });
  }

  #silence(publication) {
    publication.muted = true;
    publication.untold = false;
    publication.track.enabled = false;
  }

  #permitted({ permissions, by }) {
    this.permissions = permissions;
    if (!permissions.admin) this.demoted();
    for (const publication of this.publications) {
      if (permissions.publish.includes(publication.source)) continue;
      this.unpublish(publication).catch((error) => this.#emit('error', { error }));
      const error = new AuraLinkError('permission_denied', `You may not publish your ${publication.source} any more.`);
      this.#emit('publish-failed', { publication, error });
    }
    this.#emit('permissions-changed', { permissions, by: this.participant(by) ?? null });
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
      return true;
    } catch (error) {
      if (error.code !== CONNECTION_LOST) throw error;
      return false;
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
