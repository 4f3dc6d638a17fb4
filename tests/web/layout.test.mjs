// Promises of the tile grid. Run with `node --test`.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { fit } from '../../web/demo/layout.js';

const AREAS = [[1248, 650], [374, 720], [304, 500], [2400, 1200], [900, 300]];

test('up to 25 tiles fit into a desktop without scrolling, and never overlap its edges', () => {
  for (let count = 1; count <= 25; count += 1) {
    const { columns, width, height } = fit(count, 1248, 650, 10);
    const rows = Math.ceil(count / columns);
    assert.ok(columns * width + (columns - 1) * 10 <= 1248, `${count} tiles are too wide`);
    assert.ok(rows * height + (rows - 1) * 10 <= 650, `${count} tiles are too high`);
  }
});

test('no tile is ever wider than the area, nor too small to recognize somebody', () => {
  for (const [width, height] of AREAS) {
    for (let count = 1; count <= 60; count += 1) {
      const tile = fit(count, width, height, 8);
      assert.ok(tile.width <= width, `${count} in ${width}x${height}`);
      assert.ok(tile.width >= 110 && tile.height >= 110, `${count} in ${width}x${height}: ${tile.width}x${tile.height}`);
      assert.ok(tile.width / tile.height <= 16 / 9 + 0.02);
    }
  }
});

test('two people stand side by side on a desktop and one above the other on a phone', () => {
  assert.equal(fit(2, 1248, 650, 10).columns, 2);
  assert.equal(fit(2, 374, 720, 8).columns, 1);
});
