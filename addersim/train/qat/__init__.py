"""Quantisation-aware training: what is trained is what is simulated, code for code."""

from addersim.train.qat.tuning import Epoch, finetune

__all__ = ["Epoch", "finetune"]
