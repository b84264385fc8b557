"""The slow twin of the row stationary closed form: its loops walked element by element, words counted as sets."""

from itertools import product


def parts(total, size):
    """Blocks of at most `size`."""
    return [range(start, min(start + size, total)) for start in range(0, total, size)]


class RowWalk:
    """What a walk over all groups of a layer counted.

    `taps` are all taps that ran, each once; `moved` maps a name of the closed form to words, or to cycles.
    """

    def __init__(self, shape, mapping):
        self.shape, self.mapping, self.geometry = shape, mapping, shape.geometry
        self.taps, self.summed, self.buffered = set(), set(), {}
        names = ("cycles", "input_reads", "weight_reads", "partial_sums", "network_inputs", "network_weights", "network_sums")
        self.moved = dict.fromkeys((*names, "dram_inputs", "dram_weights"), 0)
        for group in range(self.geometry.groups):
            self.walk_group(group)

    def walk_group(self, group):
        mapping, shape = self.mapping, self.shape
        held, strips = parts(shape.filters, mapping.held), parts(shape.outputs[0], mapping.strip)
        blocks = parts(shape.images, mapping.images)
        if mapping.input_kept == "strip":
            order = [(filters, strip, images) for strip in strips for images in blocks for filters in held]
        else:
            order = [(filters, strip, images) for filters in held for strip in strips for images in blocks]
        for (filters, strip, images), channels in product(
            order, parts(shape.channels, mapping.channels * mapping.channel_sets)
        ):
            self.fetch_inputs(group, filters, strip, images, channels)
            for some in parts(len(filters), mapping.filters * mapping.filter_sets):
                chosen = [filters[one] for one in some]
                self.fetch_weights(group, filters, strip, images, channels, chosen)
                self.run_pass(group, chosen, strip, images, channels)

    def fetch_inputs(self, group, filters, strip, images, channels):
        shape = self.shape
        key, (lines, planes, pictures) = {
            "pass": ((filters, strip, images, channels), (strip, channels, images)),
            "strip": ((strip, images), (strip, range(shape.channels), images)),
            "all": ((), (range(shape.outputs[0]), range(shape.channels), range(shape.images))),
        }[self.mapping.input_kept]
        if self.buffered.get("input") != (group, key):
            self.buffered["input"] = (group, key)
            windows = product(lines, range(shape.outputs[1]), *map(range, self.geometry.kernel))
            pixels = {self.pixel(*window) for window in windows}
            self.moved["dram_inputs"] += len(planes) * len(pictures) * sum(map(self.stored, pixels))

    def fetch_weights(self, group, filters, strip, images, channels, chosen):
        shape = self.shape
        key, kernels = {
            "pass": ((strip, images, channels, tuple(chosen)), len(chosen) * len(channels)),
            "held": ((filters,), len(filters) * shape.channels),
            "all": ((), shape.filters * shape.channels),
        }[self.mapping.weight_kept]
        if self.buffered.get("weight") != (group, key):
            self.buffered["weight"] = (group, key)
            self.moved["dram_weights"] += kernels * self.geometry.kernel[0] * self.geometry.kernel[1]

    def run_pass(self, group, filters, strip, images, channels):
        mapping, moved = self.mapping, self.moved
        share = -(-len(filters) // mapping.filter_sets), -(-len(channels) // mapping.channel_sets)
        sets = list(product(parts(len(filters), share[0]), parts(len(channels), share[1])))
        inputs, weights, sums, added, longest = set(), set(), set(), 0, 0
        for (some, others), y, i in product(sets, strip, range(self.geometry.kernel[0])):
            element = self.run_element(group, [filters[one] for one in some], [channels[one] for one in others], images, y, i)
            pixels, kernels, results, work = element
            moved["network_inputs"] += len(pixels)
            moved["network_weights"] += len(kernels)
            inputs, weights, sums = inputs | pixels, weights | kernels, sums | results
            added, longest = added + len(results), max(longest, work)
        back = len(sums & self.summed)
        self.summed |= sums
        moved["cycles"] += longest
        moved["input_reads"] += len(inputs)
        moved["weight_reads"] += len(weights)
        moved["partial_sums"] += back
        moved["network_sums"] += (added - len(sums)) + len(sums) + back

    def run_element(self, group, filters, channels, images, y, i):
        pixels, kernels, results, work = set(), set(), set(), 0
        columns = range(self.shape.outputs[1])
        for image, f, c, x, j in product(images, filters, channels, columns, range(self.geometry.kernel[1])):
            tap = (group, image, f, c, y, x, i, j)
            assert tap not in self.taps
            self.taps.add(tap)
            work += 1
            pixels.add((image, c, *self.pixel(y, x, i, j)))
            kernels.add((f, c, i, j))
            results.add((group, image, f, y, x))
        return pixels, kernels, results, work

    def pixel(self, y, x, i, j):
        """Row and column, padding included, of a tap."""
        (down, across), (row, column) = self.geometry.stride, self.geometry.dilation
        return y * down + i * row, x * across + j * column

    def stored(self, pixel):
        places = zip(pixel, self.geometry.padding, self.shape.image, strict=True)
        return all(0 <= at - padding < size for at, padding, size in places)
