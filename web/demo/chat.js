/** The chat: what was said to everybody or to one, and how much of it nobody has read yet. */

import { $, h } from './dom.js';
import { toast } from './notices.js';

const MOST_SHOWN = 500;
const LINK = /(https?:\/\/[^\s<>"]+[^\s<>".,;:!?)])/g;

export class Chat {
  #room;
  #last = null;
  #unread = 0;

  /** @param {import('../auralink.js').Room} room */
  constructor(room) {
    this.#room = room;
    $('chat-log').replaceChildren();
    $('chat-form').onsubmit = (event) => {
      event.preventDefault();
      this.#send();
    };
    this.#count(0);
    this.refreshRecipients();
  }

  /** Somebody said something. @param {boolean} visible whether the chat is open */
  add(said, visible) {
    const to = said.to && this.#room.participant(said.to)?.name;
    const who = said.own ? 'You' : said.name;
    const how = said.to ? (said.own ? ` to ${to ?? 'someone'}, privately` : ', privately to you') : '';
    const time = said.at.toLocaleTimeString([], { hour: '2-digit', minute: '2-digit' });
    const key = `${said.sender}/${said.to}`;
    const follows = this.#last?.key === key && said.at - this.#last.at < 120_000;
    this.#last = { key, at: said.at };
    const classes = ['said', said.own && 'own', said.to && 'private', follows && 'follows'].filter(Boolean).join(' ');
    const item = h('li', { class: classes }, h('p', { class: 'by' }, `${who}${how} · ${time}`), h('p', { class: 'text' }, ...withLinks(said.text)));
    const log = $('chat-log');
    const atEnd = log.scrollHeight - log.scrollTop - log.clientHeight < 80;
    log.append(item);
    while (log.children.length > MOST_SHOWN) log.firstChild.remove();
    if (atEnd || said.own) log.scrollTop = log.scrollHeight;
    if (!visible && !said.own) {
      this.#count(this.#unread + 1);
      toast(`${said.name}: ${said.text.length > 80 ? `${said.text.slice(0, 80)}…` : said.text}`);
    }
  }

  read() {
    this.#count(0);
    $('chat-log').scrollTop = $('chat-log').scrollHeight;
  }

  /** Offer everybody who is here as the one to write to. */
  refreshRecipients() {
    const select = $('chat-to');
    const chosen = select.value;
    const people = this.#room.participants;
    select.replaceChildren(new Option('Everyone', ''), ...people.map(({ id, name }) => new Option(`${name}, privately`, id)));
    // Whoever it was is gone: back to everyone would be an indiscretion if a message is half written.
    const present = chosen === '' || people.some(({ id }) => id === chosen);
    select.value = present ? chosen : '';
    if (!present && $('chat-input').value) {
      $('chat-input').value = '';
      toast('The person you were writing to has left.');
    }
  }

  writeTo(id) {
    $('chat-to').value = id;
  }

  async #send() {
    const input = $('chat-input');
    const text = input.value.trim();
    if (!text) return;
    input.value = '';
    try {
      await this.#room.chat(text, { to: $('chat-to').value || undefined });
    } catch (error) {
      input.value ||= text;
      toast(error.code === 'connection_lost' ? 'Not sent: the connection is interrupted. Try again in a moment.' : error.message);
    }
  }

  #count(unread) {
    this.#unread = unread;
    $('unread').hidden = unread === 0;
    $('unread').textContent = unread > 99 ? '99+' : String(unread);
    $('chat').setAttribute('aria-label', unread ? `Chat, ${unread} unread` : 'Chat');
  }
}

/** Text with its web addresses as links. @param {string} text @returns {(string | Node)[]} */
function withLinks(text) {
  return text.split(LINK).map((part) => (/^https?:\/\//.test(part) ? h('a', { href: part, target: '_blank', rel: 'noopener noreferrer' }, part) : part));
}
