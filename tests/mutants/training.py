"""Faults of quantisation-aware training: by file the tests that are to notice, pairs of old and new text."""

STEPS = "unit/train/qat/test_steps.py unit/train/qat/test_tuning.py"

CHANGES = {
    "train/recipe.py": (
        "unit/exploration/sweeps/test_training.py",
        (("if os.path.dirname(path) == parent}", "if path}"),),
    ),
    "train/kernels.py": (
        "agreement/test_gradients.py",
        (
            ("torch.from_numpy(array.transpose(0, 3, 1, 2)).to(kind)", "torch.from_numpy(array).permute(0, 3, 1, 2).to(kind)"),
            (
                "torch.sub(products, filters * sums[:, None, None, None], out=torch.empty_like(adder))",
                "(products - filters * sums[:, None, None, None]).to(adder.dtype)",
            ),
        ),
    ),
    "train/rate.py": (
        "unit/train/test_rate.py",
        ((" == filters.grad._version:", " is not None:"), ('if self.mode == "fixed" and getattr', "if False and getattr")),
    ),
    "train/qat/steps.py": (
        STEPS,
        (
            ("return through((real / step).clamp(*ends), codes)", "return through(real / step, codes)"),
            ("octaves = through(self.octaves * self.damping, self.octaves.detach())", "octaves = self.octaves"),
            ("np.rint(octaves) if self.whole", "np.ceil(octaves) if self.whole"),
            ("self.octaves.clamp_(-FARTHEST, FARTHEST)", "pass"),
            ("any(name in own or plan.formats[name].bits == 1 for name in names)", "any(name in own for name in names)"),
            ("if layer.shared and ARITHMETICS[layer.arithmetic].shared_scale:", "if layer.shared:"),
            ('return "layer " + name', "return name"),
        ),
    ),
    "train/qat/module.py": (
        "unit/train/qat/test_codes.py unit/train/qat/test_steps.py",
        (
            ("return ratio if self.shares_step else 1.0", "return 1.0"),
            ("self.name = ADDER if record.shared_scale else", "self.name = ADDER if record.linear else"),
            (
                "held = FixedFormat(held.bits, held.signed, source.scale * (",
                "held = FixedFormat(held.bits, held.signed, (1.0) * (",
            ),
        ),
    ),
    "train/qat/tuning.py": (
        STEPS,
        (
            ("loss = (1 - distill) * loss + distill *", "loss = loss + distill *"),
            ("except (FormatError, QuantizationError) as error:", "except FormatError as error:"),
        ),
    ),
}
