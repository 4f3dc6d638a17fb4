/** What the page shows of moderation: tools and who waits for moderators, plain notices for everybody else. */

import { $, h } from './dom.js';
import { endNotice, notice, toast } from './notices.js';

const KNOCK = 'waiting';
const SOURCES = { microphone: 'microphone', camera: 'camera', screen: 'shared screen', screen_audio: 'shared sound' };

export class ModerationTools {
  #room;
  #bar = h('div', { class: 'moderation', hidden: true });
  #lock = h('button', { type: 'button', id: 'lock', class: 'secondary compact', onclick: () => this.#do(this.#toggleLock()) });
  #waitingRoom = h('button', { type: 'button', id: 'waiting-room', class: 'secondary compact', onclick: () => this.#do(this.#toggleWaitingRoom()) });
  #title = h('input', { id: 'title', maxLength: 80, placeholder: 'Title of the call', 'aria-label': 'Title of the call' });
  #titleForm = h('form', { class: 'title-form', autocomplete: 'off', onsubmit: (event) => this.#setTitle(event) }, this.#title, h('button', { class: 'secondary compact' }, 'Save'));
  #waiters = h('ul', { id: 'waiting-list', class: 'people-list', 'aria-label': 'People who wait to be let in' });
  #open = null; // the participant whose menu is open

  /** @param {import('../auralink.js').Room} room */
  constructor(room) {
    this.#room = room;
    this.#bar.append(h('div', { class: 'moderation-switches' }, this.#lock, this.#waitingRoom), this.#titleForm, this.#waiters);
    $('people-page').prepend(this.#bar);
    const on = (type, handle) => room.addEventListener(type, ({ detail }) => handle(detail));
    for (const type of ['connected', 'resumed', 'waiting-ended', 'permissions-changed']) on(type, () => this.refresh());
    on('participant-waiting', () => this.refresh());
    on('metadata-changed', ({ metadata }) => {
      toast(metadata.title ? `This call is called “${metadata.title}” now.` : 'This call has no title any more.');
      this.refresh();
    });
    on('room-updated', ({ locked, waitingRoom }) => {
      const words = [locked ? 'The room is locked.' : 'The room is open.', waitingRoom ? 'Whoever is new waits to be let in.' : ''];
      toast(words.filter(Boolean).join(' '));
      this.refresh();
    });
    on('muted-by', ({ publication, by }) => {
      notice(`muted-${publication.source}`, 'warning', `Your ${SOURCES[publication.source]} was muted by ${by?.name ?? 'a moderator'}. You can switch it on again.`);
    });
    on('permissions-changed', ({ permissions, by }) => {
      const role = permissions.admin ? ' You are a moderator now.' : '';
      notice('permissions', 'info', `${by?.name ?? 'A moderator'} changed what you may do here.${role}`);
    });
    this.refresh();
  }

  close() {
    this.#bar.remove();
  }

  /** Bring switches and the list of those who wait up to date. */
  refresh() {
    const { permissions, locked, waitingRoom, waiting, metadata } = this.#room;
    if (document.activeElement !== this.#title) this.#title.value = metadata.title ?? '';
    this.#bar.hidden = !permissions?.admin;
    toggle(this.#lock, locked, 'Unlock the room', 'Lock the room');
    toggle(this.#waitingRoom, waitingRoom, 'Waiting room is on', 'Waiting room is off');
    this.#waiters.replaceChildren(...waiting.map((waiter) => this.#row(waiter)));
    if (!permissions?.admin || waiting.length === 0) endNotice(KNOCK);
    else notice(KNOCK, 'info', `${waiting.map(({ name }) => name).join(', ')} ${waiting.length > 1 ? 'wait' : 'waits'} to be let in. See “People”.`);
  }

  /** A menu for somebody's row in the list of people; null where there is nothing to do. */
  menu(participant) {
    if (!this.#room.permissions?.admin || participant.isLocal) return null;
    const { id, name } = participant;
    const audible = [...participant.tracks.values()].filter(({ muted }) => !muted);
    const menu = h(
      'details',
      { class: 'menu', open: this.#open === id, ontoggle: () => (this.#open = menu.open ? id : this.#open === id ? null : this.#open) },
      h('summary', { class: 'plain', 'aria-label': `Moderate ${name}`, title: `Moderate ${name}` }, '⋯'),
      h(
        'div',
        { class: 'menu-items' },
        this.#item('Mute', () => Promise.all(audible.map((track) => this.#room.muteTrack(track.id))), audible.length === 0),
        this.#item('Make moderator', () => this.#room.setPermissions(id, { admin: true })),
        this.#item('Remove', () => this.#room.remove(id)),
        this.#item('Ban', () => this.#room.ban({ participant: id })),
      ),
    );
    return menu;
  }

  #item(label, act, disabled = false) {
    const onclick = () => {
      this.#open = null;
      this.#do(act());
    };
    return h('button', { type: 'button', class: 'secondary compact', disabled, onclick }, label);
  }

  #row({ id, name }) {
    const admit = h('button', { type: 'button', class: 'primary compact', onclick: () => this.#do(this.#room.admit(id)) }, 'Admit');
    const deny = h('button', { type: 'button', class: 'secondary compact', onclick: () => this.#do(this.#room.deny(id)) }, 'Deny');
    admit.setAttribute('aria-label', `Admit ${name}`);
    deny.setAttribute('aria-label', `Deny ${name}`);
    return h('li', {}, h('span', { class: 'name' }, name), admit, deny);
  }

  #setTitle(event) {
    event.preventDefault();
    this.#title.blur();
    this.#do(this.#room.setMetadata({ title: this.#title.value.trim() || null }));
  }

  #toggleLock() {
    return this.#room.locked ? this.#room.unlock() : this.#room.lock();
  }

  #toggleWaitingRoom() {
    return this.#room.setWaitingRoom(!this.#room.waitingRoom);
  }

  #do(asked) {
    asked.catch((error) => toast(error.message));
  }
}

function toggle(button, on, words, otherwise) {
  button.setAttribute('aria-pressed', String(on));
  button.textContent = on ? words : otherwise;
}
