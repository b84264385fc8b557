"""Inputs: what comes from people and files is bounded here: how files are opened, numbers read, text shown."""
