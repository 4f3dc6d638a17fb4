"""What tests share: real servers and browsers, a bad network, and a clock that stands still."""
