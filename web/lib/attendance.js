/** Our stay in a room: what the server and the connection tell is put into effect, and told to the application. */

import { socketUrl } from './address.js';
import { ChatLog } from './chat_log.js';
import { Degradations } from './degradation.js';
import { AuraLinkError, CONNECTION_LOST } from './errors.js';
import { Media } from './media.js';
import { ALREADY_HERE } from './move.js';
import { Publishing } from './publishing.js';
import { Reception } from './reception.js';
import { Relocation } from './relocation.js';
import { Roster } from './roster.js';
import { Signal } from './signal.js';

const ON_THE_WAY = 3; // seconds that somebody is still shown who left elsewhere in order to come here

export class Attendance {
  roster = new Roster((type, detail) => this.#tell(type, detail));
  degradations = new Degradations(this.roster, (type, detail) => this.#tell(type, detail));
  #room;
  #options;
  #tell;
  #over;
  #relocation = new Relocation({ arrived: (move) => this.#arrived(move), stayed: (failure) => this.#stayed(failure) });
  #chatLog = new ChatLog();
  #everConnected = false;
  #interrupted = false;

  /**
   * @param {import('./room.js').Room} room  whose name, permissions, state and settings this keeps
   * @param {object} options  RoomOptions with the address as `url`, and `getToken`
   * @param {{tell: (type: string, detail: object) => void, over: () => void}} act
   */
  constructor(room, options, { tell, over }) {
    this.#room = room;
    this.#options = options;
    this.#tell = tell;
    this.#over = over;
    const { subscribe, rtcConfiguration, timing } = options;
    this.signal = new Signal(options);
    this.media = new Media({ signal: this.signal, rtcConfiguration, patience: timing });
    const common = { emit: tell, roster: this.roster, media: this.media };
    this.publishing = new Publishing({ ...common, ask: (message) => this.#ask(message), beside: () => this.#relocation.move?.media });
    this.reception = new Reception({ ...common, subscribe });
    this.reception.holds = (track) => this.#relocation.awaits(track?.participant.id);
    this.#listen(this.signal, this.media);
  }

  /** The browser says that there is a network again. */
  online() {
    if (this.media.isSilent) this.media.networkChanged();
  }

  /** Ask for tracks, or for none of them. @param {string[]} ids @param {boolean} wanted */
  async choose(ids, wanted) {
    const tracks = this.reception.choose(ids, wanted);
    if (tracks.length) await this.#ask({ type: wanted ? 'subscribe' : 'unsubscribe', tracks });
  }

  // ------------------------------------------------------------------------------------------ what happens

  /** What `signal` and `media` tell counts for as long as they are ours. */
  #listen(signal, media) {
    const on = (source, type, handle) => source.addEventListener(type, ({ detail }) => signal === this.signal && handle(detail));
    on(signal, 'welcome', (message) => this.#welcomed(message));
    on(signal, 'message', (message) => this.#received(message));
    on(signal, 'lost', () => {
      this.#interrupted = true;
      this.#relocation.move?.hurry();
      if (media.isSilent) media.networkChanged(); // neither speaks: it is the network
    });
    on(signal, 'retrying', (detail) => {
      if (!this.#everConnected) return;
      this.#room.state = 'reconnecting';
      this.#tell('reconnecting', detail);
    });
    on(signal, 'ended', (error) => this.#relocation.isReplaced(error) || this.#ended(error));
    on(media, 'silent', () => {
      if (signal.isOpen) signal.suspect();
      else media.networkChanged();
    });
    on(media, 'answered', () => {
      this.publishing.listOwn();
      this.reception.play();
      this.publishing.reconcile();
    });
    on(media, 'rebuilt', () => this.reception.clear());
    on(media, 'state', (state) => this.#tell('media-state', { state }));
    on(media, 'refused', (detail) => this.#tell('publish-failed', detail));
    on(media, 'error', (error) => this.#tell('error', { error }));
  }

  #welcomed(message) {
    const rejoined = this.#everConnected && !message.resumed;
    this.#everConnected = true;
    this.#room.name = message.room.name;
    this.#room.permissions = message.permissions;
    this.#room.settle(message.room);
    if (rejoined) this.media.reset(); // the new session knows nothing of the old connection
    this.media.iceServers = message.ice_servers;
    this.roster.replace(message.room, message.participant);
    this.reception.play(message.slots);
    this.#room.state = 'connected';
    if (message.resumed && this.#interrupted) this.#tell('resumed', {});
    else this.#tell('connected', { rejoined });
    this.#interrupted = false;
    for (const said of message.chat) this.#said(said);
    if (message.resumed) this.publishing.reconcile();
    else this.#repeatChoice();
    this.degradations.settle(message.degraded);
    this.media.receive(message.receive).catch((error) => this.#tell('error', { error }));
  }

  #received(message) {
    if (this.#room.moderated(message) || this.media.hear(message)) return;
    switch (message.type) {
      case 'waiting':
        this.#room.state = 'waiting';
        this.#tell('waiting', {});
        break;
      case 'permissions_changed':
        this.#permitted(message);
        break;
      case 'slots':
        this.reception.play(message.slots);
        break;
      case 'participant_joined':
        this.#joined(message.participant);
        break;
      case 'participant_left':
        this.#left(message.participant, message.reason);
        break;
      case 'room':
        this.#replaced(message);
        break;
      case 'track_published':
        this.roster.published(message.participant, message.track);
        this.reception.play();
        break;
      case 'track_unpublished':
        this.reception.forget(message.track);
        this.roster.unpublished(message.track);
        break;
      case 'track_muted':
        this.publishing.mutedByServer(message);
        break;
      case 'speakers':
        this.roster.speak(message.speakers);
        break;
      case 'chat_message':
        this.#said(message);
        break;
      case 'migrate':
        this.#sentOn(message);
        break;
      case 'degraded':
        this.degradations.begin(message.degradation);
        break;
      case 'recovered':
        this.degradations.end(message);
        break;
      case 'notice':
        this.#tell('notice', { code: message.code, level: message.level, message: message.message });
        break;
      case 'track_unreceivable':
        this.#tell('notice', { code: 'track_unreceivable', level: 'warning', message: message.message, track: message.track });
        break;
      case 'error':
        this.#tell('error', { error: AuraLinkError.from(message) });
        break;
    }
  }

  #ended(error) {
    this.#over();
    this.#relocation.end();
    const was = this.#room.state;
    this.#room.state = 'disconnected';
    this.media.close();
    const refused = !this.#everConnected && ['connecting', 'waiting'].includes(was); // `connect()` rejects
    if (!refused) this.#tell('disconnected', { code: error.code, message: error.message });
  }

  // ------------------------------------------------------------------------------------------ keeping in step

  /** In a new session, repeat what was chosen by hand in the one before. */
  #repeatChoice() {
    const { choice } = this.reception;
    if (choice) this.signal.send(choice);
  }

  #joined(info) {
    const wasElsewhere = this.roster.joined(info);
    this.reception.play();
    if (wasElsewhere) this.#repeatChoice();
  }

  #left(id, reason) {
    if (this.#relocation.meets(id, reason)) return;
    if (reason === 'migrated' && (this.roster.participants.get(id)?.presence ?? 'here') !== 'here') {
      // In a moment the same person is here, with another id.
      setTimeout(() => this.roster.left(id, reason), ON_THE_WAY * 1000);
      return;
    }
    for (const track of [...(this.#room.participant(id)?.tracks.keys() ?? [])]) this.reception.forget(track);
    this.roster.left(id, reason);
    this.reception.play();
  }

  /** After an interruption between servers: only what differs is told. `isOld`: of people we have heard more since. */
  #replaced({ room, reason }, isOld = false) {
    this.#room.update(room);
    if (!isOld) {
      this.roster.replace(room, this.roster.local?.id);
      this.reception.play();
      this.#repeatChoice();
    }
    this.#tell('room-replaced', { reason });
  }

  // ------------------------------------------------------------------------------------------ going on elsewhere

  #sentOn({ url, deadline }) {
    const address = socketUrl(url, globalThis.location?.href);
    if (address === this.signal.home) return; // here we are
    if (!address) return this.#tell('migration-failed', { url, error: new AuraLinkError('bad_url', `${url} is not an address of a server.`) });
    const names = (tracks) => tracks.map(({ participant, source }) => ({ identity: participant.identity, source }));
    this.#relocation.follow({
      ...this.#options,
      url: address,
      here: this.signal.home,
      deadline,
      publications: this.publishing.list,
      playing: () => names(this.reception.playing.filter(({ muted }) => !muted)),
      chosen: () => names(this.reception.chosen),
    });
  }

  /** The stay there takes the place of the one here, which lingers for those who are still on their way. */
  #arrived(move) {
    this.#relocation.leave(this.signal, this.media);
    this.media.follow();
    this.signal = move.signal;
    this.signal.entry = this.#options.url;
    this.media = move.media;
    this.#listen(move.signal, move.media);
    this.#room.permissions = move.welcome.permissions;
    this.#room.settle(move.welcome.room);
    for (const own of move.media.published) move.roster.published(move.welcome.participant, own);
    move.media.lead();
    this.publishing.media = move.media;
    this.reception.takeOver(move, () => this.roster.become(move.roster));
    this.publishing.reconcile();
    this.degradations.settle(move.welcome.degraded);
    for (const message of move.later) message.type === 'room' ? this.#replaced(message, true) : this.#received(message);
    this.#room.state = 'connected';
    if (this.#interrupted) this.#tell('resumed', {});
    this.#interrupted = false;
    this.#tell('migrated', { url: move.url });
  }

  /** We cannot go there, or need not: who has gone is gone for us. */
  #stayed({ url, error, gone, ended }) {
    if (ended) return this.#ended(ended);
    for (const [participant, reason] of gone) this.#left(participant, reason);
    if (error.code !== ALREADY_HERE) this.#tell('migration-failed', { url, error });
  }

  #permitted({ permissions, by }) {
    this.#room.permissions = permissions;
    if (!permissions.admin) this.#room.demoted();
    this.publishing.restrict(permissions.publish);
    this.#tell('permissions-changed', { permissions, by: this.#room.participant(by) ?? null });
  }

  #said(message) {
    const said = this.#chatLog.hear(message, this.roster.local?.id);
    if (said) this.#tell('chat', said);
  }

  /** A request whose effect a reconnect repeats by itself, so that a lost socket is no failure of it. */
  async #ask(message) {
    try {
      await this.signal.request(message);
      return true;
    } catch (error) {
      if (error.code !== CONNECTION_LOST) throw error;
      return false;
    }
  }
}
