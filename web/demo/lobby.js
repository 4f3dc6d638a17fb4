/** The lobby: who one is, where one goes, and how one looks and sounds before anybody else sees it. */

import { $, hue, initials, memory, setIcon } from './dom.js';
import { listen } from './devices.js';
import { endAllNotices, notice } from './notices.js';

const SWITCHES = { camera: 'lobby-camera', microphone: 'lobby-mic' };
const REFUSALS = {
  token_invalid: 'Your access token is not valid here. Ask for a new link, or paste another token.',
  token_expired: 'Your access token has expired. Ask for a new link, or paste another token.',
};
const ICONS = { camera: 'camera', microphone: 'mic' };

export class Lobby {
  #devices;
  #stopMeter = () => {};
  #wanted = { camera: true, microphone: true };
  #open = false;

  /**
   * @param {import('./devices.js').Devices} devices
   * @param {{name: string, room: string, fixed: boolean}} entry  `fixed`: a token names the room
   * @param {(entry: {name: string, room: string, token: string}) => void} onJoin
   */
  constructor(devices, { name, room, fixed }, onJoin) {
    this.#devices = devices;
    $('name').value = name || memory.get('name');
    $('room').value = room || suggestRoom();
    $('room').readOnly = fixed;
    $('join-form').onsubmit = (event) => {
      event.preventDefault();
      const { entry } = this;
      if (!entry.name || !entry.room) return;
      memory.set('name', entry.name);
      onJoin(entry);
    };
    $('name').oninput = () => this.#refresh();
    for (const which of Object.keys(SWITCHES)) $(SWITCHES[which]).onclick = () => this.#toggle(which);
    devices.addEventListener('change', () => this.#refresh());
    devices.addEventListener('list', () => fillSelects(devices));
    for (const which of ['camera', 'microphone', 'speaker']) {
      $(`${which}-select`).onchange = ({ target }) => devices.choose(which, target.value).catch((error) => this.problem(error.message));
    }
  }

  /** What the form says now. */
  get entry() {
    return { name: $('name').value.trim(), room: $('room').value.trim(), token: $('token').value.trim() };
  }

  async show() {
    this.#open = true;
    $('lobby').hidden = false;
    $('devices-home').append($('devices'));
    $('join').disabled = false;
    $('join').textContent = 'Join now';
    this.#refresh();
    if (!$('name').value) $('name').focus();
    await this.openDevices();
  }

  hide() {
    this.#open = false;
    $('lobby').hidden = true;
    endAllNotices($('lobby-notices'));
    $('preview').srcObject = null;
    this.#hear(null);
    $('settings-devices').append($('devices'));
    $('devices').open = true;
  }

  /** Open what the person wants to take along. */
  async openDevices() {
    const { camera, microphone } = this.#wanted;
    let problem = '';
    if (camera && microphone) problem = await this.#devices.openAll();
    else {
      for (const which of ['camera', 'microphone']) {
        if (this.#wanted[which]) await this.#devices.open(which).catch((error) => (problem = error.message));
      }
    }
    this.problem(problem);
    await fillSelects(this.#devices);
  }

  /** @param {string} message  of the devices; empty when all is well */
  problem(message) {
    $('device-problem').hidden = !message;
    $('device-problem').textContent = message;
  }

  /** The server said no. @param {Error & {code?: string}} error */
  refused(error) {
    endAllNotices($('lobby-notices'));
    $('join').disabled = false;
    $('join').textContent = 'Join now';
    $('join-problem').hidden = false;
    $('join-problem').textContent = REFUSALS[error.code] ?? error.message;
    if (error.code.startsWith('token_')) {
      $('token-field').hidden = false;
      $('token').required = true;
      $('token').focus();
    }
  }

  joining() {
    $('join-problem').hidden = true;
    $('join').disabled = true;
    $('join').textContent = 'Joining…';
  }

  /** A moderator has to let us in. */
  waiting() {
    if (!this.#open) this.show(); // from the page after a call
    endAllNotices($('lobby-notices'));
    $('join').disabled = true;
    $('join').textContent = 'Waiting to be let in…';
  }

  /** What who waits should know. @param {{code: string, level: string, message: string}} told */
  notice({ code, level, message }) {
    notice(code, level, message, $('lobby-notices'));
  }

  async #toggle(which) {
    if (this.#devices.tracks[which]) {
      this.#wanted[which] = false;
      this.#devices.close(which);
      return;
    }
    this.#wanted[which] = true;
    try {
      await this.#devices.open(which);
      this.problem('');
      await fillSelects(this.#devices);
    } catch (error) {
      this.problem(error.message);
    }
  }

  #refresh() {
    if (!this.#open) return;
    const { camera, microphone } = this.#devices.tracks;
    for (const [which, id] of Object.entries(SWITCHES)) {
      const on = Boolean(this.#devices.tracks[which]);
      $(id).setAttribute('aria-pressed', String(on));
      setIcon($(id), on ? ICONS[which] : `${ICONS[which]}-off`);
    }
    if ($('preview').srcObject?.getTracks()[0] !== camera) $('preview').srcObject = camera ? new MediaStream([camera]) : null;
    $('preview-empty').hidden = Boolean(camera);
    $('preview-avatar').textContent = initials($('name').value);
    $('preview-avatar').style.setProperty('--hue', hue($('name').value));
    if (this.#heard !== microphone) this.#hear(microphone);
  }

  #heard = null;

  /** @param {MediaStreamTrack | null} microphone  whose loudness is shown; null measures nothing */
  #hear(microphone) {
    this.#heard = microphone;
    this.#stopMeter();
    this.#stopMeter = listen(microphone, showLevel);
  }
}

function showLevel(level) {
  const meter = $('meter');
  meter.firstElementChild.style.setProperty('--level', level.toFixed(3));
  const now = String(Math.round(level * 10) * 10);
  if (meter.getAttribute('aria-valuenow') !== now) meter.setAttribute('aria-valuenow', now);
}

/** Fill the choices of devices, which have names only after the first permission. */
async function fillSelects(devices) {
  const lists = await devices.list();
  for (const [which, list] of Object.entries(lists)) {
    const select = $(`${which}-select`);
    const options = list.map((device, index) => new Option(device.label || `${which} ${index + 1}`, device.deviceId));
    if (!options.length) options.push(new Option('None found', ''));
    select.replaceChildren(...options);
    select.disabled = !list.length;
    const current = devices.tracks[which]?.getSettings?.().deviceId || devices.chosen[which];
    if (list.some(({ deviceId }) => deviceId === current)) select.value = current;
  }
  $('speaker-field').hidden = !('setSinkId' in HTMLMediaElement.prototype) || !lists.speaker.length;
}

const FIRST = ['quiet', 'amber', 'silver', 'early', 'gentle', 'bright', 'calm', 'misty'];
const SECOND = ['harbour', 'meadow', 'river', 'lantern', 'orchard', 'summit', 'island', 'aurora'];

function suggestRoom() {
  const pick = (words) => words[Math.floor(Math.random() * words.length)];
  return `${pick(FIRST)}-${pick(SECOND)}-${Math.floor(Math.random() * 900 + 100)}`;
}
