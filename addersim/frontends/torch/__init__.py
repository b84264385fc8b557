"""PyTorch: a module becomes a `Network` (extra ``train``)."""
