/** The demo page: lobby, call, and the page after it. */

import { Room } from './auralink.js';
import { devToken, peek, takeToken } from './demo/access.js';
import { Call } from './demo/call.js';
import { ConnectionCheck } from './demo/check.js';
import { Devices } from './demo/devices.js';
import { $, memory } from './demo/dom.js';
import { Lobby } from './demo/lobby.js';

const query = new URLSearchParams(location.search);
const givenToken = takeToken();
const promised = peek(givenToken);
const devices = new Devices();
const lobby = new Lobby(
  devices,
  {
    name: promised.name || query.get('name') || '',
    room: promised.room || query.get('room') || '',
    fixed: Boolean(promised.room),
  },
  enter,
);
let entry = null;

// The token that joining would take; in dev mode the very same one.
new ConnectionCheck(devices, async () => {
  const { name, room, token } = lobby.entry;
  return token || givenToken || devToken(room || 'check', name || 'Guest', false);
});

async function enter(wanted) {
  entry = wanted;
  lobby.joining();
  const getToken = ({ refused }) => entry.token || givenToken || devToken(entry.room, entry.name, refused !== null);
  const room = new Room({ getToken });
  window.auralink = { room };
  const call = new Call(room, devices, (reason) => {
    call.close();
    showLeft(reason);
  });
  room.addEventListener('waiting', () => {
    if (!$('call').hidden) return; // we were in, and the call says so
    $('left').hidden = true;
    lobby.waiting();
  });
  room.addEventListener('notice', ({ detail }) => room.state === 'waiting' && $('call').hidden && lobby.notice(detail));
  call.local.publishOpened();
  try {
    await room.connect();
  } catch (error) {
    call.close();
    $('left').hidden = true;
    if ($('lobby').hidden) lobby.show();
    lobby.refused(error);
    return;
  }
  $('left').hidden = true;
  lobby.hide();
  call.show();
  query.set('room', room.name);
  query.delete('autojoin');
  history.replaceState(history.state, '', `?${query}`);
}

const TITLES = { left: 'You left the call', removed: 'You were removed', banned: 'You were removed' };

function showLeft({ code, message }) {
  for (const which of ['camera', 'microphone']) devices.close(which);
  const own = code === 'left';
  document.title = 'AuraLink';
  $('left-title').textContent = TITLES[code] ?? 'The call is over for you';
  $('left-text').textContent = own ? 'Nobody sees or hears you any more.' : message;
  $('left').hidden = false;
  $('left-title').focus();
}

$('rejoin').onclick = async () => {
  $('rejoin').disabled = true;
  await lobby.openDevices();
  await enter(entry);
  $('rejoin').disabled = false;
};

$('to-lobby').onclick = () => {
  $('left').hidden = true;
  lobby.show();
};

// A page that comes back from the browser's cache has lost its call long ago.
window.addEventListener('pageshow', ({ persisted }) => persisted && location.reload());

// A link must not bring somebody's camera into the room of whoever made it: with a token in it, a person has to agree.
if (query.get('autojoin') === '1' && !givenToken) {
  await lobby.openDevices();
  enter({ name: query.get('name') || promised.name || memory.get('name') || 'Guest', room: $('room').value, token: '' });
} else {
  lobby.show();
}
