/** Looks at a camera and listens to a microphone for a while, and says in numbers what came. */

const LOOK = 0.15; // seconds between two looks at a camera
const LISTEN = 0.03; // seconds between two moments of a microphone; a moment is longer than that
const SIZE = { width: 32, height: 18 }; // enough to tell black from a picture, and one picture from another

const pause = (seconds) => new Promise((resolve) => setTimeout(resolve, seconds * 1000));

/**
 * @param {MediaStreamTrack | null | undefined} track
 * @param {number} seconds
 * @returns {Promise<import('./verdicts.js').Pictures>}
 */
export async function watch(track, seconds) {
  const seen = { on: track?.readyState === 'live' && track.enabled, looks: 0, width: 0, height: 0, brightness: 0, changes: 0 };
  if (!seen.on) return seen;
  const video = document.createElement('video');
  Object.assign(video, { muted: true, playsInline: true, srcObject: new MediaStream([track]) });
  const canvas = Object.assign(document.createElement('canvas'), SIZE).getContext('2d', { willReadFrequently: true });
  video.play().catch(() => {});
  const end = performance.now() + seconds * 1000;
  let before = null;
  while (performance.now() < end) {
    await pause(LOOK);
    if (!video.videoWidth) continue;
    canvas.drawImage(video, 0, 0, SIZE.width, SIZE.height);
    const { data } = canvas.getImageData(0, 0, SIZE.width, SIZE.height);
    const { brightness, differs } = compare(data, before);
    seen.brightness = Math.max(seen.brightness, brightness);
    seen.changes += differs;
    seen.looks += 1; // the browser's own count of frames stays at zero in Firefox, for a video that nobody sees
    before = data;
  }
  [seen.width, seen.height] = [video.videoWidth, video.videoHeight];
  video.srcObject = null;
  return seen;
}

/**
 * @param {Uint8ClampedArray} data  RGBA
 * @param {Uint8ClampedArray | null} before  the look before
 * @returns {{brightness: number, differs: number}} mean from 0 to 1; 1 if the pictures differ anywhere, else 0
 */
export function compare(data, before) {
  let sum = 0;
  let differs = 0;
  for (let at = 0; at < data.length; at += 4) {
    sum += 0.2126 * data[at] + 0.7152 * data[at + 1] + 0.0722 * data[at + 2];
    if (before && (data[at] !== before[at] || data[at + 1] !== before[at + 1])) differs = 1;
  }
  return { brightness: sum / (data.length / 4) / 255, differs };
}

/**
 * @param {MediaStreamTrack | null | undefined} track
 * @param {number} seconds
 * @returns {Promise<import('./verdicts.js').Sound>}
 */
export async function listen(track, seconds) {
  const on = track?.readyState === 'live' && track.enabled;
  const nothing = { on, muted: Boolean(track?.muted), measured: false, peak: 0, loudness: -Infinity, clipped: 0 };
  if (!on || !globalThis.AudioContext) return nothing;
  const context = new AudioContext();
  const analyser = context.createAnalyser();
  context.createMediaStreamSource(new MediaStream([track])).connect(analyser);
  const moments = [];
  const end = performance.now() + seconds * 1000;
  while (performance.now() < end) {
    await pause(LISTEN);
    // A browser that nobody has clicked in yet holds the context back: then nothing can be said.
    if (context.state !== 'running') continue;
    const samples = new Float32Array(analyser.fftSize);
    analyser.getFloatTimeDomainData(samples);
    moments.push(moment(samples));
  }
  context.close();
  return { ...nothing, muted: track.muted, ...weigh(moments) };
}

/** @param {Float32Array} samples @returns {{peak: number, power: number, clipped: boolean}} */
export function moment(samples) {
  let peak = 0;
  let power = 0;
  let cut = 0;
  for (const sample of samples) {
    const size = Math.abs(sample);
    peak = Math.max(peak, size);
    power += sample * sample;
    cut += size >= 0.99;
  }
  return { peak, power: power / samples.length, clipped: cut > samples.length / 100 };
}

const isLoud = ({ power }) => power > 1e-4; // -40 dB

/** @param {{peak: number, power: number, clipped: boolean}[]} moments */
export function weigh(moments) {
  if (!moments.length) return { measured: false };
  return {
    measured: true,
    peak: Math.max(...moments.map(({ peak }) => peak)),
    loudness: 10 * Math.log10(Math.max(...moments.map(({ power }) => power)) + 1e-12),
    clipped: moments.filter(({ clipped }) => clipped).length / Math.max(1, moments.filter(isLoud).length),
  };
}
