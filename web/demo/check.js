/** “Check my connection” in the lobby: runs the pre-call test and shows what it finds, for eyes and for ears. */

import { checkConnection } from '../auralink.js';
import { $, h, icon } from './dom.js';

const ICONS = {
  good: ['check', 'Good'],
  warning: ['warning', 'Attention'],
  bad: ['close', 'Problem'],
  skipped: ['minus', 'Not tested'],
  waiting: ['pulse', 'Being tested'],
};

export class ConnectionCheck {
  #devices;
  #getToken;
  #running = null;

  /**
   * @param {import('./devices.js').Devices} devices
   * @param {() => Promise<string>} getToken  the token that one would join with
   */
  constructor(devices, getToken) {
    this.#devices = devices;
    this.#getToken = getToken;
    $('check-open').onclick = () => {
      $('check').showModal();
      this.#run();
    };
    $('check-again').onclick = () => this.#run();
    $('check').onclose = () => this.#stop();
  }

  async #run() {
    this.#stop();
    const running = (this.#running = new AbortController());
    const { camera, microphone } = this.#devices.tracks;
    this.#say('checking', microphone ? 'Checking… Say a few words, so that we can hear you.' : 'Checking…');
    $('check-again').disabled = true;
    $('check-steps').replaceChildren();
    const onStep = (step) => this.#show(step);
    try {
      const { result, text } = await checkConnection({ getToken: this.#getToken, camera, microphone, onStep, signal: running.signal });
      this.#say(result, text);
    } catch (error) {
      if (running.signal.aborted) return;
      this.#say('bad', error.message);
    }
    $('check-again').disabled = false;
  }

  #stop() {
    this.#running?.abort();
    this.#running = null;
  }

  #show(step) {
    const old = [...$('check-steps').children].find(({ dataset }) => dataset.step === step.name);
    if (old) old.replaceWith(row(step));
    else $('check-steps').append(row(step));
  }

  #say(result, text) {
    $('check-summary').dataset.result = result;
    $('check-summary').replaceChildren(icon(ICONS[result]?.[0] ?? 'pulse'), h('span', {}, text));
  }
}

function row({ name, title, result, text, hint, duration }) {
  const [symbol, word] = ICONS[result];
  const took = result === 'skipped' || result === 'waiting' ? null : h('span', { class: 'took' }, duration < 0.1 ? '< 0.1 s' : `${duration.toFixed(1)} s`);
  const advice = hint && result !== 'good' ? h('p', { class: 'hint' }, hint) : null;
  const words = h('div', {}, h('p', { class: 'what' }, h('strong', {}, title), took), h('p', {}, text || '…'), advice);
  return h('li', { dataset: { step: name, result } }, icon(symbol, word), words);
}
