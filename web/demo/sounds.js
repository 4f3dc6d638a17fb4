/** The sound of others, by hidden audio elements; asks for a click where the browser demands one. */

import { $, h } from './dom.js';

export class Sounds {
  #elements = new Map();
  #speaker = '';

  constructor() {
    $('sound-on').onclick = () => this.#playAll();
  }

  add(track, mediaStream) {
    this.remove(track);
    const element = h('audio', { autoplay: true, dataset: { track: track.id } });
    element.srcObject = mediaStream;
    this.#elements.set(track, element);
    $('sounds').append(element);
    this.#direct(element);
    this.#play(element);
  }

  remove(track) {
    const element = this.#elements.get(track);
    if (!element) return;
    this.#elements.delete(track);
    element.srcObject = null;
    element.remove();
  }

  /** @param {string} deviceId  of a speaker; empty for the usual one */
  set speaker(deviceId) {
    this.#speaker = deviceId;
    for (const element of this.#elements.values()) this.#direct(element);
  }

  clear() {
    for (const element of this.#elements.values()) {
      element.srcObject = null;
      element.remove();
    }
    this.#elements.clear();
    $('sound-bar').hidden = true;
  }

  #direct(element) {
    element.setSinkId?.(this.#speaker).catch(() => {}); // a speaker that is gone: the usual one goes on
  }

  async #play(element) {
    try {
      await element.play();
    } catch (error) {
      if (error.name === 'NotAllowedError') $('sound-bar').hidden = false;
    }
  }

  #playAll() {
    $('sound-bar').hidden = true;
    for (const element of this.#elements.values()) this.#play(element);
  }
}
