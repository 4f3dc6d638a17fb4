/** Camera, microphone and speaker of this machine: opening, closing, choosing, and saying what is wrong. */

import { memory } from './dom.js';

const KIND = { camera: 'video', microphone: 'audio' };

const CONSTRAINTS = {
  camera: { width: { ideal: 1280 }, height: { ideal: 720 }, frameRate: { ideal: 30 } },
  microphone: { echoCancellation: true, noiseSuppression: true, autoGainControl: true },
};

/** Events: `change` ({which}) when a track was opened, closed, or ended by itself; `list` when devices came or went. */
export class Devices extends EventTarget {
  /** @type {{camera: MediaStreamTrack | null, microphone: MediaStreamTrack | null}} */
  tracks = { camera: null, microphone: null };
  chosen = { camera: memory.get('camera'), microphone: memory.get('microphone'), speaker: memory.get('speaker') };

  constructor() {
    super();
    navigator.mediaDevices?.addEventListener?.('devicechange', () => this.dispatchEvent(new Event('list')));
  }

  /**
   * Open both, or as much as there is and is allowed.
   * @returns {Promise<string>} what is missing, in plain words; empty if nothing is
   */
  async openAll() {
    const wanted = ['camera', 'microphone'].filter((which) => !this.tracks[which]);
    try {
      // One question instead of two, where the browser asks for permission.
      await this.#open(wanted);
      return '';
    } catch {
      const problems = new Map();
      for (const which of wanted) {
        await this.#open([which]).catch((error) => problems.set(which, error));
      }
      // One sentence if both have the same trouble, as when the person said no.
      const [first, second] = problems.values();
      if (second?.name === first?.name && second) return explain('camera or microphone', first);
      return [...problems].map(([which, error]) => explain(which, error)).join(' ');
    }
  }

  /**
   * @param {'camera' | 'microphone'} which
   * @returns {Promise<MediaStreamTrack>}
   * @throws {Error} whose message is for the person
   */
  async open(which) {
    try {
      if (!this.tracks[which]) await this.#open([which]);
    } catch (error) {
      throw new Error(explain(which, error), { cause: error });
    }
    return this.tracks[which];
  }

  /** Let go of the device, so that its light goes off. */
  close(which) {
    const track = this.tracks[which];
    this.tracks[which] = null;
    if (!track) return;
    track.onended = null;
    track.stop();
    this.#changed(which);
  }

  /** Remember a choice, and open that device if one of its kind is open. */
  async choose(which, deviceId) {
    this.chosen[which] = deviceId;
    memory.set(which, deviceId);
    if (which === 'speaker') this.#changed('speaker');
    else if (this.tracks[which]) {
      const enabled = this.tracks[which].enabled;
      // Some phones cannot open a second camera while the first is in use.
      this.tracks[which].onended = null;
      this.tracks[which].stop();
      this.tracks[which] = null;
      const track = await this.open(which);
      track.enabled = enabled;
    }
  }

  /** @returns {Promise<Record<'camera' | 'microphone' | 'speaker', MediaDeviceInfo[]>>} */
  async list() {
    const all = (await navigator.mediaDevices?.enumerateDevices?.().catch(() => [])) ?? [];
    const of = (kind) => all.filter((device) => device.kind === kind && device.deviceId);
    return { camera: of('videoinput'), microphone: of('audioinput'), speaker: of('audiooutput') };
  }

  async #open(which) {
    if (!which.length) return;
    if (!navigator.mediaDevices?.getUserMedia) throw new DOMException('', 'InsecureContext');
    const constraints = {};
    for (const one of which) {
      const deviceId = this.chosen[one] ? { deviceId: { ideal: this.chosen[one] } } : {};
      constraints[KIND[one]] = { ...CONSTRAINTS[one], ...deviceId };
    }
    const stream = await navigator.mediaDevices.getUserMedia(constraints);
    for (const one of which) {
      const track = stream.getTracks().find(({ kind }) => kind === KIND[one]);
      this.tracks[one] = track;
      track.onended = () => {
        this.tracks[one] = null;
        this.#changed(one);
      };
      this.#changed(one);
    }
  }

  #changed(which) {
    this.dispatchEvent(new CustomEvent('change', { detail: { which } }));
  }
}

function explain(which, { name }) {
  switch (name) {
    case 'NotAllowedError':
    case 'SecurityError':
      return `This page may not use your ${which}. To allow it, click the icon beside the address and change the permission. You can also join without.`;
    case 'NotFoundError':
    case 'OverconstrainedError':
      return `No ${which} was found. Plug one in, or join without.`;
    case 'NotReadableError':
    case 'AbortError':
      return `Your ${which} does not start. Perhaps another program is using it.`;
    case 'InsecureContext':
      return 'Browsers give camera and microphone only to pages with a secure address (https). You can join to watch, listen and chat.';
    default:
      return `Your ${which} could not be opened (${name}).`;
  }
}

/** Measures how loud a microphone is. @returns {() => void} ends it */
export function listen(track, show) {
  const Context = globalThis.AudioContext;
  if (!Context || !track) {
    show(0);
    return () => {};
  }
  const context = new Context();
  const analyser = context.createAnalyser();
  analyser.fftSize = 512;
  context.createMediaStreamSource(new MediaStream([track])).connect(analyser);
  const samples = new Float32Array(analyser.fftSize);
  let level = 0;
  let frame = 0;
  const measure = () => {
    analyser.getFloatTimeDomainData(samples);
    const power = samples.reduce((sum, sample) => sum + sample * sample, 0) / samples.length;
    const loudness = Math.min(1, Math.max(0, (10 * Math.log10(power + 1e-9) + 55) / 45)); // -55 dBFS is silence
    level = Math.max(loudness, level * 0.9);
    show(level);
    frame = requestAnimationFrame(measure);
  };
  const wake = () => context.resume();
  document.addEventListener('pointerdown', wake, { once: true });
  measure();
  return () => {
    cancelAnimationFrame(frame);
    document.removeEventListener('pointerdown', wake);
    context.close();
    show(0);
  };
}
