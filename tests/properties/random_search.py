"""Random networks one after the other, by their seeds: those that differ are shown, the others are counted."""

import collections
import sys
import tempfile
import warnings
from unittest import mock

from addersim.frontends.integer_layers import IntegerLayers

FOUND = ("WRONG", "RAW")
"""How the results begin that are looked for: other values than the framework's, and errors that are not ours."""


def ends_of(make):
    """A program, and the layers that give its outputs, in their order."""
    told, finished = [], IntegerLayers.finished

    def noted(layers, ends, titles):
        told.extend(ends)
        return finished(layers, ends, titles)

    with mock.patch.object(IntegerLayers, "finished", noted):
        return make(), told


def search(examine, arguments):
    """Examine as many networks as the first argument says, from the seed of the second one on: exit status 1 if any differs.

    `examine` takes a seed and a folder and gives a result in words.
    """
    warnings.filterwarnings("ignore")
    count, start = int(arguments[0]), int(arguments[1]) if len(arguments) > 1 else 0
    seen = collections.Counter()
    with tempfile.TemporaryDirectory() as folder:
        for seed in range(start, start + count):
            result = examine(seed, folder)
            if result.startswith(FOUND):
                print(result[:700], flush=True)
            seen[result[:100] if not result.startswith(FOUND) else result[:5]] += 1
    for result, number in seen.most_common():
        print(f"{number:6} {result}")
    sys.exit(any(result.startswith(FOUND) for result in seen))
