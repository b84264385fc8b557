"""Networks as torch modules, each taking its window layers from `layers.Layers`."""
