// Promises of the watch over a media connection, in virtual time. Run with `node --test`.

import assert from 'node:assert/strict';
import { beforeEach, test } from 'node:test';

import { ConnectionWatch } from '../../web/lib/watch.js';
import { Clock } from './clock.mjs';

let clock;
let acts;
let watch;

beforeEach(() => {
  clock = new Clock();
  acts = [];
  const act = { restart: () => acts.push('restart'), rebuild: () => acts.push('rebuild'), show: (state) => acts.push(state) };
  watch = new ConnectionWatch(act, { disturbed: 2, restart: 8, connect: 15 }, clock);
  watch.observe('connecting');
  watch.observe('connected');
  acts.length = 0;
});

test('a short flicker is no disturbance', () => {
  for (const [state, seconds] of [['connecting', 1.9], ['disconnected', 0.2]]) {
    watch.observe(state);
    clock.pass(seconds);
    watch.observe('connected');
    clock.pass(20);
  }
  assert.deepEqual(acts, []);
});

test('a disturbance that lasts leads to an ICE restart, and then to calm', () => {
  watch.observe('disconnected');
  clock.pass(0.3);
  assert.deepEqual(acts, ['disconnected', 'restart']);
  watch.observe('connected');
  clock.pass(20);
  assert.deepEqual(acts, ['disconnected', 'restart', 'connected']);
});

test('a failed connection restarts at once, and is rebuilt if that does not help', () => {
  watch.observe('failed');
  assert.deepEqual(acts, ['failed', 'restart']);
  watch.observe('connecting');
  clock.pass(8);
  assert.deepEqual(acts, ['failed', 'restart', 'rebuild']);
});

test('a restart during which the old path served is a success', () => {
  watch.observeServer('disconnected');
  assert.deepEqual(acts, ['disconnected', 'restart']);
  clock.pass(8);
  assert.deepEqual(acts, ['disconnected', 'restart', 'connected']);
});

test('a second failure after a success is restarted, not rebuilt', () => {
  watch.observe('failed');
  watch.observe('connected');
  acts.length = 0;
  watch.observe('failed');
  assert.deepEqual(acts, ['failed', 'restart']);
});

test('a connection that never comes up is rebuilt, whether it fails or hangs', () => {
  for (const end of [() => watch.observe('failed'), () => clock.pass(15)]) {
    const rebuilt = [];
    watch = new ConnectionWatch({ restart: () => rebuilt.push('restart'), rebuild: () => rebuilt.push('rebuild'), show() {} }, {}, clock);
    watch.observe('connecting');
    end();
    assert.deepEqual(rebuilt, ['rebuild']);
  }
});

test('each change of the network is answered by a restart of its own', () => {
  watch.networkChanged();
  watch.networkChanged();
  assert.deepEqual(acts, ['disconnected', 'restart', 'restart']);
  watch.observe('connected');
  clock.pass(20);
  assert.deepEqual(acts, ['disconnected', 'restart', 'restart', 'connected']);
});

test('a closed watch does nothing any more', () => {
  watch.observe('disconnected');
  watch.close();
  clock.pass(60);
  watch.observe('failed');
  assert.deepEqual(acts, []);
});

test('other relays are tried at once by a connection in trouble, and only by one', () => {
  watch.serversChanged();
  assert.deepEqual(acts.filter((act) => act === 'restart'), []);
  watch.observe('disconnected');
  clock.pass(1);
  watch.serversChanged();
  assert.equal(acts.filter((act) => act === 'restart').length, 2);
  watch.observe('connected');
  clock.pass(20);
  watch.serversChanged();
  assert.equal(acts.filter((act) => act === 'restart').length, 2);
});

test('one that never came up starts over with other relays if it may, also if it has only just begun', () => {
  const act = { restart: () => acts.push('restart'), hurry: () => acts.push('hurry'), show: () => {} };
  watch = new ConnectionWatch(act, {}, clock);
  watch.serversChanged(false);
  watch.serversChanged(true);
  watch.observe('connecting');
  watch.serversChanged(false);
  watch.serversChanged(true);
  assert.deepEqual(acts, ['hurry', 'hurry']);
});
