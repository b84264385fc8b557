/* Softmax of codes of one byte in whole numbers, as TensorFlow Lite's reference kernel computes it (kernels/internal/reference/softmax.h)
   with gemmlowp's functions (fixedpoint/fixedpoint.h). `qN`: a number of N bits before the point, the sign apart. */
#include "core.h"
#include "fixed_point.h"

enum { DIFFERENCES = 256, SUM_BITS = 12, CODE_BITS = 8 };

/* value * 2**places, saturated */
static int32_t times_power(int32_t value, int places) {
    return (int32_t)clip((int64_t)value * ((int64_t)1 << places), INT32_MIN, INT32_MAX);
}

/* exp of a q0 in -1/4..0, by its Taylor series around -1/8. */
static int32_t exp_of_quarter(int32_t a) {
    const int32_t exp_of_eighth = 1895147668, third = 715827883;
    const int32_t x = a + (1 << 28), x2 = high_product(x, x), x3 = high_product(x2, x), x4 = high_product(x2, x2);
    const int32_t tail = over_power(high_product(over_power(x4, 2) + x3, third) + x2, 1);
    return exp_of_eighth + high_product(exp_of_eighth, x + tail);
}

/* exp of a q5 of at most zero, as a q0: what is beyond the last quarter multiplies by exp(-2**k) for each bit k. */
static int32_t exp_of(int32_t a) {
    static const int32_t powers[] = {1672461947, 1302514674, 790015084, 290630308, 39332535, 720401, 242}; /* k from -2 */
    const int32_t quarter = 1 << 24, part = (a & (quarter - 1)) - quarter, rest = part - a;
    if (a == 0) return INT32_MAX;
    int32_t result = exp_of_quarter(times_power(part, 5));
    for (int k = 0; k < 7; k++) result = rest & (quarter << k) ? high_product(result, powers[k]) : result;
    return result;
}

/* 1 / (1 + a) of a q0 from 0 to 1, by three steps of Newton's method. */
static int32_t over_one_plus(int32_t a) {
    const int32_t half = (int32_t)(((int64_t)a + INT32_MAX + 1) / 2);
    int32_t x = 1515870810 + high_product(half, -1010580540); /* q2: 48 / 17 - 32 / 17 * half */
    for (int step = 0; step < 3; step++) {
        const int32_t missing = (1 << 29) - high_product(half, x);
        x += times_power(high_product(x, missing), 2);
    }
    return times_power(x, 1);
}

static void softmax_row(const uint8_t *x, int flip, int64_t classes, const int32_t *exps, uint8_t *y) {
    int largest = 0;
    for (int64_t i = 0; i < classes; i++) largest = (x[i] ^ flip) > largest ? x[i] ^ flip : largest;
    uint32_t sum = 0;
    for (int64_t i = 0; i < classes; i++) sum += (uint32_t)over_power(exps[largest - (x[i] ^ flip)], SUM_BITS);
    int headroom = 0;
    while (!(sum << headroom >> 31)) headroom++;
    const int32_t scale = over_one_plus((int32_t)((sum << headroom) - ((uint32_t)1 << 31)));
    const int places = SUM_BITS - headroom + 31 - CODE_BITS;
    for (int64_t i = 0; i < classes; i++) {
        const int32_t share = high_product(scale, exps[largest - (x[i] ^ flip)]);
        const int32_t code = places > 31 ? 0 : over_power(share, places);
        y[i] = (uint8_t)(smaller(code, 255) ^ flip);
    }
}

/* flip: 128 where codes are signed. Differences beyond `most` count as no exponential at all. */
void softmax_codes(const uint8_t *x, int flip, int64_t rows, int64_t classes, int32_t multiplier, int32_t left, int32_t most, uint8_t *y,
                   int threads) {
    int32_t exps[DIFFERENCES];
    for (int i = 0; i < DIFFERENCES; i++) {
        exps[i] = i > most ? 0 : exp_of(high_product((int32_t)(-(int64_t)i * ((int64_t)1 << left)), multiplier));
    }
    threads = use_threads(threads, times(rows, classes));
#pragma omp parallel for schedule(static) num_threads(threads)
    for (int64_t row = 0; row < rows; row++) softmax_row(x + row * classes, flip, classes, exps, y + row * classes);
}
