/** What the page tells a person: notices that stay until they are over, and toasts that pass. */

import { $, h, icon } from './dom.js';

const TOAST_SECONDS = 6;
const MOST_TOASTS = 3;

/** Show a notice, or change the words of the one with the same code. `place` is where: in the call, or for who is not in it yet. */
export function notice(code, level, message, place = $('notices')) {
  const text = h('p', {}, message);
  const close = h('button', { type: 'button', class: 'plain', 'aria-label': 'Dismiss this notice', onclick: () => item.remove() }, icon('close'));
  const item = h('div', { class: `notice ${level}`, dataset: { code } }, icon(level === 'warning' ? 'warning' : 'info'), text, close);
  const old = find(code, place);
  if (old) old.replaceWith(item);
  else place.append(item);
}

/** @param {string} code */
export function endNotice(code) {
  find(code, $('notices'))?.remove();
}

export function endAllNotices(place = $('notices')) {
  place.replaceChildren();
}

const find = (code, place) => [...place.children].find((item) => item.dataset.code === code);

/** @param {string} message */
export function toast(message) {
  const shown = h('p', { class: 'toast' }, message);
  $('toasts').append(shown);
  while ($('toasts').children.length > MOST_TOASTS) $('toasts').firstChild.remove();
  setTimeout(() => shown.remove(), TOAST_SECONDS * 1000);
}
