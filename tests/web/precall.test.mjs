// Promises of the pre-call test: what its numbers mean in words. Run with `node --test`.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { checkConnection } from '../../web/lib/precall.js';
import { compare, moment, weigh } from '../../web/lib/senses.js';
import { judgeAll, judgeCamera, judgeMicrophone, judgePings, judgeQuality, judgeServer, judgeWay } from '../../web/lib/verdicts.js';
import { candidates, digest, only } from '../../web/lib/ways.js';

const ANSWER = [
  'v=0',
  'm=audio 9 UDP/TLS/RTP/SAVPF 111',
  'a=candidate:1 1 udp 2130706431 192.0.2.7 7882 typ host',
  'a=candidate:2 1 TCP 1671430143 192.0.2.7 443 typ host tcptype passive',
  'a=mid:0',
  '',
].join('\r\n');

const way = (facts) => ({ offered: true, reached: false, connected: false, to: '', error: null, ...facts });
const pictures = (facts) => ({ on: true, looks: 12, width: 1280, height: 720, brightness: 0.5, changes: 12, ...facts });
const sound = (facts) => ({ on: true, muted: false, measured: true, peak: 0.3, loudness: -20, clipped: 0, ...facts });

/** All is well, but for `facts`. */
function steps(facts = {}) {
  return {
    server: judgeServer({ http: true, open: true, error: null }),
    pings: judgePings([0.02, 0.03], 0),
    udp: judgeWay('udp', way({ reached: true, connected: true })),
    tcp: judgeWay('tcp', way({ offered: false })),
    relay: judgeWay('relay', way({ offered: false })),
    quality: judgeQuality({ rtt: 0.02, loss: 0 }),
    camera: judgeCamera(pictures()),
    microphone: judgeMicrophone(sound()),
    ...facts,
  };
}

test('a server that is away is told from one that only opens no WebSocket, and from one that says no', () => {
  assert.match(judgeServer({ http: false, open: false, error: { code: 'unreachable', message: 'x' } }).text, /cannot be reached/);
  assert.match(judgeServer({ http: true, open: false, error: { code: 'unreachable', message: 'x' } }).text, /WebSocket/);
  const refused = judgeServer({ http: true, open: false, error: { code: 'token_expired', message: 'Too late.' } });
  assert.equal(refused.text, 'Too late.');
  assert.match(refused.hint, /token/);
  const hint = (error) => judgeServer({ http: true, open: false, error: { code: 'x', message: 'No.', ...error } }).hint;
  assert.deepEqual([hint({}), hint({ retryAfter: 2 })], ['', 'Try again in a moment.']);
});

test('pings are told by their median and by how much they vary', () => {
  const { result, text, median, jitter } = judgePings([0.02, 0.9, 0.03, 0.02, 0.04], 0);
  assert.equal(median, 0.03);
  assert.ok(jitter > 0.1);
  assert.equal(result, 'warning');
  assert.match(text, /unsteady: 30 ms/);
  assert.equal(judgePings([0.02, 0.03], 0).result, 'good');
  assert.equal(judgePings([0.02, 0.03], 1).result, 'warning');
  assert.match(judgePings([0.5], 0).text, /long/);
  assert.equal(judgePings([], 3).result, 'bad');
});

test('a way is open, shut, not there, or shut halfway', () => {
  assert.equal(judgeWay('udp', way({ connected: true })).result, 'good');
  const shut = judgeWay('udp', way({ to: '192.0.2.7, port 7882' }));
  assert.equal(shut.result, 'bad');
  assert.match(shut.text, /cannot get through/);
  assert.match(shut.hint, /UDP to 192\.0\.2\.7, port 7882/);
  assert.match(judgeWay('tcp', way({ offered: false })).text, /Not offered/);
  assert.match(judgeWay('relay', way({ offered: false })).text, /No relay/);
  assert.match(judgeWay('udp', way({ reached: true })).text, /encrypted/);
});

test('the media path is judged by round trip and loss', () => {
  assert.equal(judgeQuality({ rtt: 0.05, loss: 0 }).text, 'Good: 50 ms there and back, nothing lost.');
  assert.match(judgeQuality({ rtt: 0.05, loss: 0.05 }).text, /Fair: .*5\.0 % lost/);
  assert.match(judgeQuality({ rtt: 0.6, loss: null }).text, /Weak/);
  assert.equal(judgeQuality({ rtt: null, loss: null }).result, 'skipped');
});

test('a camera may be off, without pictures, black or frozen', () => {
  assert.match(judgeCamera(pictures()).text, /We can see you, 1280 × 720/);
  assert.equal(judgeCamera(pictures({ on: false })).result, 'skipped');
  assert.match(judgeCamera(pictures({ looks: 0 })).text, /no pictures/);
  assert.match(judgeCamera(pictures({ brightness: 0.01 })).text, /black/);
  assert.match(judgeCamera(pictures({ changes: 0 })).text, /stands still/);
});

test('a microphone may be off, silent, crackling, or nobody speaks', () => {
  assert.equal(judgeMicrophone(sound()).text, 'We can hear you.');
  assert.equal(judgeMicrophone(sound({ on: false })).result, 'skipped');
  assert.match(judgeMicrophone(sound({ peak: 0, loudness: -120 })).text, /silent/);
  assert.match(judgeMicrophone(sound({ muted: true })).text, /silent/);
  assert.match(judgeMicrophone(sound({ clipped: 0.5 })).text, /too loud/);
  assert.match(judgeMicrophone(sound({ peak: 0.002, loudness: -60 })).text, /nobody speak/);
  assert.equal(judgeMicrophone(sound({ measured: false, peak: 0 })).result, 'skipped');
});

test('the whole is one sentence for a person', () => {
  assert.deepEqual(judgeAll(steps()), { result: 'good', text: 'All is well: we can see you and hear you.' });
  assert.equal(
    judgeAll(steps({ microphone: judgeMicrophone(sound({ peak: 0 })) })).text,
    'We can see you, but your microphone is silent. Is it muted at the computer or on the headset?',
  );
  assert.equal(
    judgeAll(steps({ camera: judgeCamera(pictures({ brightness: 0 })) })).text,
    'We can hear you, but your picture is black. Is the lens covered?',
  );
  const off = { camera: judgeCamera(pictures({ on: false })), microphone: judgeMicrophone(sound({ on: false })) };
  assert.equal(judgeAll(steps(off)).text, 'Your connection is fine. Your camera is off. Your microphone is off.');
  const both = { camera: judgeCamera(pictures({ brightness: 0 })), microphone: judgeMicrophone(sound({ peak: 0 })) };
  assert.match(judgeAll(steps(both)).text, /black.*silent/);
});

test('nothing else matters where media cannot get through, and a detour is told as one', () => {
  const shut = judgeWay('udp', way({}));
  const blocked = judgeAll(steps({ udp: shut, microphone: judgeMicrophone(sound({ peak: 0 })) }));
  assert.equal(blocked.result, 'bad');
  assert.match(blocked.text, /^Sound and picture cannot get through\. A firewall/);
  const relayed = judgeAll(steps({ udp: shut, relay: judgeWay('relay', way({ connected: true })) }));
  assert.equal(relayed.result, 'warning');
  assert.match(relayed.text, /^We can see you and hear you\. .*detour/);
});

test('a connection that is not at its best is called neither fine nor well', () => {
  for (const facts of [{ quality: judgeQuality({ rtt: 0.02, loss: 0.2 }) }, { pings: judgePings([0.02, 0.3, 0.02], 0) }]) {
    const { result, text } = judgeAll(steps(facts));
    assert.equal(result, 'warning');
    assert.match(text, /^We can see you and hear you\. (Your connection is not at its best|The way to the server is unsteady)/);
    const off = { camera: judgeCamera(pictures({ on: false })), microphone: judgeMicrophone(sound({ on: false })) };
    assert.match(judgeAll(steps({ ...facts, ...off })).text, /^Your camera is off\. Your microphone is off\. /);
  }
});

test('of an answer only the candidates of one way are kept', () => {
  assert.deepEqual(candidates(ANSWER), [
    { transport: 'udp', address: '192.0.2.7', port: 7882 },
    { transport: 'tcp', address: '192.0.2.7', port: 443 },
  ]);
  assert.deepEqual(candidates(only(ANSWER, 'tcp')).map(({ port }) => port), [443]);
  assert.deepEqual(candidates(only(ANSWER, 'udp')).map(({ port }) => port), [7882]);
  assert.match(only(ANSWER, 'udp'), /a=mid:0\r\n$/);
});

test('loss is what the server misses of what was sent', () => {
  const stats = [
    { type: 'candidate-pair', nominated: true, state: 'succeeded', currentRoundTripTime: 0.03 },
    { type: 'outbound-rtp', packetsSent: 100 },
    { type: 'remote-inbound-rtp', timestamp: 1000, packetsLost: 5 },
  ];
  assert.deepEqual(digest(stats), { rtt: 0.03, loss: 0.05 });
  assert.equal(digest(stats, 1001).loss, null, 'a report that came too early');
  assert.deepEqual(digest(stats.slice(0, 2)), { rtt: 0.03, loss: null });
  assert.deepEqual(digest([]), { rtt: null, loss: null });
});

test('pictures are compared, and sound is weighed by its loudest moment', () => {
  const grey = new Uint8ClampedArray(16).fill(128);
  assert.equal(compare(grey, grey.slice()).differs, 0);
  assert.equal(compare(grey, new Uint8ClampedArray(16)).differs, 1);
  assert.ok(Math.abs(compare(grey, null).brightness - 0.5) < 0.01);
  const tone = moment(new Float32Array(64).fill(0.1));
  const noise = moment(new Float32Array(64).fill(1));
  assert.ok(noise.clipped && !tone.clipped);
  assert.ok(Math.abs(weigh([tone, moment(new Float32Array(64))]).loudness + 20) < 0.1);
  assert.equal(weigh([tone, noise]).clipped, 0.5);
  assert.equal(weigh([]).measured, false);
});

/** A whole test, at a server that hands out `iceServers` and replies to offers with `reply`. Nothing gets through. */
async function checked({ iceServers = [], reply, rtcConfiguration }) {
  const tried = [];
  globalThis.fetch = async () => ({ ok: true });
  globalThis.WebSocket = class {
    readyState = 0;
    constructor() {
      setImmediate(() => this.onopen?.(this.readyState = 1));
    }
    send(text) {
      const { type, request } = JSON.parse(text);
      const replies = { check: { type: 'checking', ice_servers: iceServers }, ping: { type: 'pong' }, offer: reply };
      if (replies[type]) setImmediate(() => this.onmessage?.({ data: JSON.stringify({ ...replies[type], request }) }));
    }
    close() {}
  };
  globalThis.RTCPeerConnection = class {
    localDescription = { sdp: 'offer' };
    connectionState = 'new';
    constructor({ iceServers: servers, iceTransportPolicy }) {
      tried.push([iceTransportPolicy, servers.flatMap(({ urls }) => urls)]);
    }
    addTransceiver() {}
    getTransceivers = () => [{ mid: '0' }];
    async createOffer() {}
    async setLocalDescription() {}
    async setRemoteDescription() {
      setImmediate(() => this.onconnectionstatechange(this.connectionState = 'failed'));
    }
    close() {}
  };
  const { steps } = await checkConnection({ url: 'ws://test/ws', token: 'token', rtcConfiguration });
  return { tried, text: Object.fromEntries(steps.map((step) => [step.name, step.text])) };
}

test('TCP is offered or not if an answer said so, and else unknown', async () => {
  const refusal = { type: 'error', code: 'internal_error', message: 'Something broke.' };
  const { text } = await checked({ reply: refusal });
  assert.equal(text.udp, 'Something broke.');
  assert.match(text.tcp, /^Not tested/);
  const without = only(ANSWER, 'udp');
  assert.match((await checked({ reply: { type: 'answer', sdp: without } })).text.tcp, /^Not offered/);
  assert.match((await checked({ reply: { type: 'answer', sdp: ANSWER } })).text.tcp, /cannot get through/);
});

test('the relay that is tested is the one that the call will use', async () => {
  const answer = { reply: { type: 'answer', sdp: ANSWER } };
  const [theirs, mine] = [[{ urls: ['turn:theirs'] }], [{ urls: 'turn:mine' }]];
  const relays = ({ tried }) => tried.filter(([policy]) => policy === 'relay').map(([, urls]) => urls);
  assert.deepEqual(relays(await checked({ ...answer, iceServers: theirs })), [['turn:theirs']]);
  assert.deepEqual(relays(await checked({ ...answer, rtcConfiguration: { iceServers: mine } })), [['turn:mine']]);
  assert.deepEqual(relays(await checked({ ...answer, iceServers: theirs, rtcConfiguration: { iceServers: [] } })), []);
});
