/** What we send: microphone, camera and screen, switched on and off without the call noticing more than it must. */

import { $, setIcon } from './dom.js';
import { toast } from './notices.js';

const BUTTONS = { microphone: 'mic', camera: 'camera' };

export class LocalMedia {
  #room;
  #devices;
  #published = { microphone: null, camera: null, screen: null, screen_audio: null };
  #busy = new Set();
  #changed;
  #onDevice = ({ detail }) => this.#deviceChanged(detail.which);

  /**
   * @param {import('../auralink.js').Room} room
   * @param {import('./devices.js').Devices} devices
   * @param {(source: string) => void} changed  called when what we show of ourselves changed
   */
  constructor(room, devices, changed) {
    this.#room = room;
    this.#devices = devices;
    this.#changed = changed;
    devices.addEventListener('change', this.#onDevice);
    for (const source of Object.keys(BUTTONS)) $(BUTTONS[source]).onclick = () => this.toggle(source);
    $('screen').onclick = () => this.toggleScreen();
    $('screen').hidden = !navigator.mediaDevices?.getDisplayMedia;
    this.refresh();
  }

  /** Publish what the lobby opened; meant to be called before connecting, so that it is in the first offer. */
  publishOpened() {
    for (const source of Object.keys(BUTTONS)) {
      const track = this.#devices.tracks[source];
      if (track) this.#publish(source, track).catch((error) => this.#complain(error));
    }
  }

  isOn(source) {
    const publication = this.#published[source];
    return Boolean(publication && !publication.muted);
  }

  /** @param {'microphone' | 'camera'} source */
  async toggle(source) {
    if (this.#busy.has(source) || $(BUTTONS[source]).disabled) return;
    this.#busy.add(source);
    try {
      if (this.isOn(source)) await this.#switchOff(source);
      else await this.#switchOn(source);
    } catch (error) {
      toast(error.message);
    } finally {
      this.#busy.delete(source);
      this.refresh();
    }
  }

  async toggleScreen() {
    if (this.#busy.has('screen') || $('screen').disabled || $('screen').hidden) return;
    this.#busy.add('screen');
    try {
      if (this.#published.screen) await this.#stopScreen();
      else await this.#startScreen();
    } catch (error) {
      // Closing the browser's own dialog is a decision, not an error.
      if (error.name !== 'NotAllowedError') toast(`The screen could not be shared: ${error.message}`);
    } finally {
      this.#busy.delete('screen');
      this.refresh();
    }
  }

  /** The server took a publication away. */
  lost(publication) {
    for (const [source, own] of Object.entries(this.#published)) if (own === publication) this.#published[source] = null;
    this.refresh();
  }

  /** Bring the buttons up to date. */
  refresh() {
    const allowed = this.#room.permissions?.publish;
    for (const [source, id] of Object.entries(BUTTONS)) {
      const on = this.isOn(source);
      $(id).setAttribute('aria-pressed', String(on));
      setIcon($(id), on ? id : `${id}-off`);
      $(id).disabled = Boolean(allowed && !allowed.includes(source));
    }
    $('screen').setAttribute('aria-pressed', String(Boolean(this.#published.screen)));
    $('screen').disabled = Boolean(allowed && !allowed.includes('screen'));
  }

  close() {
    this.#devices.removeEventListener('change', this.#onDevice);
    for (const source of ['screen', 'screen_audio']) this.#published[source]?.track.stop();
  }

  /** When the room has ended, the page that follows says why, and once is enough. */
  #complain(error) {
    if (this.#room.state !== 'disconnected') toast(error.message);
  }

  async #publish(source, track) {
    // The button answers at once; the server's word may take it back.
    const wish = { muted: false, track };
    this.#published[source] = wish;
    this.refresh();
    try {
      const publication = await this.#room.publish(track, { source });
      this.#published[source] = publication;
      // Switched off, or to another device, while the server had not answered yet.
      const replaced = wish.track !== track && this.#room.replaceTrack(publication, wish.track);
      await Promise.all([replaced, wish.muted && this.#room.mute(publication)]);
    } catch (error) {
      this.#published[source] = null;
      throw error;
    } finally {
      this.refresh();
      this.#changed(source);
    }
  }

  async #switchOff(source) {
    const publication = this.#published[source];
    const told = this.#room.mute(publication);
    // The microphone stays open, to be back at once; a camera that is off must not keep its light on.
    if (source === 'camera') this.#devices.close('camera');
    this.refresh();
    this.#changed(source);
    await told;
  }

  async #switchOn(source) {
    const track = await this.#devices.open(source);
    const publication = this.#published[source];
    if (!publication) return this.#publish(source, track);
    if (publication.track !== track) await this.#room.replaceTrack(publication, track);
    const told = this.#room.unmute(publication);
    this.refresh();
    this.#changed(source);
    await told;
  }

  async #startScreen() {
    const stream = await navigator.mediaDevices.getDisplayMedia({ video: { frameRate: { ideal: 30 } }, audio: true });
    const [video] = stream.getVideoTracks();
    const [audio] = stream.getAudioTracks();
    video.onended = () => this.#published.screen && this.toggleScreen();
    try {
      await Promise.all([this.#publish('screen', video), audio && this.#publish('screen_audio', audio)]);
    } catch (error) {
      for (const track of stream.getTracks()) track.stop();
      throw error;
    }
  }

  async #stopScreen() {
    const publications = ['screen', 'screen_audio'].map((source) => this.#published[source]).filter(Boolean);
    this.#published.screen = this.#published.screen_audio = null;
    for (const { track } of publications) track.stop();
    this.refresh();
    this.#changed('screen');
    await Promise.all(publications.map((publication) => this.#room.unpublish(publication)));
  }

  /** Another device was chosen, or one was unplugged. */
  async #deviceChanged(which) {
    const publication = this.#published[which];
    if (!(which in BUTTONS) || this.#busy.has(which) || publication?.muted) return;
    const track = this.#devices.tracks[which];
    if (!publication) {
      // The lobby asked for it, and the browser (or the person it asked) answered only now.
      if (track && !$(BUTTONS[which]).disabled) await this.#publish(which, track).catch((error) => this.#complain(error));
    } else if (track && track !== publication.track) {
      await this.#room.replaceTrack(publication, track);
      this.#changed(which);
    } else if (!track && publication.track.readyState === 'ended') {
      toast(`Your ${which} stopped working, so it is off now.`);
      await this.#room.mute(publication).catch(() => {});
      this.refresh();
      this.#changed(which);
    }
  }
}
