"""Results: what is known of a design, designs beside each other, and the best of many."""
