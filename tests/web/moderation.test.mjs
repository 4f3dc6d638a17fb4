// Promises of moderation on the client's side, over a socket without a server. Run with `node --test`.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { ModeratedRoom } from '../../web/lib/moderation.js';
import { Signal } from '../../web/lib/signal.js';

/** A WebSocket that a test speaks for. */
class Wire {
  static made = [];
  said = [];
  constructor() {
    Wire.made.push(this);
    setImmediate(() => this.onopen?.());
  }
  send(text) {
    this.said.push(JSON.parse(text));
  }
  close() {}
  hears(message) {
    this.onmessage?.({ data: JSON.stringify(message) });
  }
}

const settled = () => new Promise((resolve) => setTimeout(resolve, 5));
const WELCOME = { type: 'welcome', participant: 'p_1', room: {}, resume_token: 'r', url: 'ws://test/ws', ice_servers: [] };

async function knocks(timing) {
  Wire.made = [];
  globalThis.WebSocket = Wire;
  const signal = new Signal({ url: 'ws://test/ws', getToken: async () => 'token', subscribe: 'auto', timing });
  const entered = signal.connect();
  entered.catch(() => {});
  await settled();
  const [wire] = Wire.made;
  wire.hears({ type: 'waiting', participant: 'p_1', room: 'lab', request: 'hello' });
  return { signal, entered, wire };
}

test('who waits to be let in is not given up, pings, and is in when welcomed', async () => {
  const { signal, entered, wire } = await knocks({ openTimeout: 0.02, firstConnectTimeout: 0.02, pingInterval: 0.01 });
  await new Promise((resolve) => setTimeout(resolve, 60));
  assert.equal(Wire.made.length, 1, 'on the same socket');
  assert.ok(wire.said.some(({ type }) => type === 'ping'));
  wire.hears({ type: 'pong' });
  await assert.rejects(signal.request({ type: 'chat', text: 'let me in' }), { code: 'connection_lost' });
  wire.hears(WELCOME);
  await entered;
  assert.ok(signal.isOpen);
  signal.close();
});

test('who waits is told what keeps them out, and only that', async () => {
  const { signal, wire } = await knocks();
  const told = [];
  signal.addEventListener('message', ({ detail }) => told.push([detail.type, detail.code]));
  wire.hears({ type: 'notice', code: 'turn_unavailable', level: 'warning', message: 'No relay works just now.' });
  wire.hears({ type: 'chat_message', text: 'a word between those inside' });
  assert.deepEqual(told, [['notice', 'turn_unavailable']]);
  signal.close();
});

test('who is denied does not knock again', async () => {
  const { signal, entered, wire } = await knocks();
  const ended = new Promise((resolve) => signal.addEventListener('ended', resolve));
  wire.hears({ type: 'goodbye', code: 'denied', message: 'You were not let in.', resume: false });
  await assert.rejects(entered, { code: 'denied' });
  await ended;
  assert.equal(Wire.made.length, 1);
});

test('who was in the call and is refused as removed does not try again', async () => {
  const { signal, entered, wire } = await knocks();
  wire.hears(WELCOME);
  await entered;
  const ended = new Promise((resolve) => signal.addEventListener('ended', ({ detail }) => resolve(detail)));
  wire.onclose();
  signal.suspect(); // the network is back
  await settled();
  Wire.made.at(-1).hears({ type: 'error', code: 'resume_failed', message: '' });
  await settled();
  Wire.made.at(-1).hears({ type: 'error', code: 'removed', message: 'You were removed.' });
  assert.equal((await ended).code, 'removed');
});

test('a room knows who waits, and forgets it with the role and with each new session', () => {
  const asked = [];
  const room = new ModeratedRoom(async (message) => asked.push(message));
  const heard = [];
  for (const type of ['participant-waiting', 'waiting-ended', 'room-updated']) room.addEventListener(type, () => heard.push(type));
  assert.ok(room.moderated({ type: 'participant_waiting', participant: 'p_1', identity: 'eve', name: '' }));
  assert.deepEqual(room.waiting, [{ id: 'p_1', identity: 'eve', name: 'eve' }]);
  assert.ok(room.moderated({ type: 'waiting_ended', participant: 'p_1', reason: 'left' }));
  assert.ok(room.moderated({ type: 'room_updated', locked: true, waiting_room: false }));
  assert.equal(room.locked, true);
  assert.deepEqual(heard, ['participant-waiting', 'waiting-ended', 'room-updated']);
  assert.ok(!room.moderated({ type: 'pong' }));
  room.moderated({ type: 'participant_waiting', participant: 'p_2', identity: 'bob', name: 'Bob' });
  room.settle({ locked: false, waiting_room: true });
  assert.deepEqual([room.waiting, room.locked, room.waitingRoom], [[], false, true]);
});

test('what is not named in permissions is not sent', async () => {
  const asked = [];
  const room = new ModeratedRoom(async (message) => asked.push(JSON.parse(JSON.stringify(message))));
  await room.setPermissions('p_1', { chat: false });
  assert.deepEqual(asked, [{ type: 'set_permissions', participant: 'p_1', chat: false }]);
});
