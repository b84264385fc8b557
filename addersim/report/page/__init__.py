"""The page of one result or of several."""
