"""Where the secrets of renewed tokens are kept: one protocol, and a module for each place."""
