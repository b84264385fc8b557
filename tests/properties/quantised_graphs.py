"""Random quantised ONNX graphs: codes are those of the framework, or one line says why the file is refused.

``python -m tests.properties.quantised_graphs STYLE COUNT [FIRST]`` tries many (``qdq``, ``qoperator``, ``qonnx``) and prints
how they came out. Scales are powers of two in half of the graphs: whatever order a framework adds in, its sums are exact then.
"""

import re
import sys
from functools import partial
from pathlib import Path

import numpy as np
import onnx

import addersim
from addersim.errors import AddersimError
from tests.properties.onnx_graphs import reason
from tests.properties.quantised_draws import DRAWS
from tests.properties.quantised_maker import Maker, run_model
from tests.properties.random_search import ends_of, search
from tests.properties.strategies import check_chained

FEW = 1 / 50
"""Of codes that may be one apart where sums of floats depend on the order of additions."""


def grown(style, seed):
    """A graph and its outputs."""
    maker = Maker(style, seed)
    for _ in range(maker.dice.randint(1, 7)):
        maker.dice.choice(DRAWS)(maker)
    made = maker.values[1:]
    if not made:
        return maker, []
    read = {name for one in maker.nodes for name in one.input}
    ends = [one for one in made if one.name not in read][-3:]
    if maker.dice.random() < 0.2:
        ends += [one for one in made if one.name in read][-1:]
    return maker, ends


def wanted(maker, model):
    """Codes of the outputs as the framework gives them, in each way that it runs."""
    feeds = {"x": maker.images}
    if maker.style != "qonnx":
        return [run_model(model, feeds, True), run_model(model, feeds, False)]
    from qonnx.core.modelwrapper import ModelWrapper
    from qonnx.core.onnx_exec import execute_onnx
    from qonnx.transformation.infer_shapes import InferShapes

    names = [one.name for one in model.graph.output]
    found = execute_onnx(ModelWrapper(model).transform(InferShapes()), feeds)
    return [[found[name] for name in names]]


def examine(style, seed, folder):
    """``equal``, a refusal's reason, or WRONG and RAW with what was found."""
    maker, ends = grown(style, seed)
    if not ends:
        return "empty"
    model = maker.model(ends)
    path = Path(folder) / "random.onnx"
    onnx.save(model, path)
    shown = f"{style} {seed}{' exact' if maker.exact else ''}: {' ; '.join(node.op_type for node in maker.nodes)}"
    try:
        expected = wanted(maker, model)
    except Exception as error:
        words = re.sub(r"'?[a-zA-Z]+[0-9]+'?", "", " ".join(str(error).split()))
        return f"not run: {type(error).__name__} {words[:140]}"
    try:
        program, names = ends_of(lambda: addersim.load(path))
        runs = {name: run.values for name, run in program.runs(maker.images)}
        check_chained(program, maker.images, runs)
    except AddersimError as error:
        return reason(str(error)) if str(error).isprintable() else f"RAW {shown}: {error!r}"
    except Exception as error:  # that is what is looked for
        return f"RAW {shown}: {type(error).__name__}: {error}"
    said = [
        compared(one, runs[name], [way[place] for way in expected], maker.exact and not maker.approximate)
        for place, (one, name) in enumerate(zip(ends, names, strict=True))
    ]
    for words in said:
        if words.startswith("WRONG"):
            return f"{words} {shown}"
    return max(said, key=len)


def compared(value, codes, ways, exact):
    """How codes are beside those of the framework, in one of the ways that it runs."""
    codes = np.moveaxis(codes, -1, 1).astype(np.int64)
    if value.name and ways[0].dtype == np.float32:
        ways = [np.rint(one / value.scale).astype(np.int64) for one in ways]
    ways = [one.astype(np.int64) for one in ways]
    if codes.size != ways[0].size:
        return f"WRONG sizes {codes.shape} {ways[0].shape}"
    codes = codes.reshape(ways[0].shape)
    if any(np.array_equal(codes, one) for one in ways):
        return "equal"
    apart = [np.abs(codes - one) for one in ways]
    least = np.minimum.reduce(apart)
    if not least.any() and max(one.max() for one in apart) <= 1:
        return "equal, each by one of the framework's ways"
    which = int(np.argmin([(one != 0).sum() for one in apart]))
    if not exact and apart[which].max() == 1 and np.count_nonzero(apart[which]) <= max(1, FEW * codes.size):
        return "equal, but for sums of floats next to ties"
    return f"WRONG {value.name}: {[int((one != 0).sum()) for one in apart]} of {codes.size}, up to {int(apart[which].max())}"


if __name__ == "__main__":
    search(partial(examine, sys.argv[1]), sys.argv[2:])
