"""Dataflow: who moves what while the array runs a layer, in the tiles that are best."""
