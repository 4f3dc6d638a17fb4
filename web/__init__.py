"""The browser client `auralink.js` and the demo page, shipped as plain files that the server serves as they are."""
