// Layers whose groups have one channel: `repeat` outputs for each. Neighbouring threads take neighbouring channels; filters
// lie as (taps, outputs). A tap is used once, so that memory and not arithmetic is the bound: 8 bytes a pixel against two
// additions a tap.

constexpr int WORKERS = 8;    // threads that share the pixels of one filter
constexpr int CHANNELS = 32;  // that a block works on

// RUN outputs along a row share the values that their windows share; KERNEL is the width of the filters, STRIDE that of the
// steps from one window to the next. Where the dilation is not 1, RUN is 1.
template <typename T, typename OUT, int KERNEL, int STRIDE, int RUN>
__global__ void __launch_bounds__(256)
    l1_depthwise_forward(const T* x, const float* filters, OUT* y, int images, int height, int width, int repeat, int outputs,
                         int out_height, int out_width, int kernel_height, int stride_y, int stride_x, int padding_y,
                         int padding_x, int dilation_y, int dilation_x) {
  constexpr int span = (RUN - 1) * STRIDE + KERNEL;
  const int runs = parts(out_width, RUN), channels = outputs / repeat;
  const unsigned thread = blockIdx.x * blockDim.x + threadIdx.x;
  const int output = thread % outputs, run = thread / outputs, line = run / runs, first = run % runs * RUN;
  const int image = line / out_height, top = line % out_height * stride_y - padding_y, left = first * stride_x - padding_x;
  if (image >= images) return;
  float sum[RUN] = {};
  for (int tap = 0; tap < kernel_height; ++tap) {
    const int in_y = top + tap * dilation_y;
    const bool is_row = (unsigned)in_y < (unsigned)height;
    const T* row = x + ((long long)image * height + (is_row ? in_y : 0)) * width * channels + output / repeat;
    float values[span];
#pragma unroll
    for (int at = 0; at < span; ++at) {
      const int in_x = left + at * dilation_x;
      values[at] = is_row && (unsigned)in_x < (unsigned)width ? widen(fetch(row + in_x * channels)) : 0.0f;
    }
#pragma unroll
    for (int column = 0; column < KERNEL; ++column) {
      const float filter = fetch(filters + (long long)(tap * KERNEL + column) * outputs + output);
#pragma unroll
      for (int r = 0; r < RUN; ++r)
        sum[r] += fabsf(values[r * STRIDE + column] - filter);
    }
  }
#pragma unroll
  for (int r = 0; r < RUN; ++r)
    if (first + r < out_width) keep_narrow(y + ((long long)line * out_width + first + r) * outputs + output, -sum[r]);
}

// RUN inputs along a row share the gradients of the outputs whose windows they lie in; for one output a channel and a dilation
// of 1. A run begins where a window may begin, before the row's first input even, so that which outputs a place meets is known
// when this is compiled. RUN is a multiple of STRIDE.
template <typename G, typename T, int KERNEL, int STRIDE, int RUN>
__global__ void __launch_bounds__(256)
    l1_depthwise_input_gradient_by_runs(const G* gradient, const T* x, const float* filters, T* result, int images, int height,
                                        int width, int channels, int out_height, int out_width, int kernel_height,
                                        int stride_y, int padding_y, int padding_x, int dilation_y) {
  constexpr int before = (KERNEL - 1) / STRIDE, span = before + (RUN - 1) / STRIDE + 1;
  const int early = padding_x % STRIDE, runs = parts(width + early, RUN);
  const unsigned thread = blockIdx.x * blockDim.x + threadIdx.x;
  const int channel = thread % channels, run = thread / channels, line = run / runs, image = line / height;
  if (image >= images) return;
  const int first = run % runs * RUN - early, right = (first + padding_x) / STRIDE - before;
  const long long start = (long long)line * width * channels + channel;
  float value[RUN], sum[RUN] = {};
#pragma unroll
  for (int r = 0; r < RUN; ++r)
    value[r] = (unsigned)(first + r) < (unsigned)width ? widen(fetch(x + start + (first + r) * channels)) : 0.0f;
  for (int tap = 0; tap < kernel_height; ++tap) {
    const int down = line % height + padding_y - tap * dilation_y, out_y = down / stride_y;
    if (down < 0 || down % stride_y != 0 || out_y >= out_height) continue;
    const G* row = gradient + ((long long)image * out_height + out_y) * out_width * channels + channel;
    float factor[span];
#pragma unroll
    for (int at = 0; at < span; ++at)
      factor[at] = (unsigned)(right + at) < (unsigned)out_width ? widen(fetch(row + (right + at) * channels)) : 0.0f;
#pragma unroll
    for (int column = 0; column < KERNEL; ++column) {
      const float filter = fetch(filters + (long long)(tap * KERNEL + column) * channels + channel);
#pragma unroll
      for (int r = 0; r < RUN; ++r)
        if ((r - column) % STRIDE == 0)
          sum[r] = fmaf(fminf(fmaxf(filter - value[r], -1.0f), 1.0f), factor[before + (r - column) / STRIDE], sum[r]);
    }
  }
#pragma unroll
  for (int r = 0; r < RUN; ++r)
    if ((unsigned)(first + r) < (unsigned)width) keep_narrow(result + start + (first + r) * channels, sum[r]);
}

template <typename G, typename T>
__global__ void __launch_bounds__(256)
    l1_depthwise_input_gradient(const G* gradient, const T* x, const float* filters, T* result, int images, int height,
                                int width, int repeat, int outputs, int out_height, int out_width, int kernel_height,
                                int kernel_width, int stride_y, int stride_x, int padding_y, int padding_x, int dilation_y,
                                int dilation_x) {
  const int channels = outputs / repeat;
  const unsigned at = blockIdx.x * blockDim.x + threadIdx.x;
  const int channel = at % channels, pixel = at / channels, line = pixel / width, image = line / height;
  if (image >= images) return;
  const float value = widen(fetch(x + at));
  float sum = 0.0f;
  for (int tap_y = 0; tap_y < kernel_height; ++tap_y) {
    const int down = line % height + padding_y - tap_y * dilation_y, out_y = down / stride_y;
    if (down < 0 || down % stride_y != 0 || out_y >= out_height) continue;
    for (int tap_x = 0; tap_x < kernel_width; ++tap_x) {
      const int right = pixel % width + padding_x - tap_x * dilation_x, out_x = right / stride_x;
      if (right < 0 || right % stride_x != 0 || out_x >= out_width) continue;
      const long long first = (((long long)image * out_height + out_y) * out_width + out_x) * outputs + channel * repeat;
      const float* filter = filters + (long long)(tap_y * kernel_width + tap_x) * outputs + channel * repeat;
      for (int r = 0; r < repeat; ++r)
        sum = fmaf(fminf(fmaxf(fetch(filter + r) - value, -1.0f), 1.0f), widen(fetch(gradient + first + r)), sum);
    }
  }
  keep_narrow(result + at, sum);
}

// A block takes CHANNELS outputs, one row of taps and `split` runs of RUN pixels; result (splits, taps, outputs), of which the
// caller takes the sum. STRIDE and RUN as in the forward pass.
template <typename G, typename T, int KERNEL, int STRIDE, int RUN>
__global__ void __launch_bounds__(CHANNELS* WORKERS)
    l1_depthwise_sign_filter_gradient(const G* gradient, const T* x, const float* filters, float* result, int images,
                                      int height, int width, int repeat, int outputs, int out_height, int out_width,
                                      int kernel_height, int stride_y, int stride_x, int padding_y, int padding_x,
                                      int dilation_y, int dilation_x, int split) {
  constexpr int span = (RUN - 1) * STRIDE + KERNEL;
  __shared__ float sums[WORKERS][CHANNELS];
  const int lane = threadIdx.x % CHANNELS, worker = threadIdx.x / CHANNELS, blocks = parts(outputs, CHANNELS),
            channels = outputs / repeat;
  const int output = blockIdx.x % blocks * CHANNELS + lane, tap = blockIdx.x / blocks % kernel_height,
            part = blockIdx.x / blocks / kernel_height;
  const int runs = parts(out_width, RUN), last = min(part * split + split, images * out_height * runs);
  const bool is_output = output < outputs;
  float sum[KERNEL] = {}, filter[KERNEL];
#pragma unroll
  for (int column = 0; column < KERNEL; ++column)
    filter[column] = is_output ? fetch(filters + (long long)(tap * KERNEL + column) * outputs + output) : 0.0f;
  for (int run = part * split + worker; run < last && is_output; run += WORKERS) {
    const int line = run / runs, first = run % runs * RUN, left = first * stride_x - padding_x;
    const int in_y = line % out_height * stride_y - padding_y + tap * dilation_y;
    const bool is_row = (unsigned)in_y < (unsigned)height;
    const T* row = x + ((long long)(line / out_height) * height + (is_row ? in_y : 0)) * width * channels + output / repeat;
    float factor[RUN], values[span];
#pragma unroll
    for (int r = 0; r < RUN; ++r)
      factor[r] = first + r < out_width
                      ? widen(fetch(gradient + ((long long)line * out_width + first + r) * outputs + output))
                      : 0.0f;
#pragma unroll
    for (int at = 0; at < span; ++at) {
      const int in_x = left + at * dilation_x;
      values[at] = is_row && (unsigned)in_x < (unsigned)width ? widen(fetch(row + in_x * channels)) : 0.0f;
    }
#pragma unroll
    for (int column = 0; column < KERNEL; ++column)
#pragma unroll
      for (int r = 0; r < RUN; ++r) {
        const float value = values[r * STRIDE + column];
        sum[column] += value > filter[column] ? factor[r] : value < filter[column] ? -factor[r] : 0.0f;
      }
  }
#pragma unroll 1
  for (int column = 0; column < KERNEL; ++column) {
    float own = 0.0f;
#pragma unroll
    for (int c = 0; c < KERNEL; ++c)
      own = c == column ? sum[c] : own;  // keeps the sums in registers
    sums[worker][lane] = own;
    __syncthreads();
    if (worker == 0 && is_output) {
      float total = 0.0f;
#pragma unroll
      for (int w = 0; w < WORKERS; ++w)
        total += sums[w][lane];
      keep(result + ((long long)part * kernel_height * KERNEL + tap * KERNEL + column) * outputs + output, total);
    }
    __syncthreads();
  }
}
