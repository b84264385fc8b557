# cython: language_level=3, boundscheck=False, wraparound=False, initializedcheck=False, cdivision=True
"""The C kernels of addersim. This module trusts its caller, addersim.kernels, which checks every argument.

Codes come as flat bytes with the number of their type: 0 int8, 1 uint8, 2 int16, 3 uint16, 4 int32, 5 int64.
"""

from libc.stdint cimport int32_t, int64_t, uint8_t, uint64_t
from libc.stdlib cimport calloc, free
from libc.string cimport memcpy

cdef extern from "core.h":
    ctypedef struct Geometry:
        int64_t images, height, width, channels
        int64_t out_height, out_width, outputs
        int64_t kernel_height, kernel_width
        int64_t stride_height, stride_width
        int64_t padding_height, padding_width
        int64_t dilation_height, dilation_width
        int64_t groups
    ctypedef enum Type:
        S8, U8, S16, U16, S32, S64
    ctypedef enum Arithmetic:
        pass
    ctypedef enum Overflow:
        EXACT, WRAP, SATURATE
    ctypedef enum Rounding:
        HALF_EVEN, HALF_UP, TRUNCATE
    ctypedef enum Formula:
        SHIFT_HALF_EVEN, DOUBLING, SINGLE_ROUNDING, DOUBLE_ROUNDING, FLOAT_FACTOR, QUANT_ROUND, QUANT_CEIL, QUANT_FLOOR
        QUANTIZE_LINEAR
        DIVIDE_AWAY
    ctypedef struct Stats:
        int64_t minimum, maximum, overflowed
    Stats no_stats() nogil
    ctypedef struct Codes:
        Type type
        Overflow overflow
        int bits, is_signed
        int64_t low, high, then_low, then_high
    ctypedef struct Affine:
        const double *multiplier
        const double *addend
        int nearest
        Codes codes
    ctypedef struct Rescale:
        Formula formula
        const int32_t *bias
        const int32_t *multiplier
        const int32_t *shift
        const float *factor
        float divisor
        int32_t zero_point
        int direct
        Codes codes
    ctypedef struct RescaledAdd:
        Formula formula
        int32_t zero_points[2]
        int32_t left
        int32_t multiplier[3]
        int32_t shift[3]
        float factor[3]
        int32_t zero_point
        int product
        Codes codes
    ctypedef struct RealMeans:
        const float *reals
        const float *divisors
        int64_t places
        float scale, zero_point
        int by_columns
    ctypedef struct ZeroRuns:
        int64_t zeros, runs, others
        int64_t pairs[5]
    ctypedef struct Epilogue:
        Overflow overflow
        int64_t low, high
        int bits, narrow, y_bytes
        const uint8_t *ordered
        const Affine *affine
        const Rescale *rescale
    ctypedef struct ZeroPoints:
        int64_t outside, x
        const int32_t *weights
    ctypedef struct Kernels:
        const char *name
        int64_t (*l1_u8_ceiling)(int64_t steps) nogil
    enum:
        ARITHMETICS
        MAX_SETS
        RUN_WIDTHS
    const char *arithmetic_names[]
    int kernel_sets(const Kernels **sets) nogil
    int openmp_threads() nogil
    int forward_f32(const Kernels *kernels, Arithmetic arithmetic, const Geometry *g, const float *x, const float *weights,
                    float *y, int paired, int threads) nogil
    int l1_input_gradient_f32(const Kernels *kernels, const Geometry *g, const float *gradient, const float *x,
                              const float *weights, float *out, int threads) nogil
    int l1_sign_filter_gradient_f32(const Kernels *kernels, const Geometry *g, const float *gradient, const float *x,
                                    const float *weights, float *out, int threads) nogil
    ctypedef struct Unfolded:
        int64_t groups, outputs, taps, count
    void power_forward_f32(const Kernels *kernels, const Unfolded *u, const float *x, const float *w, float power, float *y,
                           int threads) nogil
    void power_input_gradient_f32(const Kernels *kernels, const Unfolded *u, const float *gradient, const float *x,
                                  const float *w, float power, float *out, int threads) nogil
    void power_filter_gradient_f32(const Kernels *kernels, const Unfolded *u, const float *gradient, const float *x,
                                   const float *w, float power, float *out, int threads) nogil
    int c_window_bounds "window_bounds"(const Kernels *kernels, Arithmetic arithmetic, Type type, const void *weights,
                                        int64_t outputs, int64_t taps, int64_t x_low, int64_t x_high, int64_t *low,
                                        int64_t *high) nogil
    ctypedef struct Window:
        pass
    Window *window_new(const Kernels *kernels, Arithmetic arithmetic, const int32_t *products, const Geometry *g, Type x_type,
                       int64_t x_low, int64_t x_high, Type weights_type, const void *weights, const ZeroPoints *zeros,
                       const Epilogue *epilogue, int threads) nogil
    void window_free(Window *w) nogil
    int64_t window_scratch(const Window *w) nogil
    int window_run(const Window *plan, int64_t images, const void *x, void *y, int threads, char *memory, Stats *stats) nogil
    int affine_codes(const Kernels *kernels, Type type, const void *x, int64_t count, int64_t channels,
                     const int32_t *multiplier, const int64_t *addend, const uint8_t *shift, Rounding rounding, int doubles,
                     const Codes *codes, void *y, int threads, Stats *stats) nogil
    void scale_constants(int64_t count, int64_t channels, const int32_t *multiplier, const int64_t *addend,
                         const uint8_t *shift, Rounding rounding, double *scaled_multiplier, double *scaled_addend) nogil
    void add_codes(const Kernels *kernels, Type a_type, const void *a, Type b_type, const void *b, int64_t count,
                   const Codes *codes, void *y, int threads, Stats *stats) nogil
    int rescale_codes(const Kernels *kernels, Type type, const void *x, int64_t count, int64_t channels, const Rescale *r,
                      void *y, int threads, Stats *stats, int *beyond) nogil
    void add_rescaled_codes(const Kernels *kernels, Type a_type, const void *a, Type b_type, const void *b, int64_t count,
                            const RescaledAdd *r, void *y, int threads, Stats *stats) nogil
    int c_real_means "real_means"(const Geometry *g, const uint8_t *x, const RealMeans *r, int32_t *y, int threads) nogil
    void softmax_codes(const uint8_t *x, int flip, int64_t rows, int64_t classes, int32_t multiplier, int32_t left,
                       int32_t most, uint8_t *y, int threads) nogil
    void look_up_levels(const uint8_t *x, int64_t images, int64_t channels, int64_t pixels, const void *levels, int bytes,
                        void *y, int threads) nogil
    void count_zero_runs(const Kernels *kernels, Type type, const void *codes, int64_t images, int64_t words, int64_t zero,
                         ZeroRuns *found) nogil
    void interleave_bytes(const Kernels *kernels, const uint8_t *x, int64_t images, int64_t channels, int64_t pixels,
                          uint8_t *y) nogil
    int pool_codes(const Kernels *kernels, int maximum, const Geometry *g, Type type, const void *x, int wide, void *y,
                   int threads) nogil

cdef extern from "chain.h":
    ctypedef struct ChainValue:
        Type type
        int64_t words, place
        void *array
        int64_t zero
        int counted
    ctypedef enum ChainKind:
        CHAIN_WINDOW, CHAIN_ADD, CHAIN_RESCALED_ADD
    ctypedef struct ChainStep:
        ChainKind kind
        const Window *window
        Codes codes
        RescaledAdd add
        int64_t inputs[2]
        int64_t output
    ctypedef struct ChainLayers "Chain":
        const Kernels *kernels
        const ChainStep *steps
        int64_t step_count, value_count, together, image_bytes
    int64_t chain_bytes(const ChainLayers *c) nogil
    int chain_run(const ChainLayers *c, const ChainValue *values, int64_t images, char *memory, Stats *stats,
                  ZeroRuns *zeros) nogil

cdef extern from "gates.h":
    enum:
        GATE_INPUTS
    ctypedef struct Netlist:
        int64_t nets, gates, flops, sources, inputs
        const uint64_t *gate_table
        const uint64_t *flop_table
        const int32_t *gate_pins
        const int32_t *flop_pins
        const int32_t *gate_delay
        const int32_t *gate_net
        const int32_t *reader_start
        const int32_t *readers
        const int32_t *source_net
        const int32_t *source_delay
        const int32_t *source_of
        const uint8_t *source_inverted
        int64_t slots
    int c_run_gates "run_gates"(const Netlist *n, int64_t cycles, const uint8_t *stimulus, int64_t probe_count,
                                const int32_t *probes, uint8_t *probed, int64_t *toggles, int64_t *settled) nogil

cdef extern from "toggles.h":
    void c_weighed_bits "weighed_bits"(const uint8_t *bytes, int64_t rows, int64_t length, const int64_t *weights,
                                       int64_t *counts) nogil
    void c_weighed_changes "weighed_changes"(const uint8_t *bytes, int64_t rows, int64_t length, const uint8_t *counted,
                                             const int64_t *weights, int64_t *counts) nogil
    int64_t c_weighed_zeros "weighed_zeros"(const uint8_t *bytes, int64_t rows, int64_t length,
                                            const int64_t *weights) nogil


cdef const Kernels *kernels_at(int index) noexcept:
    cdef const Kernels *sets[MAX_SETS]
    kernel_sets(sets)
    return sets[index]


cdef Geometry geometry_of(numbers) except *:
    """The fields in the order of the struct."""
    cdef Geometry g
    (g.images, g.height, g.width, g.channels, g.out_height, g.out_width, g.outputs, g.kernel_height, g.kernel_width,
     g.stride_height, g.stride_width, g.padding_height, g.padding_width, g.dilation_height, g.dilation_width,
     g.groups) = numbers
    return g


cdef Codes codes_of(numbers) except *:
    """The fields in the order of the struct."""
    cdef Codes codes
    cdef int code_type, overflow
    (code_type, overflow, codes.bits, codes.is_signed, codes.low, codes.high, codes.then_low, codes.then_high) = numbers
    codes.type = <Type>code_type
    codes.overflow = <Overflow>overflow
    return codes


cdef Rescale rescale_of(int formula, const int32_t[:, ::1] constants, const float[::1] factor, float divisor, int zero_point,
                        codes) except *:
    """Borrows its arrays; constants: rows of bias, multiplier and shift, one column a channel."""
    cdef Rescale r
    r.formula = <Formula>formula
    r.bias, r.multiplier, r.shift, r.factor = &constants[0, 0], &constants[1, 0], &constants[2, 0], &factor[0]
    r.divisor, r.zero_point, r.direct = divisor, zero_point, 0
    r.codes = codes_of(codes)
    return r


cdef int done(int status) except -1:
    if status:
        raise MemoryError("addersim._core: no memory for the tiles of a layer")
    return 0


def instruction_sets():
    """Names of the sets that this machine runs, best first."""
    cdef const Kernels *sets[MAX_SETS]
    cdef int count = kernel_sets(sets)
    return tuple([sets[i].name.decode() for i in range(count)])


def arithmetics():
    """Names of the arithmetics, in the order of their numbers."""
    return tuple([arithmetic_names[i].decode() for i in range(ARITHMETICS)])


def numbers():
    """What the enums of C hold, by the names that Python uses: a test compares them with the tables of kernels.core."""
    return {
        "overflow": {"exact": EXACT, "wrap": WRAP, "saturate": SATURATE},
        "rounding": {"half-even": HALF_EVEN, "half-up": HALF_UP, "truncate": TRUNCATE},
        "formula": {
            "half-even": SHIFT_HALF_EVEN, "doubling": DOUBLING, "single": SINGLE_ROUNDING, "double": DOUBLE_ROUNDING,
            "float": FLOAT_FACTOR, "quant-round": QUANT_ROUND, "quant-ceil": QUANT_CEIL, "quant-floor": QUANT_FLOOR,
            "quantize-linear": QUANTIZE_LINEAR, "divide-away": DIVIDE_AWAY,
        },
        "type": {"int8": S8, "uint8": U8, "int16": S16, "uint16": U16, "int32": S32, "int64": S64},
    }


def default_threads():
    """Threads that OpenMP would take; 0 where the module was built without OpenMP."""
    return openmp_threads()


def l1_ceiling(int64_t steps, int kernels):
    """Takes absolute differences of bytes from registers alone, on one thread; returns how many. For benchmarks."""
    cdef const Kernels *table = kernels_at(kernels)
    cdef int64_t count
    with nogil:
        count = table.l1_u8_ceiling(steps)
    return count


def forward(const float[:, :, :, ::1] x, const float[:, :, :, ::1] weights, float[:, :, :, ::1] y, geometry, int arithmetic,
            int paired, int kernels, int threads):
    cdef Geometry g = geometry_of(geometry)
    cdef const Kernels *table = kernels_at(kernels)
    cdef int status
    with nogil:
        status = forward_f32(table, <Arithmetic>arithmetic, &g, &x[0, 0, 0, 0], &weights[0, 0, 0, 0], &y[0, 0, 0, 0],
                             paired, threads)
    done(status)


def l1_input_gradient(const float[:, :, :, ::1] gradient, const float[:, :, :, ::1] x, const float[:, :, :, ::1] weights,
                      float[:, :, :, ::1] out, geometry, int kernels, int threads):
    cdef Geometry g = geometry_of(geometry)
    cdef const Kernels *table = kernels_at(kernels)
    cdef int status
    with nogil:
        status = l1_input_gradient_f32(table, &g, &gradient[0, 0, 0, 0], &x[0, 0, 0, 0], &weights[0, 0, 0, 0],
                                       &out[0, 0, 0, 0], threads)
    done(status)


def l1_sign_filter_gradient(const float[:, :, :, ::1] gradient, const float[:, :, :, ::1] x, const float[:, :, :, ::1] weights,
                            float[:, :, :, ::1] out, geometry, int kernels, int threads):
    cdef Geometry g = geometry_of(geometry)
    cdef const Kernels *table = kernels_at(kernels)
    cdef int status
    with nogil:
        status = l1_sign_filter_gradient_f32(table, &g, &gradient[0, 0, 0, 0], &x[0, 0, 0, 0], &weights[0, 0, 0, 0],
                                             &out[0, 0, 0, 0], threads)
    done(status)


cdef Unfolded unfolded(const float[:, :, ::1] x, const float[:, :, ::1] w):
    cdef Unfolded u
    u.groups, u.outputs, u.taps, u.count = x.shape[0], w.shape[1], x.shape[1], x.shape[2]
    return u


def power_forward(const float[:, :, ::1] x, const float[:, :, ::1] w, float power, float[:, :, ::1] y, int kernels,
                  int threads):
    """-sum |x - w|^power of unfolded images: x (groups, taps, count), w (groups, outputs, taps), y (groups, outputs, count).
    """
    cdef const Kernels *table = kernels_at(kernels)
    cdef Unfolded u = unfolded(x, w)
    with nogil:
        power_forward_f32(table, &u, &x[0, 0, 0], &w[0, 0, 0], power, &y[0, 0, 0], threads)


def power_input_gradient(const float[:, :, ::1] gradient, const float[:, :, ::1] x, const float[:, :, ::1] w, float power,
                         float[:, :, ::1] out, int kernels, int threads):
    cdef const Kernels *table = kernels_at(kernels)
    cdef Unfolded u = unfolded(x, w)
    with nogil:
        power_input_gradient_f32(table, &u, &gradient[0, 0, 0], &x[0, 0, 0], &w[0, 0, 0], power, &out[0, 0, 0], threads)


def power_filter_gradient(const float[:, :, ::1] gradient, const float[:, :, ::1] x, const float[:, :, ::1] w, float power,
                          float[:, :, ::1] out, int kernels, int threads):
    cdef const Kernels *table = kernels_at(kernels)
    cdef Unfolded u = unfolded(x, w)
    with nogil:
        power_filter_gradient_f32(table, &u, &gradient[0, 0, 0], &x[0, 0, 0], &w[0, 0, 0], power, &out[0, 0, 0], threads)


def window_bounds(const uint8_t[::1] weights, int weights_type, int arithmetic, int64_t taps, int64_t x_low, int64_t x_high,
                  int64_t[::1] low, int64_t[::1] high, int kernels):
    cdef const Kernels *table = kernels_at(kernels)
    cdef int64_t outputs = low.shape[0]
    cdef int status
    with nogil:
        status = c_window_bounds(table, <Arithmetic>arithmetic, <Type>weights_type, &weights[0], outputs, taps, x_low, x_high,
                                 &low[0], &high[0])
    done(status)


cdef class WindowPlan:
    """A window layer, and the affine or the rescaling after it where there is one, for images of one size.

    ends: codes that x can hold; products: None, or the terms by the low bytes of x and w; zero_points: of padded taps, of x,
    and None or those of the weights of each output; register: overflow, bits, smallest and largest value; affine: None, or
    what scaled() gave, whether ties go to even, and codes; rescaling: None, or what rescale() takes from formula to codes, and
    whether each step fits a register.
    y_bytes are those of a sum where there is no affine. Weights are packed here, once; other arrays are kept.
    """

    cdef Window *window
    cdef object kept

    def __cinit__(self, int x_type, ends, const uint8_t[::1] weights, int weights_type, int y_bytes, geometry, int arithmetic,
                  const int32_t[:, ::1] products, zero_points, register, bint narrow, const uint8_t[::1] ordered, affine,
                  rescaling, int kernels, int threads):
        cdef Geometry g = geometry_of(geometry)
        cdef const Kernels *table = kernels_at(kernels)
        cdef int64_t x_low, x_high
        cdef int overflow
        cdef Epilogue epilogue
        cdef Affine scaled
        cdef Rescale r
        cdef const double[:, ::1] doubles
        cdef const int32_t *terms = NULL
        cdef const int32_t[::1] of_weights
        cdef ZeroPoints zeros
        self.kept = (weights, products, zero_points, ordered, affine, rescaling)
        x_low, x_high = ends
        if products is not None:
            terms = &products[0, 0]
        zeros.outside, zeros.x, of_weights = zero_points
        zeros.weights = NULL
        if of_weights is not None:
            zeros.weights = &of_weights[0]
        overflow, epilogue.bits, epilogue.low, epilogue.high = register
        epilogue.overflow = <Overflow>overflow
        epilogue.narrow = narrow
        epilogue.y_bytes = y_bytes
        epilogue.ordered = NULL
        epilogue.affine = NULL
        epilogue.rescale = NULL
        if rescaling is not None:
            (formula, constants, factor, divisor, zero_point, codes), direct = rescaling
            r = rescale_of(formula, constants, factor, divisor, zero_point, codes)
            r.direct = direct
            epilogue.rescale = &r
        if ordered is not None:
            epilogue.ordered = &ordered[0]
        if affine is not None:
            doubles, scaled.nearest, codes = affine
            scaled.multiplier = &doubles[0, 0]
            scaled.addend = &doubles[1, 0]
            scaled.codes = codes_of(codes)
            epilogue.affine = &scaled
        with nogil:
            self.window = window_new(table, <Arithmetic>arithmetic, terms, &g, <Type>x_type, x_low, x_high, <Type>weights_type,
                                     &weights[0], &zeros, &epilogue, threads)
        done(-1 if self.window == NULL else 0)

    def __dealloc__(self):
        window_free(self.window)

    def run(self, const uint8_t[::1] x, uint8_t[::1] y, int64_t images, int threads):
        """Returns what was seen in the sums, and in the codes: least, largest, how many overflowed."""
        cdef Stats stats[2]
        cdef int status
        stats[0] = stats[1] = no_stats()
        with nogil:
            status = window_run(self.window, images, &x[0], &y[0], threads, NULL, stats)
        done(status)
        return found_in(&stats[0]), found_in(&stats[1])


cdef tuple found_in(const Stats *stats):
    return stats.minimum, stats.maximum, stats.overflowed


cdef class Chain:
    """Layers that run one after the other on `together` images at a time: see chain.h.

    steps: kind, a WindowPlan or the numbers of a sum, numbers of the values read, and of the one given; values: type, codes of
    an image, place (-1: in an array of the caller's), code of zero, and whether zeros are counted.
    """

    cdef ChainLayers layers
    cdef ChainStep *steps
    cdef ChainValue *values
    cdef object kept

    def __cinit__(self, steps, values, int64_t together, int64_t image_bytes, int kernels):
        cdef Py_ssize_t i
        self.kept = steps
        self.layers.kernels = kernels_at(kernels)
        self.layers.step_count, self.layers.value_count = len(steps), len(values)
        self.layers.together, self.layers.image_bytes = together, image_bytes
        self.steps = <ChainStep *>calloc(max(1, len(steps)), sizeof(ChainStep))
        self.values = <ChainValue *>calloc(max(1, len(values)), sizeof(ChainValue))
        done(-1 if self.steps == NULL or self.values == NULL else 0)
        for i in range(len(steps)):
            fill_step(&self.steps[i], steps[i])
        for i in range(len(values)):
            fill_value(&self.values[i], values[i])
        self.layers.steps = self.steps

    def __dealloc__(self):
        free(self.steps)
        free(self.values)

    @property
    def bytes(self):
        """Of a workspace."""
        return chain_bytes(&self.layers)

    def run(self, arrays, int64_t images, uint8_t[::1] memory):
        """Of each step what was seen, twice, and of each value zeros, their runs and pairs, or None where they do not count."""
        cdef int64_t steps = self.layers.step_count, count = self.layers.value_count
        cdef Stats *stats = <Stats *>calloc(2 * steps + 1, sizeof(Stats))
        cdef ZeroRuns *zeros = <ZeroRuns *>calloc(count + 1, sizeof(ZeroRuns))
        cdef ChainValue *values = <ChainValue *>calloc(count + 1, sizeof(ChainValue))
        cdef int status = -1 if stats == NULL or zeros == NULL or values == NULL else 0
        cdef const uint8_t[::1] array
        cdef int64_t i
        try:
            done(status)
            memcpy(values, self.values, count * sizeof(ChainValue))
            for i in range(count):
                if arrays[i] is not None:
                    array = arrays[i]
                    values[i].array = <void *>&array[0]
            for i in range(2 * steps):
                stats[i] = no_stats()
            with nogil:
                status = chain_run(&self.layers, values, images, <char *>&memory[0], stats, zeros)
            done(status)
            seen = [(found_in(&stats[2 * i]), found_in(&stats[2 * i + 1])) for i in range(steps)]
            return seen, [zeros_in(&zeros[i]) if values[i].counted else None for i in range(count)]
        finally:
            free(stats)
            free(zeros)
            free(values)


cdef int fill_step(ChainStep *to, step) except -1:
    kind, what, inputs, to.output = step
    to.kind = <ChainKind><int>kind
    to.inputs[0], to.inputs[1] = inputs[0], inputs[len(inputs) - 1]
    if to.kind == CHAIN_WINDOW:
        to.window = (<WindowPlan?>what).window
    elif to.kind == CHAIN_ADD:
        to.codes = codes_of(what)
    else:
        to.add = rescaled_add_of(what)
    return 0


cdef int fill_value(ChainValue *to, value) except -1:
    kind, to.words, to.place, to.zero, to.counted = value
    to.type = <Type><int>kind
    return 0


cdef tuple zeros_in(const ZeroRuns *found):
    """Zeros, their runs, and the pairs of a run-length code for each width of a length."""
    return found.zeros, found.runs, tuple([found.others + found.pairs[i] for i in range(RUN_WIDTHS)])


def scaled(const int32_t[::1] multiplier, const int64_t[::1] addend, const uint8_t[::1] shift, int rounding,
           double[:, ::1] doubles):
    """Multipliers and addends as doubles, divided by 2**shift."""
    scale_constants(multiplier.shape[0], multiplier.shape[0], &multiplier[0], &addend[0], &shift[0], <Rounding>rounding,
                    &doubles[0, 0], &doubles[1, 0])


def affine(const uint8_t[::1] x, int x_type, int64_t count, const int32_t[::1] multiplier, const int64_t[::1] addend,
           const uint8_t[::1] shift, int rounding, bint doubles, codes, uint8_t[::1] y, int kernels, int threads):
    cdef Codes form = codes_of(codes)
    cdef const Kernels *table = kernels_at(kernels)
    cdef int64_t channels = multiplier.shape[0]
    cdef int status
    cdef Stats stats
    with nogil:
        status = affine_codes(table, <Type>x_type, &x[0], count, channels, &multiplier[0], &addend[0], &shift[0],
                              <Rounding>rounding, doubles, &form, &y[0], threads, &stats)
    done(status)
    return stats.minimum, stats.maximum, stats.overflowed


def add(const uint8_t[::1] a, int a_type, const uint8_t[::1] b, int b_type, int64_t count, codes, uint8_t[::1] y, int kernels,
        int threads):
    """a + b, or a where b is None."""
    cdef Codes form = codes_of(codes)
    cdef const Kernels *table = kernels_at(kernels)
    cdef const uint8_t *other = NULL
    cdef Stats stats
    if b is not None:
        other = &b[0]
    with nogil:
        add_codes(table, <Type>a_type, &a[0], <Type>b_type, other, count, &form, &y[0], threads, &stats)
    return stats.minimum, stats.maximum, stats.overflowed


def rescale(const uint8_t[::1] x, int x_type, int64_t count, int formula, const int32_t[:, ::1] constants,
            const float[::1] factor, float divisor, int zero_point, codes, uint8_t[::1] y, int kernels, int threads):
    """Values plus bias, scaled and rounded; constants as in rescale_of().

    Returns what was seen in the results, and whether a value plus its bias left 32 bits.
    """
    cdef Rescale r = rescale_of(formula, constants, factor, divisor, zero_point, codes)
    cdef const Kernels *table = kernels_at(kernels)
    cdef int64_t channels = factor.shape[0]
    cdef int status, beyond = 0
    cdef Stats stats
    with nogil:
        status = rescale_codes(table, <Type>x_type, &x[0], count, channels, &r, &y[0], threads, &stats, &beyond)
    done(status)
    return (stats.minimum, stats.maximum, stats.overflowed), beyond != 0


cdef RescaledAdd rescaled_add_of(numbers) except *:
    """Formula, zero points of a, b and y, places, rows of multipliers and shifts of a, b, sum, their factors, whether a product, and codes."""
    cdef RescaledAdd r
    cdef int formula, left
    cdef const int32_t[:, ::1] constants
    cdef const float[::1] factor
    formula, zero_points, left, constants, factor, r.product, codes = numbers
    r.formula = <Formula>formula
    r.zero_points[0], r.zero_points[1], r.zero_point = zero_points
    r.left = left
    for i in range(3):
        r.multiplier[i], r.shift[i], r.factor[i] = constants[0, i], constants[1, i], factor[i]
    r.codes = codes_of(codes)
    return r


def rescaled_add(const uint8_t[::1] a, int a_type, const uint8_t[::1] b, int b_type, int64_t count, numbers, uint8_t[::1] y,
                 int kernels, int threads):
    """The sum of codes of two scales, or their product; numbers: as rescaled_add_of() takes them."""
    cdef RescaledAdd r = rescaled_add_of(numbers)
    cdef const Kernels *table = kernels_at(kernels)
    cdef Stats stats
    with nogil:
        add_rescaled_codes(table, <Type>a_type, &a[0], <Type>b_type, &b[0], count, &r, &y[0], threads, &stats)
    return stats.minimum, stats.maximum, stats.overflowed


def real_means(const uint8_t[::1] x, geometry, const float[::1] reals, const float[::1] divisors, float scale,
               float zero_point, bint by_columns, int32_t[::1] y, int threads):
    """Rounded means of codes of one byte in floats; reals: what each byte stands for."""
    cdef Geometry g = geometry_of(geometry)
    cdef RealMeans r
    cdef int status
    r.reals, r.divisors, r.places = &reals[0], &divisors[0], divisors.shape[0]
    r.scale, r.zero_point, r.by_columns = scale, zero_point, by_columns
    with nogil:
        status = c_real_means(&g, &x[0], &r, &y[0], threads)
    done(status)


def softmax(const uint8_t[:, ::1] x, bint is_signed, int multiplier, int left, int most, uint8_t[:, ::1] y, int threads):
    """Softmax of rows of codes."""
    with nogil:
        softmax_codes(&x[0, 0], 128 * is_signed, x.shape[0], x.shape[1], multiplier, left, most, &y[0, 0], threads)


def pool(const uint8_t[::1] x, int x_type, uint8_t[::1] y, geometry, bint maximum, bint wide, int kernels, int threads):
    cdef Geometry g = geometry_of(geometry)
    cdef const Kernels *table = kernels_at(kernels)
    cdef int status
    with nogil:
        status = pool_codes(table, maximum, &g, <Type>x_type, &x[0], wide, &y[0], threads)
    done(status)


def look_up(const uint8_t[:, :, ::1] x, const uint8_t[::1] levels, int level_bytes, uint8_t[::1] y, int threads):
    with nogil:
        look_up_levels(&x[0, 0, 0], x.shape[0], x.shape[1], x.shape[2], &levels[0], level_bytes, &y[0], threads)


def run_gates(int64_t nets, const uint64_t[::1] gate_table, const int32_t[:, ::1] gate_pins, const int32_t[:, ::1] gate_delay,
              const int32_t[::1] gate_net, const uint64_t[::1] flop_table, const int32_t[:, ::1] flop_pins,
              const int32_t[::1] reader_start, const int32_t[::1] readers, const int32_t[:, ::1] sources,
              const uint8_t[::1] source_inverted, int64_t slots, const uint8_t[:, ::1] stimulus, const int32_t[::1] probes,
              uint8_t[:, ::1] probed, int64_t[::1] toggles, int64_t[::1] settled):
    """Gates driven through cycles; sources: rows of nets, of delays, of what they show. Arrays are of one element at least,
    their true numbers those of `gate_net`, `flop_table` and `probes` less one. Returns the status of C."""
    cdef Netlist n
    cdef int status
    cdef int64_t cycles = stimulus.shape[0], probe_count = probes.shape[0] - 1
    n.nets, n.gates, n.flops = nets, gate_net.shape[0] - 1, flop_table.shape[0] - 1
    n.sources, n.inputs = sources.shape[1], stimulus.shape[1]
    n.gate_table, n.flop_table, n.gate_pins, n.flop_pins = &gate_table[0], &flop_table[0], &gate_pins[0, 0], &flop_pins[0, 0]
    n.gate_delay, n.gate_net = &gate_delay[0, 0], &gate_net[0]
    n.reader_start, n.readers = &reader_start[0], &readers[0]
    n.source_net, n.source_delay, n.source_of = &sources[0, 0], &sources[1, 0], &sources[2, 0]
    n.source_inverted, n.slots = &source_inverted[0], slots
    with nogil:
        status = c_run_gates(&n, cycles, &stimulus[0, 0], probe_count, &probes[0], &probed[0, 0], &toggles[0], &settled[0])
    return status


def weighed_bits(const uint8_t[:, ::1] bytes, const int64_t[::1] weights, int64_t[::1] counts):
    """Adds to counts, of eight bits, the ones of each bit in every row times the row's weight."""
    with nogil:
        c_weighed_bits(&bytes[0, 0], bytes.shape[0], bytes.shape[1], &weights[0], &counts[0])


def weighed_changes(const uint8_t[:, ::1] bytes, const uint8_t[::1] counted, const int64_t[::1] weights,
                    int64_t[::1] counts):
    """The same of what changes from each byte of a row to the next one, of those bits that are set in counted."""
    with nogil:
        c_weighed_changes(&bytes[0, 0], bytes.shape[0], bytes.shape[1], &counted[0], &weights[0], &counts[0])


def weighed_zeros(const uint8_t[:, ::1] bytes, const int64_t[::1] weights):
    """Zeros in every row times the row's weight, all together."""
    cdef int64_t zeros
    with nogil:
        zeros = c_weighed_zeros(&bytes[0, 0], bytes.shape[0], bytes.shape[1], &weights[0])
    return zeros


def zero_runs(const uint8_t[::1] codes, int code_type, int64_t images, int64_t words, int64_t zero, int kernels):
    """What zeros_in() says of all images."""
    cdef const Kernels *table = kernels_at(kernels)
    cdef ZeroRuns found
    with nogil:
        count_zero_runs(table, <Type>code_type, &codes[0], images, words, zero, &found)
    return zeros_in(&found)


def interleave(const uint8_t[:, :, ::1] x, uint8_t[::1] y, int kernels):
    """Bytes (images, channels, pixels) as (images, pixels, channels)."""
    cdef const Kernels *table = kernels_at(kernels)
    with nogil:
        interleave_bytes(table, &x[0, 0, 0], x.shape[0], x.shape[1], x.shape[2], &y[0])
