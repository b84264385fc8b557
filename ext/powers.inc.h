/* |x - w|^power and its slope over rows of numbers. Plain loops, which compilers make vectors of. */

enum { PARTIAL = 16 };

static inline float as_float(int32_t bits) {
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

static inline int32_t as_bits(float value) {
    int32_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits;
}

/* a**power of a >= 0, 0 below the smallest normal number, for powers from 0 on and results of up to 2^127: to about 2^-20.
   Coefficients are least-squares fits at Chebyshev's points, of log2(1 + m) / m for m in sqrt(1/2) - 1 .. sqrt(2) - 1, and of 2^f for f
   in -1/2 .. 1/2. */
static inline float power_of(float a, float power) {
    const int32_t from_root = as_bits(a) - 0x3f3504f3; /* sqrt(1/2) */
    const float m = as_float((from_root & 0x7fffff) + 0x3f3504f3) - 1.0f;
    float log2 = 0.12614846f;
    log2 = log2 * m + -0.20742103f;
    log2 = log2 * m + 0.21566986f;
    log2 = log2 * m + -0.23892035f;
    log2 = log2 * m + 0.28791833f;
    log2 = log2 * m + -0.36070484f;
    log2 = log2 * m + 0.4809106f;
    log2 = log2 * m + -0.72134733f;
    log2 = log2 * m + 1.442695f;
    /* The exponent apart, so that the small part keeps its digits. */
    const float exponent = (float)(from_root >> 23), whole = exponent * power;
    const float rounder = 12582912.0f; /* 3 * 2^22: sums with it end in whole numbers */
    const float places = (whole + log2 * m * power + rounder) - rounder;
    const float f = (whole - places) + log2 * m * power;
    float exp2 = 0.00015461448f;
    exp2 = exp2 * f + 0.0013390867f;
    exp2 = exp2 * f + 0.009618057f;
    exp2 = exp2 * f + 0.05550357f;
    exp2 = exp2 * f + 0.2402265f;
    exp2 = exp2 * f + 0.6931472f;
    exp2 = exp2 * f + 1.0f;
    const float held = places > -127.0f ? (places < 128.0f ? places : 128.0f) : -127.0f; /* no number is -127 here */
    const float found = exp2 * as_float(((int32_t)held + 127) << 23);
    return a < 1.17549435e-38f ? 0.0f : a <= 3.40282347e38f ? found : a; /* what is no number stays none */
}

/* y[i] -= |x[i] - w|^power */
static void power_sums(const float *x, float w, float power, int64_t count, float *y) {
    for (int64_t i = 0; i < count; i++) {
        const float d = x[i] - w;
        y[i] -= power_of(d < 0.0f ? -d : d, power);
    }
}

/* |d|^less with the sign of d, which is 0 at 0 */
static inline float slope_of(float d, float less) {
    const float found = power_of(d < 0.0f ? -d : d, less);
    return d < 0.0f ? -found : found;
}

/* out[i] -= gradient[i] * slope */
static void power_input_slopes(const float *x, float w, float less, int64_t count, const float *gradient, float *out) {
    for (int64_t i = 0; i < count; i++) out[i] -= gradient[i] * slope_of(x[i] - w, less);
}

/* sum of gradient[i] * slope */
static float power_filter_slope(const float *x, float w, float less, int64_t count, const float *gradient) {
    float parts[PARTIAL] = {0.0f}, sum = 0.0f;
    int64_t i = 0;
    for (; i + PARTIAL <= count; i += PARTIAL) {
        for (int k = 0; k < PARTIAL; k++) parts[k] += gradient[i + k] * slope_of(x[i + k] - w, less);
    }
    for (; i < count; i++) sum += gradient[i] * slope_of(x[i] - w, less);
    for (int k = 0; k < PARTIAL; k++) sum += parts[k];
    return sum;
}
