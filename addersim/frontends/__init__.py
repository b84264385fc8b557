"""Frontends: what other tools wrote becomes ours. Each folder imports its own tool's library, and no other does."""
