"""Golden vectors: what a layer reads and what it must give, word for word, for hardware of one's own."""
