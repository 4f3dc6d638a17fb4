// Promises of the media connection's keeper, over a connection without media. Run with `node --test`.

import assert from 'node:assert/strict';
import { afterEach, beforeEach, mock, test } from 'node:test';

import { AuraLinkError } from '../../web/lib/errors.js';
import { Media } from '../../web/lib/media.js';

let built;
let now;

class Connection {
  signalingState = 'stable';
  connectionState = 'new';
  localDescription = { sdp: 'offer' };
  constructor() {
    built.push(this);
  }
  addTransceiver(kind, { direction }) {
    return { mid: '0', direction, currentDirection: direction, receiver: { track: { kind } } };
  }
  async createOffer() {}
  async setLocalDescription() {}
  async setRemoteDescription() {}
  close() {}
  becomes(state) {
    this.connectionState = state;
    this.onconnectionstatechange();
  }
}

const ANSWER = { sdp: 'answer', tracks: [], rejected: [] };
const settled = () => new Promise((resolve) => setImmediate(() => setImmediate(resolve)));

/** Let virtual time pass, and everything happen that it causes. */
async function pass(seconds) {
  now += seconds * 1000;
  mock.timers.tick(seconds * 1000);
  for (let round = 0; round < 10; round += 1) await settled();
}

function keeper(request) {
  return new Media({ signal: { whenOpen: async () => {}, request } });
}

beforeEach(() => {
  built = [];
  now = 1e6;
  globalThis.RTCPeerConnection = Connection;
  mock.method(performance, 'now', () => now);
  mock.timers.enable({ apis: ['setTimeout'] });
});

afterEach(() => {
  mock.timers.reset();
  mock.restoreAll();
});

test('an offer that is refused through no fault of its own is made again', async () => {
  const answers = [new AuraLinkError('peer_closed', ''), new AuraLinkError('rate_limited', '', { retryAfter: 1 }), ANSWER];
  const media = keeper(async () => {
    const answer = answers.shift();
    if (answer instanceof Error) throw answer;
    return answer;
  });
  const agreed = media.receive({ audio: 1, video: 0 });
  await pass(0);
  assert.equal(answers.length, 2);
  await pass(0.3);
  await pass(2);
  await agreed;
  assert.equal(answers.length, 0);
  media.close();
});

test('an offer that is wrong is not made again', async () => {
  const media = keeper(async () => Promise.reject(new AuraLinkError('offer_invalid', 'No.')));
  await assert.rejects(media.receive({ audio: 1, video: 0 }), /No/);
  media.close();
});

test('new connections that do not come up are built more and more slowly, also after one that lasted', async () => {
  const media = keeper(async () => ANSWER);
  await media.receive({ audio: 1, video: 0 });
  built[0].becomes('connected');
  await pass(60);
  media.rebuild();
  await pass(0);
  assert.equal(built.length, 2);
  await pass(12);
  media.rebuild();
  await pass(0.5);
  assert.equal(built.length, 2);
  await pass(0.5);
  assert.equal(built.length, 3);
  media.close();
});

test('an offer that the server asks for is made though nothing changed, and once', async () => {
  let offers = 0;
  const media = keeper(async () => {
    offers += 1;
    return ANSWER;
  });
  await media.receive({ audio: 1, video: 0 });
  await media.receive({ audio: 1, video: 0 });
  assert.equal(offers, 1);
  media.hear({ type: 'renegotiate', audio: 1, video: 0 });
  await media.receive({ audio: 1, video: 0 });
  assert.equal(offers, 2);
  media.close();
});

test('a late word of a connection that was replaced does not end the one that is just coming up', async () => {
  const media = keeper(async () => ANSWER);
  await media.receive({ audio: 1, video: 0 });
  media.hear({ type: 'media_state', state: 'closed' });
  await pass(1);
  assert.equal(built.length, 1);
  built[0].becomes('connected');
  media.hear({ type: 'media_state', state: 'closed' });
  await pass(1);
  assert.equal(built.length, 2, 'one that was up and is closed is built anew');
  media.hear({ type: 'media_restart' });
  await pass(3);
  assert.equal(built.length, 3, 'a failure is one at any time');
  media.close();
});

test('an answer that is being put into effect when the connection is given up leaves nothing behind', async () => {
  const media = keeper(async () => ({ ...ANSWER, tracks: [{ mid: '0', track: 't1' }] }));
  const tuned = []; // one for each connection
  const tune = () => new Promise((resolve) => tuned.push(resolve));
  let answered = 0;
  media.addEventListener('answered', () => (answered += 1));
  const publication = { track: { kind: 'audio' }, kind: 'audio', source: 'microphone', muted: false, id: null, tune };
  const published = media.publish(publication);
  await pass(0);
  media.reset();
  tuned[0]();
  await pass(0);
  assert.deepEqual([publication.id, answered], [null, 0]);
  tuned[1]();
  await published;
  assert.deepEqual([publication.id, answered, built.length], ['t1', 1, 2]);
  media.close();
});

test('a restart of ICE that is asked for while sections are prepared is not forgotten', async () => {
  const media = keeper(async () => ANSWER);
  await media.receive({ audio: 1, video: 0 });
  const [pc] = built;
  let put = () => {};
  const sender = { replaceTrack: () => new Promise((resolve) => (put = resolve)) };
  pc.addTransceiver = () => ({ mid: '1', currentDirection: 'inactive', receiver: { track: { kind: 'audio' } }, sender });
  const microphone = () => ({ track: { kind: 'audio' }, source: 'microphone', muted: false, tune: async () => {} });
  const first = microphone();
  await media.publish(first);
  await media.unpublish(first);
  const offers = [];
  pc.createOffer = async ({ iceRestart }) => offers.push(iceRestart);
  const published = media.publish(microphone());
  await pass(0);
  pc.becomes('connected');
  pc.becomes('failed');
  put();
  await published;
  assert.deepEqual(offers, [true]);
  media.close();
});

test('who asks for a report has an answer, also if the connection is given up and the browser gives none', async () => {
  const media = keeper(async () => ANSWER);
  assert.equal(await media.report(), null);
  await media.receive({ audio: 1, video: 0 });
  built[0].getStats = async () => new Map([['a', { type: 'inbound-rtp' }]]);
  assert.equal((await media.report()).get('a').type, 'inbound-rtp');
  built[0].getStats = () => new Promise(() => {});
  const answers = [media.report(), media.report()];
  media.rebuild();
  await pass(1);
  assert.deepEqual(await Promise.all(answers), [null, null]);
  media.close();
});

test('other servers are put into the connection, and ICE is restarted only if it is in trouble', async () => {
  const offers = [];
  const media = keeper(async () => ANSWER);
  await media.receive({ audio: 1, video: 0 });
  built[0].createOffer = async ({ iceRestart }) => offers.push(iceRestart);
  const given = [];
  built[0].setConfiguration = ({ iceServers }) => given.push(iceServers);
  built[0].becomes('connected');
  media.serversChanged([{ urls: ['turn:a'] }]);
  await pass(1);
  assert.deepEqual([given, offers], [[[{ urls: ['turn:a'] }]], []]);
  built[0].becomes('failed');
  await pass(0.1);
  media.serversChanged([{ urls: ['turn:b'] }]);
  await pass(0.1);
  assert.deepEqual(given.at(-1), [{ urls: ['turn:b'] }]);
  assert.deepEqual(offers, [true, true]);
  media.close();
});

test('who hears nothing any more restarts ICE when a server has gone, and not when one has come', async () => {
  const offers = [];
  const media = keeper(async () => ANSWER);
  media.iceServers = [{ urls: ['turn:a', 'turn:b'] }];
  await media.receive({ audio: 1, video: 0 });
  let bytes = 0;
  built[0].getStats = async () => new Map([['pair', { type: 'candidate-pair', bytesReceived: bytes }]]);
  built[0].createOffer = async ({ iceRestart }) => offers.push(iceRestart);
  built[0].becomes('connected');
  media.serversChanged([{ urls: ['turn:b'] }]);
  for (let look = 0; look < 30; look += 1) {
    bytes += 1000;
    await pass(0.4);
  }
  assert.deepEqual([media.isSilent, offers], [false, []], 'media arrives: another relay has gone');
  for (let look = 0; look < 10; look += 1) await pass(0.4);
  assert.equal(media.isSilent, true);
  media.serversChanged([{ urls: ['turn:b', 'turn:c'] }]);
  await pass(0.1);
  assert.deepEqual(offers, []);
  media.serversChanged([{ urls: ['stun:a'] }]);
  await pass(0.1);
  assert.deepEqual(offers, [true]);
  media.close();
});

test('a silence that begins just after a server has gone restarts ICE, and one much later does not', async () => {
  for (const [wait, expected] of [[1, [true]], [11, []]]) {
    built = [];
    const offers = [];
    const media = keeper(async () => ANSWER);
    media.iceServers = [{ urls: 'turn:a' }];
    await media.receive({ audio: 1, video: 0 });
    let bytes = 0;
    built[0].getStats = async () => new Map([['pair', { type: 'candidate-pair', bytesReceived: bytes }]]);
    built[0].createOffer = async ({ iceRestart }) => offers.push(iceRestart);
    built[0].becomes('connected');
    media.serversChanged([]);
    for (let look = 0; look < Math.max(4, wait / 0.4); look += 1) {
      bytes += 1000;
      await pass(0.4);
    }
    assert.deepEqual(offers, []);
    for (let look = 0; look < 10; look += 1) await pass(0.1);
    assert.deepEqual([media.isSilent, offers], [true, expected]);
    media.close();
  }
});

test('a connection that waits to be built again does not wait any longer when there are other servers', async () => {
  const media = keeper(async () => ANSWER);
  await media.receive({ audio: 1, video: 0 });
  for (const expected of [2, 2]) {
    media.rebuild();
    await pass(0);
    assert.equal(built.length, expected);
  }
  media.serversChanged([{ urls: ['turn:a'] }]);
  await pass(0);
  assert.equal(built.length, 3);
  await pass(20);
  assert.equal(built.length, 3);
  media.close();
});

const relays = (...names) => names.map((name) => ({ urls: `turn:${name}`, username: String(Math.random()), credential: 'x' }));

test('a connection that is coming up starts over for a relay that was not there, not for other credentials or fewer servers', async () => {
  const media = keeper(async () => ANSWER);
  media.iceServers = relays('a', 'b');
  await media.receive({ audio: 1, video: 0 });
  built[0].becomes('connecting');
  for (const same of [relays('a', 'b'), relays('b', 'a'), relays('b'), [{ urls: ['stun:c'] }, ...relays('b')]]) media.serversChanged(same);
  await pass(1);
  assert.equal(built.length, 1);
  media.serversChanged(relays('b', 'c'));
  await pass(0);
  assert.equal(built.length, 2);
  media.close();
});

test('relays that come and go let a connection come up that was just started over for them', async () => {
  const media = keeper(async () => ANSWER);
  await media.receive({ audio: 1, video: 0 });
  built[0].becomes('connecting');
  for (const names of [['a'], [], ['b'], [], ['c']]) {
    media.serversChanged(relays(...names));
    await pass(1);
    built.at(-1).becomes('connecting');
  }
  assert.equal(built.length, 2);
  built[1].becomes('failed');
  await pass(1);
  assert.equal(built.length, 3, 'it failed by itself');
  built[2].becomes('connecting');
  media.serversChanged(relays('d'));
  await pass(0);
  assert.equal(built.length, 4);
  media.close();
});

test('credentials that are replaced disturb no restart, and shorten no wait', async () => {
  const offers = [];
  const media = keeper(async () => ANSWER);
  media.iceServers = relays('a');
  await media.receive({ audio: 1, video: 0 });
  built[0].createOffer = async ({ iceRestart }) => offers.push(iceRestart);
  built[0].becomes('connected');
  built[0].becomes('failed');
  await pass(0.1);
  media.serversChanged(relays('a'));
  await pass(0.1);
  assert.deepEqual(offers, [true]);
  for (let round = 0; round < 2; round += 1) {
    media.rebuild();
    await pass(0);
  }
  assert.equal(built.length, 2);
  media.serversChanged(relays('a'));
  await pass(0);
  assert.equal(built.length, 2);
  media.close();
});

test('the relays of the server are nothing to a connection that has those of the application', async () => {
  const media = new Media({ signal: { whenOpen: async () => {}, request: async () => ANSWER }, rtcConfiguration: { iceServers: relays('mine') } });
  await media.receive({ audio: 1, video: 0 });
  built[0].becomes('connecting');
  media.serversChanged(relays('a'));
  await pass(1);
  assert.equal(built.length, 1);
  media.close();
});
