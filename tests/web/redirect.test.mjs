// Promises of the way to a room that is at home elsewhere, over a network without servers. Run with `node --test`.

import assert from 'node:assert/strict';
import { afterEach, beforeEach, mock, test } from 'node:test';

import { Signal } from '../../web/lib/signal.js';

const ENTRY = 'ws://entry/ws';
const settled = () => new Promise((resolve) => setImmediate(() => setImmediate(resolve)));

let now;
let hosts; // url → what answers there: (message, reply, close) => void; null: packets vanish; missing: refused at once
let dialled; // [url, first message, seconds since the beginning]
let sockets;

class Wire {
  constructor(url) {
    this.url = url;
    sockets.push(this);
    dialled.push([url, null, (now - 1e6) / 1000]);
    this.entry = dialled.at(-1);
    const host = hosts[url];
    if (host === null) return;
    setImmediate(() => (host ? this.onopen?.() : this.onclose?.()));
  }
  send(text) {
    const message = JSON.parse(text);
    if (message.request === 'hello') {
      delete message.request;
      this.entry[1] = message;
    }
    hosts[this.url]?.(message, (reply) => this.hears(reply), () => this.onclose?.());
  }
  close() {}
  hears(message) {
    this.onmessage?.({ data: JSON.stringify(message) });
  }
}

/** Let virtual time pass, in small steps, and everything happen that it causes. */
async function pass(seconds) {
  for (let tick = 0; tick < Math.max(1, seconds * 20); tick += 1) {
    if (seconds) {
      now += 50;
      mock.timers.tick(50);
    }
    for (let round = 0; round < 4; round += 1) await settled();
  }
}

beforeEach(() => {
  [now, hosts, dialled, sockets] = [1e6, {}, [], []];
  globalThis.WebSocket = Wire;
  mock.method(performance, 'now', () => now);
  mock.timers.enable({ apis: ['setTimeout', 'setInterval'] });
});

afterEach(() => {
  mock.timers.reset();
  mock.restoreAll();
});

const sendsTo = (url) => (message, reply, close) => {
  reply({ type: 'redirect', url, request: 'hello' });
  reply({ type: 'goodbye', code: 'redirected', message: '', resume: false });
  close();
};
const sendsToUnlessStaying = (url) => (message, reply, close) => (message.stay ? welcomes(ENTRY) : sendsTo(url))(message, reply, close);
const welcomes = (url) => (message, reply) => {
  if (message.type === 'join') reply({ type: 'welcome', resumed: false, participant: 'p', room: {}, resume_token: `of ${url}`, url, ice_servers: [] });
  if (message.type === 'resume') reply({ type: 'welcome', resumed: true, participant: 'p', room: {}, resume_token: `of ${url} again`, url, ice_servers: [] });
};
const forgetful = (url) => (message, reply, close) => {
  if (message.type === 'resume') reply({ type: 'error', code: 'resume_failed', message: 'Who?' });
  else welcomes(url)(message, reply, close);
};
const refuses = (code) => (message, reply) => reply({ type: 'error', code, message: 'No.' });

let signal;
let told;

function joins(timing, avoid) {
  let tokens = 0;
  told = [];
  signal = new Signal({ url: ENTRY, getToken: async () => `token ${(tokens += 1)}`, subscribe: 'auto', timing, avoid });
  for (const type of ['welcome', 'lost', 'retrying', 'ended']) signal.addEventListener(type, () => told.push(type));
  const entered = signal.connect();
  entered.catch(() => {});
  return entered;
}

const join = (token, stay) => ({ type: 'join', token: `token ${token}`, subscribe: 'auto', ...(stay && { stay: true }) });

test('who is redirected joins there at once, with the same token', async () => {
  hosts = { [ENTRY]: sendsTo('ws://two/ws'), 'ws://two/ws': welcomes('ws://two/ws') };
  const entered = joins();
  await pass(0);
  await entered;
  assert.deepEqual(dialled, [[ENTRY, join(1), 0], ['ws://two/ws', join(1), 0]]);
  assert.deepEqual([told, signal.home], [['welcome'], 'ws://two/ws']);
  signal.close();
});

for (const [how, host, seconds] of [['refuses connections', undefined, 0], ['is dead', null, 2], ['is about to end', refuses('shutting_down'), 0], ['opens and says nothing', () => {}, 5]]) {
  test(`who is sent to an instance that ${how} comes back and is served where it came in`, async () => {
    hosts = { [ENTRY]: sendsToUnlessStaying('ws://two/ws') };
    if (host !== undefined) hosts['ws://two/ws'] = host;
    const entered = joins();
    await pass(seconds + 0.1);
    await entered;
    assert.deepEqual(dialled.map(([url, message]) => [url, message?.stay ?? false]), [[ENTRY, false], ['ws://two/ws', false], [ENTRY, true]]);
    assert.deepEqual(dialled[2][1], join(1, true));
    assert.ok(Math.abs(dialled[2][2] - seconds) < 0.11, `after ${dialled[2][2]} s`);
    assert.deepEqual(told, ['welcome']);
    signal.close();
  });
}

test('who waits to be let in and is sent on waits there, with a token that is new, and comes back if nobody answers', async () => {
  let sendOn;
  const waits = (message, reply, close) => {
    reply({ type: 'waiting', participant: 'p', room: 'tea', request: 'hello' });
    sendOn = (url) => sendsTo(url)(message, reply, close);
  };
  hosts = { [ENTRY]: waits, 'ws://two/ws': waits, 'ws://three/ws': null };
  const entered = joins();
  await pass(60);
  sendOn('ws://two/ws');
  await pass(60);
  assert.deepEqual(dialled.map(([url, message]) => [url, message]), [[ENTRY, join(1)], ['ws://two/ws', join(2)]]);
  sendOn('ws://three/ws');
  await pass(3);
  assert.deepEqual(dialled.slice(2).map(([url, message]) => [url, message?.stay ?? false]), [['ws://three/ws', false], [ENTRY, true]]);
  hosts[ENTRY] = welcomes(ENTRY);
  sockets.at(-1).hears({ type: 'welcome', resumed: false, participant: 'p', room: {}, resume_token: 'r', url: ENTRY, ice_servers: [] });
  await entered;
  assert.deepEqual(told, ['welcome']);
  signal.close();
});

test('who is sent on after long waiting gives the instance there as much time as one that comes', async () => {
  let sendOn;
  hosts = {
    [ENTRY]: (message, reply, close) => {
      reply({ type: 'waiting', participant: 'p', room: 'tea', request: 'hello' });
      sendOn = () => sendsTo('ws://two/ws')(message, reply, close);
    },
    'ws://two/ws': (message, reply) => setTimeout(() => welcomes('ws://two/ws')(message, reply), 2500),
  };
  const entered = joins();
  await pass(60);
  sendOn();
  await pass(3);
  await entered;
  assert.deepEqual([dialled.length, signal.home], [2, 'ws://two/ws']);
  signal.close();
});

test('who is sent in a circle asks to stay after three redirects', async () => {
  hosts = { [ENTRY]: sendsToUnlessStaying('ws://a/ws'), 'ws://a/ws': sendsTo('ws://b/ws'), 'ws://b/ws': sendsTo('ws://a/ws') };
  const entered = joins();
  await pass(0);
  await entered;
  assert.deepEqual(dialled.map(([url]) => url), [ENTRY, 'ws://a/ws', 'ws://b/ws', 'ws://a/ws', ENTRY]);
  signal.close();
});

test('who is to leave an instance is not sent back there on the way, but may be later', async () => {
  hosts = { [ENTRY]: sendsToUnlessStaying('ws://here/ws') };
  const entered = joins({}, 'ws://here/ws');
  await pass(0);
  await entered;
  assert.deepEqual(dialled.map(([url, message]) => [url, message?.stay ?? false]), [[ENTRY, false], [ENTRY, true]]);
  hosts = { [ENTRY]: (message, ...rest) => (message.type === 'join' ? sendsTo('ws://here/ws') : forgetful(ENTRY))(message, ...rest), 'ws://here/ws': welcomes('ws://here/ws') };
  sockets.at(-1).onclose();
  await pass(2);
  assert.equal(signal.home, 'ws://here/ws');
  signal.close();
});

test('an instance that sends on even who asks to stay is no reason to spin', async () => {
  hosts = { [ENTRY]: sendsTo('ws://nowhere/ws') };
  const entered = joins();
  await pass(0.1);
  assert.equal(dialled.length, 3);
  await pass(25);
  await assert.rejects(entered, { code: 'unreachable' });
  assert.ok(dialled.length < 60, `${dialled.length} attempts`);
});

test('a refusal by the home of the room is the answer', async () => {
  hosts = { [ENTRY]: sendsTo('ws://two/ws'), 'ws://two/ws': refuses('banned') };
  await assert.rejects(joins(), { code: 'banned' });
  assert.equal(dialled.length, 2);
});

async function isHomeAtTwo() {
  hosts = { [ENTRY]: sendsToUnlessStaying('ws://two/ws'), 'ws://two/ws': welcomes('ws://two/ws') };
  await Promise.all([joins(), pass(0)]);
  dialled.length = told.length = 0;
}

test('who lost its socket resumes at home, whichever way it came', async () => {
  await isHomeAtTwo();
  sockets.at(-1).onclose();
  await pass(0.5);
  assert.deepEqual(dialled.map(([url, message]) => [url, message]), [['ws://two/ws', { type: 'resume', resume_token: 'of ws://two/ws' }]]);
  assert.deepEqual(told, ['lost', 'retrying', 'welcome']);
  signal.close();
});

for (const [how, host, seconds] of [['refuses connections', undefined, 0], ['is dead', null, 2]]) {
  test(`whose home ${how} is in again by the entrance, though that sends to the lost home still`, async () => {
    await isHomeAtTwo();
    hosts = { [ENTRY]: (message, ...rest) => (message.type === 'resume' ? forgetful(ENTRY) : sendsToUnlessStaying('ws://two/ws'))(message, ...rest) };
    if (host === null) hosts['ws://two/ws'] = null;
    const began = (now - 1e6) / 1000;
    sockets.at(-1).onclose();
    await pass(seconds + 0.5);
    assert.deepEqual(
      dialled.map(([url, message]) => [url, message?.type ?? null, message?.stay ?? false]),
      [['ws://two/ws', null, false], [ENTRY, 'resume', false], [ENTRY, 'join', false], [ENTRY, 'join', true]],
    );
    assert.ok(dialled.at(-1)[2] - began < seconds + 0.4, `back after ${dialled.at(-1)[2] - began} s`);
    assert.deepEqual(told, ['lost', 'retrying', 'welcome']);
    assert.equal(signal.home, ENTRY);
    signal.close();
  });
}

test('as long as nobody can be reached, each attempt begins at home', async () => {
  await isHomeAtTwo();
  hosts = {};
  sockets.at(-1).onclose();
  await pass(3);
  assert.ok(dialled.length >= 6);
  dialled.forEach(([url], at) => assert.equal(url, at % 2 ? ENTRY : 'ws://two/ws'));
  signal.close();
});

test('a resume whose welcome was lost used its token up, and leads to a new session without a delay', async () => {
  hosts = { [ENTRY]: welcomes(ENTRY) };
  await Promise.all([joins(), pass(0)]);
  hosts = { [ENTRY]: (message, reply, close) => close() };
  sockets.at(-1).onclose();
  await pass(0.35);
  hosts = { [ENTRY]: forgetful(ENTRY) };
  dialled.length = told.length = 0;
  await pass(1);
  assert.deepEqual(dialled.map(([, message]) => message), [{ type: 'resume', resume_token: `of ${ENTRY}` }, join(2)]);
  assert.equal(dialled[0][2], dialled[1][2]);
  assert.deepEqual(told, ['welcome']);
  signal.close();
});
