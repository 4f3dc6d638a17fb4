// Promises of a move to another server, and of what notices a changed network. Run with `node --test`.

import assert from 'node:assert/strict';
import { afterEach, beforeEach, mock, test } from 'node:test';

import { Move } from '../../web/lib/move.js';
import { Pulse } from '../../web/lib/pulse.js';
import { Roster } from '../../web/lib/roster.js';

const settled = () => new Promise((resolve) => setImmediate(() => setImmediate(resolve)));
let now;

/** Let virtual time pass, in small steps, and everything happen that it causes. */
async function pass(seconds) {
  for (let tick = 0; tick < seconds * 20; tick += 1) {
    now += 50;
    mock.timers.tick(50);
    await settled();
  }
}

beforeEach(() => {
  now = 1e6;
  mock.method(performance, 'now', () => now);
  mock.timers.enable({ apis: ['setTimeout', 'setInterval'] });
});

afterEach(() => {
  mock.timers.reset();
  mock.restoreAll();
});

const camera = (id, muted = false) => ({ id, kind: 'video', source: 'camera', muted });

test('whom two servers know under two ids stays one person, and what differs is told', () => {
  const told = [];
  const here = new Roster((type, { participant, track }) => told.push([type, participant.identity, track?.source]));
  const there = new Roster(() => {});
  here.replace({ participants: [
    { id: 'p1', identity: 'me', name: '', tracks: [] },
    { id: 'p2', identity: 'bob', name: '', tracks: [camera('t1'), { ...camera('t2'), source: 'screen' }] },
    { id: 'p3', identity: 'cleo', name: '', tracks: [] },
  ] }, 'p1');
  there.replace({ participants: [
    { id: 'q2', identity: 'bob', name: '', tracks: [camera('u1', true)] },
    { id: 'q1', identity: 'me', name: '', tracks: [] },
    { id: 'p2', identity: 'dan', name: '', tracks: [] },
  ] }, 'q1');
  const bob = here.participants.get('p2');
  const track = here.track('t1');
  told.length = 0;

  here.become(there);

  assert.equal(here.participants.get('q2'), bob);
  assert.equal(here.track('u1'), track);
  assert.deepEqual([bob.id, track.id, here.track('t1'), here.local.identity], ['q2', 'u1', undefined, 'me']);
  assert.deepEqual(told.sort(), [
    ['muted', 'bob', 'camera'],
    ['participant-joined', 'dan', undefined],
    ['participant-left', 'cleo', undefined],
    ['track-unpublished', 'bob', 'screen'],
  ]);
});

test('a silence of what arrived steadily is told once, and what never did is none', async () => {
  let bytes = 0;
  let told = 0;
  const pc = { getStats: async () => new Map([['pair', { type: 'candidate-pair', bytesReceived: bytes }]]) };
  const pulse = new Pulse(pc, () => (told += 1));
  await pass(5);
  assert.equal(told, 0);
  for (let second = 0; second < 3; second += 0.2) {
    bytes += 1000;
    await pass(0.2);
  }
  assert.deepEqual([told, pulse.isSilent], [0, false]);
  await pass(1.5);
  assert.deepEqual([told, pulse.isSilent], [1, true]);
  await pass(10);
  assert.equal(told, 1);
  bytes += 1000;
  await pass(0.5);
  assert.equal(pulse.isSilent, false);
  pulse.close();
});

function moveTo(respond, deadline) {
  globalThis.WebSocket = class {
    send(text) {
      respond(JSON.parse(text), (message) => this.onmessage?.({ data: JSON.stringify(message) }));
    }
    constructor() {
      setImmediate(() => this.onopen?.());
    }
    close() {}
  };
  const nothing = () => [];
  const getToken = async () => 'token';
  return new Move({ url: 'ws://two/ws', deadline, getToken, subscribe: 'auto', publications: [], playing: nothing, chosen: nothing });
}

test('a move to a server that does not answer is given up before the deadline', async () => {
  const move = moveTo(() => {}, 3);
  const moved = assert.rejects(move.run(), { code: 'unreachable' });
  await pass(2.7);
  await moved;
});

test('a move to a server that refuses us says why', async () => {
  const move = moveTo((message, reply) => message.type === 'join' && reply({ type: 'error', code: 'token_invalid', message: 'No.' }), 3);
  const moved = assert.rejects(move.run(), { code: 'token_invalid' });
  await pass(0.5);
  await moved;
});

test('a move is over when all that plays here plays there: at once, if nothing does', async () => {
  const room = { name: 'room', participants: [{ id: 'q1', identity: 'me', name: '', tracks: [] }] };
  const welcome = { type: 'welcome', participant: 'q1', room, url: 'ws://two/ws', slots: [], ice_servers: [], receive: { audio: 0, video: 0 } };
  const move = moveTo((message, reply) => message.type === 'join' && reply(welcome));
  const moved = move.run();
  await pass(0.5);
  await moved;
  assert.equal(move.welcome.participant, 'q1');
  move.cancel();
});
