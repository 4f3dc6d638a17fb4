/** The pre-call test: before anybody joins, says in plain words whether server, media, camera and microphone will do. */

import { socketUrl } from './address.js';
import { CheckSession } from './check_session.js';
import { AuraLinkError } from './errors.js';
import { listen, watch } from './senses.js';
import { judgeAll, judgeCamera, judgeMicrophone, judgePings, judgeQuality, judgeServer, judgeWay } from './verdicts.js';
import { measureWay, tryWay } from './ways.js';

/** All in seconds; a whole test stays below six. */
export const DEFAULT_LIMITS = {
  answer: 2.5, // for HTTP, for a token, and for the first word of the server
  pong: 1,
  connect: 3, // from an offer until its connection stands
  measure: { least: 0.9, most: 2.3 },
  sense: 2.4, // to look at the camera and listen to the microphone
};
const PINGS = 6;
const NO_WAY = { offered: false, offersTcp: null, reached: false, connected: false, to: '', error: null };

/** The steps in the order in which they are worth reading. */
export const STEPS = {
  server: 'Server',
  pings: 'Round trip',
  udp: 'Direct, by UDP',
  tcp: 'Direct, by TCP',
  relay: 'Through a relay',
  quality: 'Quality',
  camera: 'Camera',
  microphone: 'Microphone',
};

/**
 * @typedef {import('./verdicts.js').Verdict & {name: string, title: string, duration: number}} Step  `duration` in seconds
 * @typedef {{result: import('./verdicts.js').Result, text: string, steps: Step[], duration: number}} Report
 *
 * Test the way to the server, the media port, camera and microphone. Nobody hears of it, and no room is entered.
 * @param {object} options
 * @param {string} [options.url]    of the server; the page's own by default
 * @param {string} [options.token]  any that could join
 * @param {(context: {refused: null, url: string}) => Promise<string>} [options.getToken]  in place of `token`
 * @param {MediaStreamTrack | null} [options.camera]      left open; without one, the camera counts as off
 * @param {MediaStreamTrack | null} [options.microphone]
 * @param {RTCConfiguration} [options.rtcConfiguration]
 * @param {(step: Step) => void} [options.onStep]  told of each step as it ends, and of all at first, as `waiting`
 * @param {AbortSignal} [options.signal]  ends the test early
 * @param {object} [options.limits]  overrides of DEFAULT_LIMITS
 * @returns {Promise<Report>}
 * @throws {DOMException} AbortError
 */
export async function checkConnection(options = {}) {
  const test = new PrecallTest(options);
  try {
    return await test.run();
  } finally {
    test.end();
  }
}

class PrecallTest {
  #options;
  #limits;
  #url;
  #token = null;
  #sessions = [];
  #steps = {};
  #measuring = false;
  #startedAt = now();

  constructor(options) {
    this.#options = options;
    this.#limits = { ...DEFAULT_LIMITS, ...options.limits };
    this.#url = socketUrl(options.url ?? '/ws', globalThis.document?.baseURI);
    if (!this.#url) throw new AuraLinkError('bad_url', `${options.url} is not an address of a server.`);
  }

  async run() {
    const { camera, microphone, signal } = this.#options;
    const { sense } = this.#limits;
    for (const name of Object.keys(STEPS)) this.#report({ name, title: STEPS[name], result: 'waiting', text: '', hint: '', duration: 0 });
    const all = Promise.all([
      this.#connection(),
      this.#step('camera', async () => judgeCamera(await watch(camera, sense))),
      this.#step('microphone', async () => judgeMicrophone(await listen(microphone, sense))),
    ]);
    await Promise.race([all, aborted(signal)]);
    const steps = Object.keys(STEPS).map((name) => this.#steps[name]);
    return { ...judgeAll(this.#steps), steps, duration: now() - this.#startedAt };
  }

  end() {
    for (const session of this.#sessions) session.close();
  }

  async #connection() {
    const session = await this.#server();
    if (!session) {
      for (const name of ['pings', 'udp', 'tcp', 'relay', 'quality']) this.#tell(name, skipped('Not tested: the server comes first.'), 0);
      return;
    }
    await Promise.all([this.#pings(session), this.#direct(session), this.#relay(session)]);
    if (!this.#measuring) this.#tell('quality', skipped('Not measured, as nothing got through.'), 0);
  }

  /** The first session, or null if there is none. */
  async #server() {
    let session = null;
    await this.#step('server', async () => {
      const http = this.#http();
      const error = await this.#open().then((opened) => void (session = opened), (reason) => reason);
      return judgeServer({ http: session !== null || (await http), open: session !== null, error: error ?? null });
    });
    return session;
  }

  async #http() {
    const address = new URL('/health/live', this.#url.replace(/^ws/, 'http'));
    try {
      // A server elsewhere lets us see that it answers, though not what: that is enough.
      const options = { mode: 'no-cors', cache: 'no-store', signal: AbortSignal.timeout(this.#limits.answer * 1000) };
      const { ok, type } = await fetch(address, options);
      return ok || type === 'opaque';
    } catch {
      return false;
    }
  }

  /** Each way is tried in a session of its own. */
  async #open() {
    this.#token ??= await this.#getToken();
    const session = await CheckSession.open(this.#url, this.#token, this.#limits.answer);
    this.#sessions.push(session);
    return session;
  }

  async #getToken() {
    const { token, getToken } = this.#options;
    const late = new AuraLinkError('no_token', 'The access token did not come in time.');
    try {
      return token ?? (await Promise.race([getToken({ refused: null, url: this.#url }), rejection(late, this.#limits.answer)]));
    } catch (cause) {
      throw cause instanceof AuraLinkError ? cause : new AuraLinkError('no_token', 'There is no access token to test with.', { cause });
    }
  }

  #pings(session) {
    return this.#step('pings', async () => {
      const answers = [];
      for (let count = 0; count < PINGS; count += 1) {
        answers.push(await session.ping(this.#limits.pong));
        if (answers.at(-1) === null && count) break; // enough time was spent on waiting
      }
      const known = answers.filter((seconds) => seconds !== null);
      return judgePings(known, answers.length - known.length);
    });
  }

  /** By UDP, and by TCP if the answer names a way. */
  async #direct(session) {
    const udp = await this.#way('udp', session);
    if (udp.offersTcp) await this.#way('tcp', await this.#open().catch(() => null));
    else this.#tell('tcp', udp.offersTcp === null ? skipped('Not tested: the server did not say whether it offers it.') : judgeWay('tcp', NO_WAY), 0);
  }

  async #relay(session) {
    const servers = this.#options.rtcConfiguration?.iceServers ?? session.iceServers;
    const urls = servers.flatMap((server) => server.urls);
    if (!urls.some((url) => /^turns?:/.test(url))) this.#tell('relay', judgeWay('relay', NO_WAY), 0);
    else await this.#way('relay', await this.#open().catch(() => null));
  }

  async #way(name, session) {
    const { connect: patience, measure } = this.#limits;
    const startedAt = now();
    if (!session) {
      this.#tell(name, skipped('The server allows no further test just now.'), 0);
      return NO_WAY;
    }
    let judged = false;
    const tell = (way) => {
      if (!judged) this.#tell(name, judgeWay(name, way), now() - startedAt);
      judged = true;
    };
    const measured = async (pc) => {
      tell({ ...NO_WAY, offered: true, connected: true });
      if (this.#measuring) return; // the first way that stands is the one that is measured
      this.#measuring = true;
      await this.#step('quality', async () => judgeQuality(await measureWay(pc, measure)));
    };
    const way = await tryWay(session, name, { patience, rtcConfiguration: this.#options.rtcConfiguration, measure: measured });
    tell(way);
    return way;
  }

  async #step(name, judge) {
    const startedAt = now();
    this.#tell(name, await judge(), now() - startedAt);
  }

  #tell(name, verdict, duration) {
    this.#steps[name] = { name, title: STEPS[name], duration, ...verdict };
    this.#report(this.#steps[name]);
  }

  #report(step) {
    if (!this.#options.signal?.aborted) this.#options.onStep?.(step);
  }
}

const now = () => performance.now() / 1000;
const skipped = (text) => ({ result: 'skipped', text, hint: '' });

function rejection(error, seconds) {
  return new Promise((resolve, reject) => setTimeout(reject, seconds * 1000, error));
}

/** Never resolves; rejects when the signal says so. */
function aborted(signal) {
  return new Promise((resolve, reject) => {
    const stop = () => reject(signal.reason);
    if (signal?.aborted) stop();
    signal?.addEventListener('abort', stop, { once: true });
  });
}
