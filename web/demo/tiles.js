/** The stage: one tile for each person, and a large one for each shared screen. */

import { $, avatar, h, hue, icon } from './dom.js';
import { fit } from './layout.js';
import { whereabouts } from './presence.js';

export class Tiles {
  #people = new Map(); // participant → {element, video, shows, where, foot}
  #screens = new Map(); // track → element
  #observer = new ResizeObserver(() => this.#arrange());

  constructor() {
    this.#observer.observe($('tiles'));
  }

  add(participant) {
    if (this.#people.has(participant)) return;
    const name = h('span', { class: 'name' }, participant.isLocal ? `${participant.name} (you)` : participant.name);
    const foot = h('div', { class: 'tile-foot' }, name);
    const element = h('article', { class: participant.isLocal ? 'tile own' : 'tile', dataset: { participant: participant.id, identity: participant.identity } });
    element.style.setProperty('--hue', hue(participant.identity));
    const where = h('p', { class: 'where' });
    element.append(avatar(participant.name, participant.identity), where, foot);
    this.#people.set(participant, { element, foot, where, video: null, shows: false });
    if (participant.isLocal) $('tiles').prepend(element);
    else $('tiles').append(element);
    this.refresh(participant);
    this.#arrange();
  }

  remove(participant) {
    this.#people.get(participant)?.element.remove();
    this.#people.delete(participant);
    this.#arrange();
  }

  /** Bring marks and labels of a tile up to date. */
  refresh(participant) {
    const tile = this.#people.get(participant);
    if (!tile) return;
    const microphone = participant.trackFrom('microphone');
    const camera = participant.trackFrom('camera');
    const silent = !microphone || microphone.muted;
    const where = whereabouts(participant);
    tile.element.dataset.participant = participant.id;
    tile.element.classList.toggle('away', Boolean(where));
    tile.where.textContent = where;
    tile.foot.querySelector('svg')?.remove();
    if (silent && !where) tile.foot.prepend(icon('mic-off'));
    tile.element.classList.toggle('speaking', participant.speaking && !silent);
    tile.element.classList.toggle('has-video', Boolean(tile.video && tile.shows && camera && !camera.muted));
    tile.element.dataset.muted = String(silent);
    const state = where ? where.toLowerCase() : `microphone ${silent ? 'off' : 'on'}`;
    tile.element.setAttribute('aria-label', `${participant.name}${participant.isLocal ? ' (you)' : ''}, ${state}`);
  }

  /** Show a camera in its person's tile. */
  showCamera(participant, track, stream) {
    const tile = this.#people.get(participant);
    if (!tile) return;
    this.hideCamera(participant);
    tile.video = player(track, stream, () => {
      tile.shows = true;
      this.refresh(participant);
    });
    // A camera that looks away from the person must not be mirrored.
    const facing = stream.getVideoTracks()[0]?.getSettings?.().facingMode;
    tile.video.classList.toggle('mirror', participant.isLocal && facing !== 'environment');
    tile.element.prepend(tile.video);
  }

  hideCamera(participant) {
    const tile = this.#people.get(participant);
    if (!tile?.video) return;
    tile.video.srcObject = null;
    tile.video.remove();
    tile.video = null;
    tile.shows = false;
    this.refresh(participant);
  }

  showScreen(participant, track, stream) {
    this.hideScreen(track);
    const label = participant.isLocal ? 'You are sharing your screen' : `${participant.name} shares the screen`;
    const element = h('article', { class: 'tile screen', dataset: { screenOf: participant.id, identity: participant.identity }, 'aria-label': label });
    element.append(player(track, stream), h('div', { class: 'tile-foot' }, h('span', { class: 'name' }, label)));
    element.ondblclick = () => (document.fullscreenElement ? document.exitFullscreen() : element.requestFullscreen?.());
    this.#screens.set(track, element);
    $('screens').append(element);
    this.#arrange();
  }

  hideScreen(track) {
    const element = this.#screens.get(track);
    if (!element) return;
    element.querySelector('video').srcObject = null;
    element.remove();
    this.#screens.delete(track);
    this.#arrange();
  }

  close() {
    this.#observer.disconnect();
    this.#people.clear();
    this.#screens.clear();
    $('tiles').replaceChildren();
    $('screens').replaceChildren();
    $('screens').hidden = true;
    $('stage').classList.remove('sharing');
  }

  #arrange() {
    const sharing = this.#screens.size > 0;
    $('screens').hidden = !sharing;
    $('stage').classList.toggle('sharing', sharing);
    const area = $('tiles');
    if (sharing || !area.clientWidth) return;
    const { width, height } = fit(this.#people.size, area.clientWidth, area.clientHeight, parseFloat(getComputedStyle(area).columnGap) || 10);
    area.style.setProperty('--tile-w', `${width}px`);
    area.style.setProperty('--tile-h', `${height}px`);
  }
}

/** A video element without sound: sound has its own elements, so that a hidden picture is never a silent person. */
function player(track, stream, onFrame = () => {}) {
  const video = h('video', { autoplay: true, playsInline: true, muted: true, dataset: { track: track.id } });
  video.onresize = video.onloadeddata = onFrame;
  video.srcObject = stream;
  video.play().catch(() => {}); // muted video may always play; anything else is a change of mind
  return video;
}
