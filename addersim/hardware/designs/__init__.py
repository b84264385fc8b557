"""Many designs at once: which of them run in batch, their memories, and all arrays on these."""
