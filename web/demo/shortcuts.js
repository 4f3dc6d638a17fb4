/** Single keys for what one does often; silent while somebody types, and while a dialog is open. */

/**
 * @param {Record<string, () => void>} actions  by key, as `event.key` names it
 * @returns {() => void} ends it
 */
export function shortcuts(actions) {
  const press = (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.repeat || event.defaultPrevented) return;
    if (event.target.closest?.('input, textarea, select, [contenteditable], dialog')) return;
    const action = Object.hasOwn(actions, event.key) ? actions[event.key] : null;
    if (!action) return;
    event.preventDefault();
    action();
  };
  document.addEventListener('keydown', press);
  return () => document.removeEventListener('keydown', press);
}
