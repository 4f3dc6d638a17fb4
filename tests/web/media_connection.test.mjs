// Promises of one media connection, over one without media. Run with `node --test`.

import assert from 'node:assert/strict';
import { afterEach, beforeEach, mock, test } from 'node:test';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

import { MediaConnection } from '../../web/lib/media_connection.js';

let acts;
let connection;
let now;

const settled = () => new Promise((resolve) => setImmediate(() => setImmediate(resolve)));

beforeEach(() => {
  now = 1e6;
  mock.method(performance, 'now', () => now);
  mock.timers.enable({ apis: ['setTimeout'] });
  globalThis.RTCPeerConnection = class {
    connectionState = 'new';
    getStats = async () => new Map();
    localDescription = { sdp: 'offer' };
    async createOffer({ iceRestart }) {
      acts.push(iceRestart ? 'restarts' : 'offers');
    }
    async setLocalDescription() {}
    async setRemoteDescription() {}
    close() {
      acts.push('closed');
    }
    becomes(state) {
      this.connectionState = state;
      this.onconnectionstatechange?.();
    }
  };
  acts = [];
  const noted = (name) => (state) => acts.push(state ?? name);
  const act = Object.fromEntries(['offer', 'rebuild', 'hurry', 'show', 'silent'].map((name) => [name, noted(name)]));
  connection = new MediaConnection({}, act);
});

afterEach(() => {
  connection.close(new Error('over'));
  mock.timers.reset();
  mock.restoreAll();
});

test('what is under way when it is given up ends then, and what is asked later ends at once', async () => {
  const never = new Promise(() => {});
  const gone = new Error('given up');
  const outcomes = [connection.step(never), connection.stepOrNull(never)];
  connection.close(gone);
  outcomes.push(connection.step(never), connection.stepOrNull(never));
  const settledAs = (await Promise.allSettled(outcomes)).map(({ reason, value }) => reason ?? value);
  assert.deepEqual(settledAs, [gone, null, gone, null]);
});

test('who waits hears of it after the connection is closed', async () => {
  const waited = connection.step(new Promise(() => {})).catch(() => acts.push('told'));
  connection.close(new Error('given up'));
  await waited;
  assert.deepEqual(acts, ['closed', 'told']);
});

test('what comes in time is passed on, an error too', async () => {
  assert.equal(await connection.step(Promise.resolve(7)), 7);
  assert.equal(await connection.stepOrNull(Promise.resolve(7)), 7);
  await assert.rejects(connection.step(Promise.reject(new Error('no'))), /no/);
  await assert.rejects(connection.stepOrNull(Promise.reject(new Error('no'))), /no/);
});

test('what was passed on is not kept: a page may ask for statistics all day', async () => {
  setFlagsFromString('--expose-gc');
  const collect = runInNewContext('gc');
  const reports = [];
  for (let look = 0; look < 5; look += 1) {
    reports.push(new WeakRef(await connection.stepOrNull(Promise.resolve(new Map([['a', look]])))));
  }
  await settled();
  collect();
  // What the engine itself holds for the last of them is not ours to promise.
  assert.deepEqual(reports.slice(0, -1).map((report) => report.deref()), [undefined, undefined, undefined, undefined]);
});

test('it has lasted since it came up last, and not at all before', () => {
  now += 60_000;
  assert.equal(connection.lasted, 0);
  connection.pc.becomes('connected');
  now += 5000;
  assert.equal(connection.lasted, 5);
});

test('a disturbance asks for an offer that restarts ICE', () => {
  connection.pc.becomes('connected');
  connection.networkChanged();
  assert.deepEqual([acts, connection.restart], [['connected', 'disconnected', 'offer'], true]);
});

test('the server speaks of it only once it has answered', async () => {
  connection.pc.becomes('connected');
  connection.observeServer('failed');
  assert.deepEqual(acts, ['connected']);
  await connection.exchange([], async () => ({ sdp: 'answer' }));
  connection.observeServer('failed');
  assert.deepEqual(acts, ['connected', 'offers', 'rebuild']);
});

test('an offer that fails is still to be made, and its restart with it', async () => {
  connection.restart = true;
  await assert.rejects(connection.exchange([], () => Promise.reject(new Error('lost'))), /lost/);
  assert.deepEqual([connection.sections.changed, connection.restart], [true, true]);
  await connection.exchange([], async () => ({ sdp: 'answer' }));
  assert.deepEqual([acts, connection.sections.changed, connection.restart], [['restarts', 'restarts'], false, false]);
});

test('one that was given up does nothing any more', async () => {
  connection.pc.becomes('connected');
  connection.close(new Error('given up'));
  acts.length = 0;
  connection.pc.becomes('failed');
  connection.networkChanged();
  connection.serversChanged(true);
  mock.timers.tick(60_000);
  await settled();
  assert.deepEqual(acts, []);
});
