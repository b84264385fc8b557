"""ONNX's own cases of single operators: each gives what ONNX says or is refused; none gives anything else."""

import collections
import re

import numpy as np
import onnx
import pytest
from onnx import numpy_helper
from onnx.backend.test.case.node import collect_testcases

from addersim import lower_onnx
from addersim.errors import AddersimError, LoweringError
from addersim.frontends.onnx.operators import OPERATORS

FLOATS = {onnx.TensorProto.FLOAT, onnx.TensorProto.DOUBLE, onnx.TensorProto.FLOAT16}


def as_network(model, given):
    """Make all inputs but the first float one constants, keep the first output; give that input's values, or None."""
    values = dict(zip([one.name for one in model.graph.input], given, strict=False))
    kinds = {one.name: one.type.tensor_type.elem_type for one in model.graph.input}
    image = next((name for name, value in values.items() if kinds[name] in FLOATS and value.ndim > 1), None)
    if image is None:
        return None
    model.graph.initializer.extend(numpy_helper.from_array(value, name) for name, value in values.items() if name != image)
    del model.graph.input[:]
    del model.graph.output[1:]
    model.graph.input.append(onnx.helper.make_tensor_value_info(image, kinds[image], values[image].shape))
    return values[image].astype(np.float32)


def outcome(case, path):
    """``right``, ``WRONG ...``, or why a case was refused."""
    given, wanted = case.data_sets[0]
    if not all(isinstance(one, np.ndarray) for one in (*given, *wanted)):
        return "not of tensors"
    model = onnx.ModelProto.FromString(case.model.SerializeToString())
    x = as_network(model, given)
    if x is None:
        return "no image"
    onnx.save(model, path)
    try:
        network = lower_onnx(path, mean=[0.5], std=[0.001], check=False)  # of a range that holds all values
        given = x if network.input_shape == x.shape[1:] else np.ascontiguousarray(np.moveaxis(x, -1, 1))
        found = [value for _, value in network.values(given)]
    except LoweringError as error:
        text = str(error).partition("no layer: ")[2] or str(error).partition(": ")[2]
        return "refused: " + re.sub(r"node '[^']*'|[\d(\[].*", "", text)[:60]
    except AddersimError as error:
        return f"does not run: {type(error).__name__}"
    found, one = np.moveaxis(found[-1], -1, 1), wanted[0].astype(np.float64)
    one = one[:, None] if one.ndim == 1 else one
    largest = float(np.abs(one).max(initial=0)) or 1.0
    fine = found.shape == one.shape and float(np.abs(found - one).max()) <= 1e-3 * largest  # some answers are rounded
    return "right" if fine else f"WRONG {case.name}: {found.shape} {one.shape}"


def survey(path):
    """How many cases of each operator that has a row came out how."""
    seen = collections.defaultdict(collections.Counter)
    for case in collect_testcases(None):
        nodes = case.model.graph.node if case.model else []
        operators = {f"{node.domain}.{node.op_type}" if node.domain else node.op_type for node in nodes}
        if operators & set(OPERATORS):
            seen["+".join(sorted(operators))][outcome(case, path)] += 1
    return seen


@pytest.mark.filterwarnings("ignore")
def test_no_case_of_onnx_itself_gives_anything_but_its_answer(tmp_path):
    seen = survey(tmp_path / "case.onnx")
    found = collections.Counter(result for each in seen.values() for result in each.elements())
    print(*(f"{number:5} {result}" for result, number in found.most_common()), sep="\n")
    assert not [result for result in found if result.startswith("WRONG")]
    assert found["right"] >= 300
