/** How large tiles may be, so that all of them fit and fill as much of the room as they can. */

const WIDEST = 16 / 9;
const NARROWEST = 4 / 5; // a person still looks right when cropped to this
const SMALLEST = 116; // pixels; below this the grid scrolls instead

/**
 * @param {number} count   tiles
 * @param {number} width   of the area, in pixels
 * @param {number} height
 * @param {number} gap     between tiles, in pixels
 * @returns {{columns: number, width: number, height: number}} of one tile
 */
export function fit(count, width, height, gap) {
  let best = { columns: 1, width: 0, height: 0 };
  for (let columns = 1; columns <= Math.max(1, count); columns += 1) {
    const rows = Math.ceil(count / columns);
    const cellWidth = (width - gap * (columns - 1)) / columns;
    const cellHeight = (height - gap * (rows - 1)) / rows;
    const tileWidth = Math.min(cellWidth, cellHeight * WIDEST);
    const tileHeight = Math.min(cellHeight, tileWidth / NARROWEST);
    if (tileWidth * tileHeight > best.width * best.height) best = { columns, width: tileWidth, height: tileHeight };
  }
  if (best.height < SMALLEST || best.width < SMALLEST) {
    const columns = Math.max(1, Math.floor((width + gap) / (SMALLEST * 1.25 + gap)));
    const tileWidth = (width - gap * (columns - 1)) / columns;
    best = { columns, width: tileWidth, height: Math.max(SMALLEST, tileWidth / WIDEST) };
  }
  return { columns: best.columns, width: Math.floor(best.width), height: Math.floor(best.height) };
}
