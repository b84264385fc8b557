"""addersim compare-rounding: one network under two requantisation rules."""

from __future__ import annotations

from typing import Annotated

import typer

from addersim.cli import options
from addersim.cli.complete import completes
from addersim.cli.output import print_json, print_table, say, say_fact
from addersim.cli.simulate import calibrated_program
from addersim.errors import ConfigError

RULE = "Name of a requantisation rule: addersim, tflite, tosa, tosa-double, ort, onnx, qonnx, ..."


def run(
    network: options.Network_,
    first: Annotated[str, typer.Argument(help=RULE, autocompletion=completes("rules"))],
    second: Annotated[str, typer.Argument(help=RULE, autocompletion=completes("rules"))],
    data: options.Data = None,
    root: options.Root = None,
    resize: options.Resize = False,
    limit: options.Limit = None,
    bits: options.Bits = None,
    zero_points: options.ZeroPoints = None,
    rules: options.Rules = None,
    threads: options.Threads = None,
    json: options.Json = False,
) -> None:
    """Name the first layer whose codes differ between two rules of rounding, and say what they do to the accuracy."""
    from addersim.arithmetic.requantisation import requantisation_rule
    from addersim.datasets.find import find_images
    from addersim.model_zoo import load_network_or_program
    from addersim.results.rounding import compare_rounding

    for rule in (first, second):
        requantisation_rule(rule)  # a name that is none is refused before images are read
    if first == second:
        raise ConfigError(f"compare-rounding: found {first} twice; give two rules")
    found = load_network_or_program(network)
    how = options.quantization(bits, rules=rules, zero_points=zero_points)
    options.check_quantised(found, how)
    _ = found.outputs
    test = find_images(data, root, found, "test", limit, resize)
    program, calibrated, warned = calibrated_program(found, how, data, root, resize)
    result = compare_rounding(program, test.images, first, second, threads=threads)
    if json:
        print_json(result.to_dict() | {"data": test.images.name, "calibration": calibrated})
        return
    print_table(f"{result.network}: {first} beside {second}, the same images", result.lines())
    say()
    for name, value in {"images": test.words, "calibration": calibrated, **result.figures()}.items():
        say_fact(name, value)
    for warning in dict.fromkeys((*test.warnings, *warned)):
        say(f"warning: {warning}")
