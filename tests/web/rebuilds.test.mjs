// Promises about when the next media connection is built, in virtual time. Run with `node --test`.

import assert from 'node:assert/strict';
import { beforeEach, test } from 'node:test';

import { Rebuilds } from '../../web/lib/rebuilds.js';
import { Clock } from './clock.mjs';

let clock;
let built;
let rebuilds;

beforeEach(() => {
  clock = new Clock();
  built = 0;
  rebuilds = new Rebuilds(() => (built += 1), clock);
});

/** Seconds until the next one is built, after one that was up for so long. */
function delayAfter(lasted) {
  const [before, start] = [built, clock.now];
  rebuilds.plan(lasted);
  clock.pass(0);
  while (built === before) clock.pass(0.5);
  return clock.now - start;
}

test('the first is built at once, and each that follows one which did not last later, up to a bound', () => {
  assert.deepEqual([0, 0, 1, 9, 0, 0, 10].map(delayAfter), [0, 1, 2, 4, 8, 10, 10]);
});

test('after one that lasted it begins anew', () => {
  assert.deepEqual([0, 0, 0, 10.1, 0].map(delayAfter), [0, 1, 2, 0, 1]);
});

test('what others came to is forgotten when told so', () => {
  delayAfter(0);
  delayAfter(0);
  rebuilds.forgive();
  assert.deepEqual([0, 0].map(delayAfter), [0, 1]);
});

test('one that is planned is not planned again, and is built once, early or in time', () => {
  delayAfter(0);
  for (let wish = 0; wish < 3; wish += 1) rebuilds.plan(0);
  assert.deepEqual([rebuilds.isPlanned, built], [true, 1]);
  rebuilds.buildNow();
  assert.deepEqual([rebuilds.isPlanned, built], [false, 2]);
  clock.pass(60);
  assert.equal(built, 2);
  assert.equal(delayAfter(0), 2, 'the wishes in between counted as one');
});

test('one that is cancelled is never built', () => {
  rebuilds.plan(0);
  rebuilds.cancel();
  clock.pass(60);
  assert.deepEqual([rebuilds.isPlanned, built], [false, 0]);
});

test('a plan made in the usual way is not hurried any more', () => {
  rebuilds.plan(0);
  rebuilds.hurried = true;
  clock.pass(0);
  assert.equal(rebuilds.hurried, true, 'while that connection is coming up');
  rebuilds.plan(0);
  assert.equal(rebuilds.hurried, false);
});
