/** What the numbers of a pre-call test mean, in words for a person who wants to know whether the call will work. */

import { quality } from './stats.js';

/**
 * @typedef {'good' | 'warning' | 'bad' | 'skipped'} Result
 * @typedef {{result: Result, text: string, hint: string}} Verdict  `hint` says what to do, and is empty if nothing
 */

const verdict = (result, text, hint = '') => ({ result, text, hint });
const ms = (seconds) => `${Math.round(seconds * 1000)} ms`;
const percent = (share) => `${(share * 100).toFixed(share < 0.1 ? 1 : 0)} %`;

// ------------------------------------------------------------------------------------------------- the connection

/**
 * @param {{http: boolean, open: boolean, error: {code: string, message: string, retryAfter?: number} | null}} facts  `error`: the server
 *   answered and said no, or there is no token to ask it with
 * @returns {Verdict}
 */
export function judgeServer({ http, open, error }) {
  if (open) return verdict('good', 'The server answers.');
  if (error?.code.startsWith('token_')) return verdict('bad', error.message, 'Without a valid token you cannot join, and no more can be tested.');
  if (error && error.code !== 'unreachable') return verdict('bad', error.message, error.retryAfter ? 'Try again in a moment.' : '');
  if (http) {
    const hint = 'A proxy, a virus scanner or a company network may hold it back. Try another network.';
    return verdict('bad', 'The server answers, but a lasting connection (WebSocket) does not open.', hint);
  }
  return verdict('bad', 'The server cannot be reached.', 'Are you online? Is the address right?');
}

/**
 * @param {number[]} pings  seconds each; those without an answer are left out
 * @param {number} lost     how many those were
 * @returns {Verdict & {median: number | null, jitter: number | null}}  in seconds
 */
export function judgePings(pings, lost) {
  const sorted = [...pings].sort((a, b) => a - b);
  if (!sorted.length) return { ...verdict('bad', 'The server stopped answering.', 'Try another network.'), median: null, jitter: null };
  const middle = sorted.length >> 1;
  const median = sorted.length % 2 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
  const steps = pings.slice(1).map((ping, index) => Math.abs(ping - pings[index]));
  const jitter = steps.length ? steps.reduce((sum, step) => sum + step, 0) / steps.length : 0;
  const measured = `${ms(median)} there and back, varying by ${ms(jitter)}.`;
  return { ...ofPings(median, jitter, lost, measured), median, jitter };
}

function ofPings(median, jitter, lost, measured) {
  if (lost) return verdict('warning', `${lost} of our questions got no answer in time.`, 'Come closer to the wireless router, or use a cable.');
  if (median > 0.4) return verdict('warning', `The way to the server is long: ${measured}`, 'You will notice a delay when people talk.');
  if (jitter > 0.1) return verdict('warning', `The way to the server is unsteady: ${measured}`, 'Come closer to the wireless router, or use a cable.');
  return verdict('good', measured);
}

/**
 * @typedef {{offered: boolean, reached: boolean, connected: boolean, to: string, error: {code: string, message: string} | null}} Way
 *   `reached`: ICE found a way; `connected`: the encrypted connection stands; `to`: the address tried, empty if unknown
 *
 * @param {'udp' | 'tcp' | 'relay'} name
 * @param {Way} way
 * @returns {Verdict}
 */
export function judgeWay(name, { offered, reached, connected, to, error }) {
  if (!offered) return verdict('skipped', name === 'relay' ? 'No relay is offered just now.' : 'Not offered by this server.');
  if (connected) return verdict('good', 'Sound and picture get through.');
  if (error) return verdict('bad', error.message, 'Try again in a moment.');
  if (reached) return verdict('bad', 'The server is reached, but no encrypted connection comes about.', 'Something on the way holds large packets back. A VPN may be the cause.');
  const hint = {
    udp: `A firewall may block it${to ? ` (UDP to ${to})` : ''}. Try another network, such as a phone's hotspot, or ask whoever runs yours.`,
    tcp: 'A firewall may block it. Try another network.',
    relay: 'The relay does not answer, or a firewall blocks it, too.',
  }[name];
  return verdict('bad', 'Sound and picture cannot get through.', hint);
}

/**
 * @param {{rtt: number | null, loss: number | null}} measured  on the media path: seconds, and 0 to 1
 * @returns {Verdict}
 */
export function judgeQuality({ rtt, loss }) {
  const known = [rtt !== null && `${ms(rtt)} there and back`, loss !== null && (loss ? `${percent(loss)} lost on the way` : 'nothing lost')].filter(Boolean);
  const numbers = known.join(', ');
  switch (quality({ rtt, loss })) {
    case 'good':
      return verdict('good', `Good: ${numbers}.`);
    case 'fair':
      return verdict('warning', `Fair: ${numbers}.`, 'Pictures may be less sharp. Come closer to the wireless router, or use a cable.');
    case 'poor':
      return verdict('warning', `Weak: ${numbers}.`, 'Sound and picture will suffer. Use a cable, or another network; switching the camera off helps, too.');
    default:
      return verdict('skipped', 'It could not be measured.');
  }
}

// ---------------------------------------------------------------------------------------------------- the devices

/**
 * @typedef {{on: boolean, looks: number, width: number, height: number, brightness: number, changes: number}} Pictures
 *   `looks`: how often there was a picture to look at; `brightness`: of the brightest, 0 to 1; `changes`: how many looks differed from the one before
 *
 * @param {Pictures} pictures
 * @returns {Verdict}
 */
export function judgeCamera({ on, looks, width, height, brightness, changes }) {
  if (!on) return verdict('skipped', 'Your camera is off.');
  if (!looks) return verdict('bad', 'Your camera gives no pictures.', 'Is another program using it? Unplug it and plug it in again, or choose another one.');
  if (brightness < 0.03) return verdict('warning', 'Your picture is black.', 'Is the lens covered?');
  if (!changes) return verdict('warning', 'Your picture stands still.', 'Switch the camera off and on again.');
  return verdict('good', `We can see you, ${width} × ${height}.`);
}

/**
 * @typedef {{on: boolean, muted: boolean, measured: boolean, peak: number, loudness: number, clipped: number}} Sound
 *   `muted`: the browser says that the source gives nothing; `peak`: 0 to 1; `loudness`: of the loudest moment, in dB
 *   below full scale; `clipped`: share of the loud moments that were cut off
 *
 * @param {Sound} sound
 * @returns {Verdict}
 */
export function judgeMicrophone({ on, muted, measured, peak, loudness, clipped }) {
  if (!on) return verdict('skipped', 'Your microphone is off.');
  if (muted || (measured && peak < 0.0005)) return verdict('bad', 'Your microphone is silent.', 'Is it muted at the computer or on the headset?');
  if (!measured) return verdict('skipped', 'Your microphone could not be measured.');
  if (clipped > 0.3) return verdict('warning', 'Your microphone is too loud and crackles.', 'Move away from it, or turn its level down.');
  if (loudness < -50) return verdict('warning', 'We heard nobody speak.', 'Say a few words and check again.');
  return verdict('good', 'We can hear you.');
}

// ------------------------------------------------------------------------------------------------------- together

/**
 * The whole test in a sentence or two.
 * @param {Record<string, Verdict>} steps  by name: server, pings, udp, tcp, relay, quality, camera, microphone
 * @returns {{result: Result, text: string}}
 */
export function judgeAll(steps) {
  const { server, udp, tcp, relay, pings, quality: media } = steps;
  if (server.result === 'bad') return { result: 'bad', text: joined(server) };
  const ways = [udp, tcp, relay];
  if (!ways.some(({ result }) => result === 'good')) {
    const cause = ways.find(({ result }) => result === 'bad');
    return { result: 'bad', text: `Sound and picture cannot get through. ${cause?.hint ?? ''}`.trim() };
  }
  const trouble = [
    udp.result === 'bad' && 'Sound and picture have to take a detour, as UDP is blocked here.',
    media.result === 'warning' && `Your connection is not at its best. ${media.hint}`,
    pings.result === 'warning' && media.result !== 'warning' && joined(pings),
  ].filter(Boolean);
  const devices = ofDevices(steps.camera, steps.microphone, { isConnectionFine: !trouble.length });
  const result = devices.result === 'good' && trouble.length ? 'warning' : devices.result;
  return { result, text: [devices.text, ...trouble].join(' ') };
}

function ofDevices(camera, microphone, { isConnectionFine }) {
  const [seen, heard] = [camera.result === 'good', microphone.result === 'good'];
  if (seen && heard) return { result: 'good', text: isConnectionFine ? 'All is well: we can see you and hear you.' : 'We can see you and hear you.' };
  if (camera.result === 'skipped' && microphone.result === 'skipped') {
    return { result: 'good', text: `${isConnectionFine ? 'Your connection is fine. ' : ''}${camera.text} ${microphone.text}` };
  }
  const result = [camera, microphone].some(({ result }) => result === 'bad') ? 'bad' : 'warning';
  if (seen || heard) {
    const other = seen ? microphone : camera;
    const text = `We can ${seen ? 'see' : 'hear'} you, but ${lowered(joined(other))}`;
    return { result: other.result === 'skipped' ? 'good' : result, text };
  }
  return { result, text: `${joined(camera)} ${joined(microphone)}` };
}

const joined = ({ text, hint }) => (hint ? `${text} ${hint}` : text);
const lowered = (text) => text[0].toLowerCase() + text.slice(1);
