/** The list of who is here, with what they have switched on. */

import { $, avatar, h, icon } from './dom.js';
import { whereabouts } from './presence.js';

/**
 * @param {import('../auralink.js').Room} room
 * @param {(id: string) => void} writeTo  starts a private message
 * @param {(participant: import('../auralink.js').Participant) => Node | null} menu  what else may be done
 */
export function showPeople(room, writeTo, menu) {
  const everybody = [room.me, ...room.participants.sort((a, b) => a.name.localeCompare(b.name))].filter(Boolean);
  $('people-list').replaceChildren(...everybody.map((participant) => row(participant, writeTo, menu(participant))));
  $('people-count').textContent = $('people-count-tab').textContent = String(everybody.length);
  $('people').setAttribute('aria-label', `People, ${everybody.length} here`);
}

function row(participant, writeTo, menu) {
  const { name, identity, isLocal } = participant;
  const marks = h('span', { class: 'marks' }, mark(participant, 'microphone', 'mic'), mark(participant, 'camera', 'camera'));
  if (participant.trackFrom('screen')) marks.prepend(icon('screen', 'shares the screen'));
  const where = whereabouts(participant);
  const who = h('span', { class: 'who' }, h('span', { class: 'name' }, isLocal ? `${name} (you)` : name), where ? h('span', { class: 'where' }, where) : null);
  const item = h('li', { class: where ? 'away' : '' }, avatar(name, identity), who, where ? null : marks);
  if (!isLocal) {
    const label = `Write to ${name} privately`;
    item.append(h('button', { type: 'button', class: 'plain', 'aria-label': label, title: label, onclick: () => writeTo(participant.id) }, icon('chat')));
  }
  if (menu) item.append(menu);
  return item;
}

function mark(participant, source, name) {
  const track = participant.trackFrom(source);
  const on = track && !track.muted;
  const shape = icon(on ? name : `${name}-off`, `${source} ${on ? 'on' : 'off'}`);
  shape.classList.add(on ? 'on' : 'off');
  return shape;
}
