"""What strangers and members may send, thrown at the code that reads it: a target per parser, a corpus per target."""
