// Promises of a room whose people are at several instances, over a socket without a server. Run with `node --test`.

import assert from 'node:assert/strict';
import { afterEach, beforeEach, mock, test } from 'node:test';

import { Room } from '../../web/lib/room.js';

let wires;
let plans; // url → what that instance says to a join; missing: it cannot be reached

class Wire {
  said = [];
  constructor(url) {
    this.url = url;
    wires.push(this);
    setImmediate(() => (plans[url] ? this.onopen?.() : this.onclose?.()));
  }
  send(text) {
    const message = JSON.parse(text);
    this.said.push(message);
    if (message.type === 'join') plans[this.url](this, message);
    else if (message.type === 'resume') this.hears({ type: 'error', code: 'resume_failed', message: 'Who?' });
    else if (message.request) this.hears({ type: 'done', request: message.request });
  }
  close() {}
  hears(message) {
    this.onmessage?.({ data: JSON.stringify(message) });
  }
  asked(...types) {
    return this.said.filter(({ type }) => types.includes(type)).map(({ type, tracks }) => [type, ...tracks]);
  }
}

class Connection {
  connectionState = 'new';
  setConfiguration() {}
  async getStats() {
    return new Map();
  }
  close() {}
}

const settled = () => new Promise((resolve) => setImmediate(() => setImmediate(resolve)));
let now;

async function pass(seconds) {
  for (let tick = 0; tick < Math.max(1, seconds * 20); tick += 1) {
    now += 50;
    mock.timers.tick(50);
    for (let round = 0; round < 4; round += 1) await settled();
  }
}

beforeEach(() => {
  [wires, plans, now] = [[], {}, 1e6];
  globalThis.WebSocket = Wire;
  globalThis.RTCPeerConnection = Connection;
  globalThis.MediaStream = class {};
  mock.method(performance, 'now', () => now);
  mock.timers.enable({ apis: ['setTimeout', 'setInterval'] });
});

afterEach(() => {
  mock.timers.reset();
  mock.restoreAll();
});

const camera = (id) => ({ id, kind: 'video', source: 'camera', muted: false });
const person = (id, identity, presence = 'here', tracks = []) => ({ id, identity, name: '', presence, tracks });
const ME = person('p1', 'me');
const BOB_THERE = person('p2', 'bob', 'elsewhere', [camera('t2')]);
const BOB_HERE = person('p9', 'bob', 'here', [camera('t9')]);
const ROOM = { name: 'lab', locked: false, waiting_room: false, metadata: {}, participants: [ME, BOB_THERE] };
const REDIS = { dependency: 'redis', mode: 'standalone', reason: 'circuit_open', since: 1_800_000_000, message: 'People elsewhere cannot be seen.' };

const welcome = (url, more = {}) => (wire) =>
  wire.hears({
    type: 'welcome', participant: 'p1', room: ROOM, permissions: { publish: [], subscribe: true, chat: true, admin: true }, resume_token: 'r', resumed: false,
    url, ice_servers: [], receive: { audio: 0, video: 0 }, slots: [], chat: [], degraded: [], ...more,
  });
const sendsTo = (url) => (wire) => wire.hears({ type: 'redirect', url });

let room;
let told;

/** In the room, with everything that is told from now on. */
async function enter({ more, ...options } = {}) {
  plans['ws://one/ws'] = welcome('ws://one/ws', more);
  room = new Room({ url: 'ws://one/ws', token: 'token', ...options });
  told = [];
  const kinds = ['connected', 'disconnected', 'participant-joined', 'participant-left', 'presence-changed', 'track-published', 'track-unpublished', 'room-replaced',
    'degraded', 'recovered', 'room-updated', 'metadata-changed', 'migrated', 'migration-failed', 'error'];
  for (const kind of kinds) {
    room.addEventListener(kind, ({ detail }) => told.push([kind, detail.participant?.identity, detail.participant?.presence].filter(Boolean).join(' ')));
  }
  await Promise.all([room.connect(), pass(0)]);
  const events = told.splice(0);
  return { wire: wires[0], events };
}

test('who is elsewhere is in the roster, and nothing of theirs is asked for until they are here', async () => {
  const { wire } = await enter({ subscribe: 'manual' });
  const [bob] = room.participants;
  assert.deepEqual([bob.presence, bob.trackFrom('camera').isReceivable], ['elsewhere', false]);
  await room.subscribe('t2');
  assert.deepEqual(wire.asked('subscribe'), []);
  wire.hears({ type: 'participant_joined', participant: BOB_HERE });
  assert.deepEqual(wire.asked('subscribe'), [['subscribe', 't9']]);
  assert.deepEqual(told, ['presence-changed bob here']);
  assert.deepEqual([room.participants, bob.id, bob.trackFrom('camera').id], [[bob], 'p9', 't9']);
  wire.hears({ type: 'participant_left', participant: 'p2', reason: 'migrated' });
  await pass(5);
  assert.deepEqual([room.participants, told.length], [[bob], 1]);
  room.leave();
});

test('who left elsewhere in order to come here stays the same person in between', async () => {
  const { wire } = await enter();
  const [bob] = room.participants;
  wire.hears({ type: 'participant_left', participant: 'p2', reason: 'migrated' });
  await pass(1);
  wire.hears({ type: 'participant_joined', participant: BOB_HERE });
  await pass(5);
  assert.deepEqual([told, room.participants], [['presence-changed bob here'], [bob]]);
  wire.hears({ type: 'participant_joined', participant: person('p5', 'eve', 'elsewhere') });
  wire.hears({ type: 'participant_left', participant: 'p5', reason: 'migrated' });
  await pass(5);
  assert.deepEqual(told.slice(1), ['participant-joined eve elsewhere', 'participant-left eve elsewhere'], 'who does not come is gone');
  room.leave();
});

test('while nothing is heard of other servers nobody is known to be there still, and nobody leaves', async () => {
  const { wire } = await enter();
  assert.deepEqual(room.degraded, []);
  wire.hears({ type: 'degraded', degradation: REDIS });
  wire.hears({ type: 'degraded', degradation: REDIS });
  assert.deepEqual(told, ['presence-changed bob unknown', 'degraded']);
  assert.deepEqual(room.degraded, [{ ...REDIS, since: new Date(1_800_000_000_000) }]);
  wire.hears({ type: 'degraded', degradation: { ...REDIS, mode: 'reconciling' } });
  assert.deepEqual([told.length, room.degraded[0].mode], [3, 'reconciling']);
  wire.hears({ type: 'recovered', dependency: 'redis', message: 'All is well.' });
  assert.deepEqual([told.slice(3), room.degraded], [['presence-changed bob elsewhere', 'recovered'], []]);
  room.leave();
});

test('who is told anew is the same person, with what differs', async () => {
  const { wire } = await enter();
  const [bob] = room.participants;
  wire.hears({ type: 'participant_joined', participant: { ...BOB_THERE, presence: 'unknown', name: 'Bob', tracks: [] } });
  assert.deepEqual(told, ['track-unpublished bob elsewhere', 'presence-changed bob unknown']);
  assert.deepEqual([room.participants, bob.name], [[bob], 'Bob']);
  room.leave();
});

test('another dependency that is away says nothing of people', async () => {
  const { wire } = await enter();
  wire.hears({ type: 'degraded', degradation: { ...REDIS, dependency: 'turn', mode: 'stun-only' } });
  assert.deepEqual([told, room.participants[0].presence], [['degraded'], 'elsewhere']);
  room.leave();
});

test('what is away is known from the first moment, and over when a later welcome does not list it', async () => {
  const { wire, events } = await enter({ more: { degraded: [REDIS] } });
  assert.ok(events.includes('degraded'));
  assert.equal(room.participants[0].presence, 'unknown');
  plans['ws://one/ws'] = welcome('ws://one/ws');
  wire.onclose();
  await pass(2);
  assert.ok(told.includes('recovered'), told);
  assert.deepEqual([room.degraded, room.participants[0].presence], [[], 'elsewhere']);
  room.leave();
});

test('a whole room in place of what is known tells only what differs, and that once', async () => {
  const { wire } = await enter();
  const [bob] = room.participants;
  wire.hears({ type: 'room', reason: 'reconciled', room: ROOM });
  assert.deepEqual(told, ['room-replaced']);
  told.length = 0;
  const others = { ...ROOM, locked: true, metadata: { title: 'Weekly' }, participants: [ME, BOB_HERE, person('p3', 'eve', 'elsewhere')] };
  wire.hears({ type: 'room', reason: 'reconciled', room: others });
  assert.deepEqual(told, ['room-updated', 'metadata-changed', 'presence-changed bob here', 'participant-joined eve elsewhere', 'room-replaced']);
  assert.deepEqual([room.participants[0], bob.id], [bob, 'p9']);
  told.length = 0;
  wire.hears({ type: 'room', reason: 'reconciled', room: { ...others, participants: [ME] } });
  assert.deepEqual(told, ['track-unpublished bob here', 'participant-left bob here', 'participant-left eve elsewhere', 'room-replaced']);
  room.leave();
});

test('metadata is written field by field, and told apart from the other settings', async () => {
  const { wire } = await enter();
  await room.setMetadata({ title: 'Weekly', agenda: null });
  assert.deepEqual(wire.said.at(-1).metadata, { title: 'Weekly', agenda: null });
  wire.hears({ type: 'room_updated', locked: false, waiting_room: false, metadata: { title: 'Weekly' } });
  assert.deepEqual([told, room.metadata], [['metadata-changed'], { title: 'Weekly' }]);
  wire.hears({ type: 'room_updated', locked: true, waiting_room: false, metadata: { title: 'Weekly' } });
  assert.deepEqual(told, ['metadata-changed', 'room-updated']);
  room.leave();
});

const AT_TWO = { room: { ...ROOM, participants: [{ ...ME, id: 'q1' }, BOB_HERE] }, participant: 'q1' };

test('a room that comes together takes us along, also by a detour, and bob is here then', async () => {
  const { wire } = await enter();
  const [bob] = room.participants;
  plans['ws://balancer/ws'] = sendsTo('ws://two/ws');
  plans['ws://two/ws'] = welcome('ws://two/ws', AT_TWO);
  wire.hears({ type: 'migrate', url: 'ws://balancer/ws', reason: 'room_moved' });
  await pass(1);
  assert.deepEqual(told, ['presence-changed bob here', 'migrated']);
  assert.deepEqual([room.participants, room.me.id, room.state], [[bob], 'q1', 'connected']);
  await pass(5);
  assert.ok(wire.said.some(({ type, reason }) => type === 'leave' && reason === 'migrated'));
  // Should that server be gone, the way in is the one that the application gave.
  delete plans['ws://two/ws'];
  wires.at(-1).onclose();
  await pass(3);
  assert.equal(room.state, 'connected');
  assert.deepEqual(wires.slice(-3).map(({ url }) => url), ['ws://two/ws', 'ws://one/ws', 'ws://one/ws']);
  room.leave();
});

test('who publishes after the servers compared a room, while we move there, is heard and seen when we arrive', async () => {
  const { wire } = await enter();
  plans['ws://two/ws'] = (there) => {
    welcome('ws://two/ws', { ...AT_TWO, degraded: [REDIS] })(there);
    const silent = { ...AT_TWO.room, participants: [{ ...ME, id: 'q1' }, { ...BOB_HERE, tracks: [] }] };
    there.hears({ type: 'room', reason: 'reconciled', room: { ...silent, locked: true } });
    there.hears({ type: 'recovered', dependency: 'redis', message: '' });
    there.hears({ type: 'track_published', participant: 'p9', track: camera('t9') });
  };
  wire.hears({ type: 'migrate', url: 'ws://two/ws', reason: 'room_moved' });
  await pass(1);
  assert.deepEqual(told, ['presence-changed bob here', 'degraded', 'room-updated', 'room-replaced', 'recovered', 'migrated']);
  assert.deepEqual([...room.participants[0].tracks.keys()], ['t9']);
  assert.deepEqual([room.locked, room.degraded], [true, []]);
  room.leave();
});

test('a move that leads back to where we are is over without harm', async () => {
  const { wire } = await enter();
  plans['ws://two/ws'] = sendsTo('ws://one/ws');
  wire.hears({ type: 'migrate', url: 'ws://two/ws', reason: 'room_moved' });
  await pass(2);
  wire.hears({ type: 'migrate', url: 'ws://one/ws', reason: 'room_moved' });
  await pass(2);
  assert.deepEqual([told, room.state, wires.length], [[], 'connected', 2]);
  room.leave();
});

test('whose session is replaced by the one that the move began goes on there', async () => {
  const { wire } = await enter();
  plans['ws://two/ws'] = (there) => {
    wire.hears({ type: 'goodbye', code: 'replaced', message: '', resume: false });
    setImmediate(() => welcome('ws://one/ws', AT_TWO)(there));
  };
  wire.hears({ type: 'migrate', url: 'ws://two/ws', reason: 'room_moved' });
  await pass(1);
  assert.deepEqual([told, room.state], [['presence-changed bob here', 'migrated'], 'connected']);
  room.leave();
});

test('a move that fails leaves us where we are, and may be asked for again', async () => {
  const { wire } = await enter();
  wire.hears({ type: 'migrate', url: 'ws://two/ws', reason: 'room_moved', deadline: 2 });
  await pass(3);
  assert.deepEqual([told.splice(0), room.state], [['migration-failed'], 'connected']);
  plans['ws://two/ws'] = welcome('ws://two/ws', AT_TWO);
  wire.hears({ type: 'migrate', url: 'ws://two/ws', reason: 'room_moved' });
  await pass(1);
  assert.ok(told.includes('migrated'));
  room.leave();
});

test('a notice reaches who waits to be let in, who goes on waiting', async () => {
  plans['ws://one/ws'] = (wire) => wire.hears({ type: 'waiting', participant: 'p1', room: 'lab' });
  room = new Room({ url: 'ws://one/ws', token: 'token' });
  const notices = [];
  room.addEventListener('notice', ({ detail }) => notices.push([room.state, detail]));
  const entered = room.connect();
  await pass(0);
  const notice = { code: 'turn_unavailable', level: 'warning', message: 'No relay works just now.' };
  wires[0].hears({ type: 'notice', ...notice });
  assert.deepEqual([notices, room.state], [[['waiting', notice]], 'waiting']);
  welcome('ws://one/ws')(wires[0]);
  await entered;
  assert.equal(room.state, 'connected');
  room.leave();
});

test('who is replaced without any move is out', async () => {
  const { wire } = await enter();
  wire.hears({ type: 'goodbye', code: 'replaced', message: '', resume: false });
  assert.deepEqual([told, room.state], [['disconnected'], 'disconnected']);
});
