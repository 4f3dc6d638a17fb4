/** What the page says of people whose media is not at our server. Pure. */

const WORDS = { elsewhere: 'Connected through another server', unknown: 'Connection to their server is interrupted' };

/** @param {import('../lib/roster.js').Participant} participant @returns {string} empty for who is here */
export const whereabouts = ({ presence }) => WORDS[presence] ?? '';
