"""Processes: how they are stopped, what ends with them, and what they leave unfinished."""
