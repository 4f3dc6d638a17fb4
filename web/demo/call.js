/** One call on the page, from joining to leaving: wires the room's events to tiles, sound, chat and notices. */

import { Chat } from './chat.js';
import { Comings } from './comings.js';
import { ConnectionIndicator } from './connection.js';
import { DegradedBanner } from './degraded.js';
import { $ } from './dom.js';
import { LocalMedia } from './local.js';
import { ModerationTools } from './moderation.js';
import { endAllNotices, endNotice, notice, toast } from './notices.js';
import { Panel } from './panel.js';
import { showPeople } from './people.js';
import { shortcuts } from './shortcuts.js';
import { Sounds } from './sounds.js';
import { Tiles } from './tiles.js';

const OWN_CAMERA = { id: 'own-camera' };
const OWN_SCREEN = { id: 'own-screen' };

export class Call {
  #room;
  #devices;
  #tiles = new Tiles();
  #sounds = new Sounds();
  #chat;
  #panel;
  #connection;
  #moderation;
  #degraded;
  #comings = new Comings();
  #endShortcuts;
  #me = null;
  #rosterDue = false;
  #onSpeaker = ({ detail }) => {
    if (detail.which === 'speaker') this.#sounds.speaker = this.#devices.chosen.speaker;
  };

  /**
   * @param {import('../auralink.js').Room} room  not yet connected
   * @param {import('./devices.js').Devices} devices
   * @param {(reason: {code: string, message: string}) => void} ended
   */
  constructor(room, devices, ended) {
    this.#room = room;
    this.#devices = devices;
    this.local = new LocalMedia(room, devices, (source) => this.#showOwn(source));
    this.#chat = new Chat(room);
    this.#panel = new Panel((page) => page === 'chat' && this.#chat.read());
    this.#connection = new ConnectionIndicator(room);
    this.#moderation = new ModerationTools(room);
    this.#degraded = new DegradedBanner(room);
    this.#sounds.speaker = devices.chosen.speaker;
    devices.addEventListener('change', this.#onSpeaker);
    $('leave').onclick = () => room.leave();
    $('copy-link').onclick = () => this.#copyLink();
    $('settings-open').onclick = () => $('settings').showModal();
    $('help-open').onclick = () => $('help').showModal();
    this.#listen(ended);
  }

  /** The room has welcomed us: show the call. */
  show() {
    $('call').hidden = false;
    this.#showTitle();
    $('chat-input').disabled = $('chat-send').disabled = !this.#room.permissions.chat;
    this.#endShortcuts = shortcuts({
      m: () => this.local.toggle('microphone'),
      v: () => this.local.toggle('camera'),
      s: () => this.local.toggleScreen(),
      c: () => this.#panel.toggle('chat'),
      p: () => this.#panel.toggle('people'),
      L: () => this.#room.leave(),
      '?': () => $('help').showModal(),
    });
    $('room-title').focus();
  }

  close() {
    this.#endShortcuts?.();
    this.#devices.removeEventListener('change', this.#onSpeaker);
    this.local.close();
    this.#connection.close();
    this.#moderation.close();
    this.#degraded.close();
    this.#comings.close();
    this.#panel.close();
    this.#sounds.clear();
    this.#tiles.close();
    for (const id of ['help', 'settings']) $(id).close();
    endAllNotices();
    $('call').hidden = true;
  }

  #listen(ended) {
    const on = (type, handle) => this.#room.addEventListener(type, ({ detail }) => handle(detail));
    on('connected', ({ rejoined }) => {
      this.#connection.signal = 'connected';
      endNotice('interrupted');
      if (rejoined) toast('You are back in the call.');
      this.#welcome();
    });
    on('reconnecting', () => {
      this.#connection.signal = 'reconnecting';
      notice('interrupted', 'warning', 'The connection to the server is interrupted. Sound and picture go on if they can; reconnecting…');
    });
    on('resumed', () => {
      this.#connection.signal = 'connected';
      endNotice('interrupted');
      this.#showTitle();
      this.#changed();
    });
    on('migrated', () => {
      this.#showTitle();
      this.#changed();
    });
    on('metadata-changed', () => this.#showTitle());
    const unreachable = new Set(); // told once for each: a server may ask again
    on('migration-failed', ({ url }) => {
      if (!unreachable.has(url)) toast('The server wants to hand this call over, and the other server cannot be reached.');
      unreachable.add(url);
    });
    on('disconnected', ended);
    on('media-state', ({ state }) => {
      this.#connection.media = state;
      if (state === 'disconnected' || state === 'failed') notice('media', 'warning', 'Sound and picture are interrupted; reconnecting…');
      if (state === 'connected') endNotice('media');
    });
    on('participant-joined', ({ participant }) => {
      this.#tiles.add(participant);
      // Not for each one of a new roster, as at the beginning or after an interruption.
      if (this.#room.state === 'connected') this.#comings.came(participant);
      this.#changed();
    });
    on('participant-left', ({ participant, reason }) => {
      this.#tiles.remove(participant);
      if (this.#room.state === 'connected') this.#comings.went(participant, reason);
      this.#changed();
    });
    on('track-subscribed', ({ participant, track, mediaStream }) => {
      if (track.kind === 'audio') this.#sounds.add(track, mediaStream);
      else if (track.source === 'screen') this.#tiles.showScreen(participant, track, mediaStream);
      else this.#tiles.showCamera(participant, track, mediaStream);
    });
    on('track-unsubscribed', ({ participant, track }) => {
      if (track.kind === 'audio') this.#sounds.remove(track);
      else if (track.source === 'screen') this.#tiles.hideScreen(track);
      else this.#tiles.hideCamera(participant);
    });
    for (const type of ['track-published', 'track-unpublished', 'muted', 'unmuted', 'presence-changed']) {
      on(type, ({ participant }) => {
        this.#tiles.refresh(participant);
        if (participant.isLocal) this.local.refresh();
        this.#changed();
      });
    }
    on('speakers', () => {
      for (const participant of [this.#room.me, ...this.#room.participants]) if (participant) this.#tiles.refresh(participant);
    });
    on('chat', (said) => this.#chat.add(said, this.#panel.page === 'chat'));
    on('notice', ({ code, level, message }) => {
      if (this.#room.state !== 'waiting' || !$('call').hidden) notice(code, level, message); // else the lobby shows it
    });
    on('waiting', () => {
      if (!$('call').hidden) notice('interrupted', 'warning', 'The connection was lost for long, so a moderator has to let you in again. Please wait.');
    });
    on('publish-failed', ({ publication }) => this.local.lost(publication));
    on('permissions-changed', ({ permissions }) => {
      $('chat-input').disabled = $('chat-send').disabled = !permissions.chat;
      this.#showOwn('camera');
      this.#showOwn('screen');
      this.local.refresh();
      this.#changed();
    });
    on('muted-by', ({ publication }) => this.#showOwn(publication.source));
    on('error', ({ error }) => toast(error.message));
  }

  /** A session began, the first or a new one: our own tile carries its id. */
  #welcome() {
    if (this.#me) this.#tiles.remove(this.#me);
    this.#me = this.#room.me;
    this.#tiles.add(this.#me);
    this.#showTitle();
    this.#showOwn('camera');
    this.local.refresh();
    this.#changed();
  }

  #showTitle() {
    const { name, metadata } = this.#room;
    $('room-title').textContent = metadata.title || name;
    $('room-title').title = metadata.title ? `Room: ${name}` : '';
    document.title = `${metadata.title || name} · AuraLink`;
  }

  #showOwn(source) {
    if (!this.#me) return;
    const own = this.#room.publications.find((publication) => publication.source === source);
    const on = own && !own.muted && own.track.readyState === 'live';
    if (source === 'camera') {
      if (on) this.#tiles.showCamera(this.#me, OWN_CAMERA, new MediaStream([own.track]));
      else this.#tiles.hideCamera(this.#me);
    } else if (source === 'screen') {
      if (on) this.#tiles.showScreen(this.#me, OWN_SCREEN, new MediaStream([own.track]));
      else this.#tiles.hideScreen(OWN_SCREEN);
    }
  }

  /** Names or switches changed. Many changes in one turn, as after a resume, are drawn once. */
  #changed() {
    if (this.#rosterDue) return;
    this.#rosterDue = true;
    queueMicrotask(() => {
      this.#rosterDue = false;
      showPeople(this.#room, (id) => {
        this.#panel.open('chat');
        this.#chat.writeTo(id);
      }, (participant) => this.#moderation.menu(participant));
      this.#chat.refreshRecipients();
    });
  }

  async #copyLink() {
    const link = new URL(location.pathname, location.href);
    link.searchParams.set('room', this.#room.name);
    try {
      await navigator.clipboard.writeText(link.href);
      toast('The link to this room is copied.');
    } catch {
      toast(`The link to this room: ${link.href}`);
    }
  }
}
