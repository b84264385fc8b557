"""Processes: how they are stopped, what ends with them, what they leave unfinished, and which folders of results they hold."""
