#include "cuda/ops/conv1d_cuda.hpp"

#include "cuda/kernels/conv1d.cuh"
#include "cuda/kernels/partial_sums.hpp"
#include "cuda/kernels/sweep.cuh"
#include "cuda/plans/conv1d_plan.hpp"

namespace strandline::cuda {
namespace {

ConvStates states_of(const ConstView& view) {
  if (!view) return {};
  return {static_cast<float*>(const_cast<void*>(view.data())), view.stride(0), view.stride(1)};
}

template <class Args>
ConvInputs inputs_of(Context& context, const Args& args, const Conv1dPlan& plan) {
  return {
      .x = row_tensor(args.x_tc),
      .weight = device_data<float>(args.weight_ck),
      .weight_stride = args.weight_ck.stride(0),
      .bias = args.bias_c ? device_data<float>(args.bias_c) : nullptr,
      .initial = states_of(args.initial_state_skc),
      .sequences = {context.offsets().on_device(args.seq_begin), static_cast<std::int64_t>(args.seq_begin.size()) - 1},
      .tokens = args.x_tc.size(0),
      .channels = args.x_tc.size(1),
      .tokens_of_run = plan.tokens_of_run,
      .chunks = plan.chunks,
      .warps = plan.warps(),
      .taps = static_cast<int>(args.weight_ck.size(1)),
      .reverse = args.reverse,
      .silu = args.silu};
}

/// The part of a sequence that a state's kernel looks at: all of it.
__device__ __forceinline__ ConvPart whole_sequence(const ConvInputs& in, std::int64_t s) {
  return conv_part(in, s, in.sequences.begin[s], in.sequences.begin[s + 1]);
}

/// Row (s, j) of the final state is the input at place length - (K - 1) + j.
struct SaveState {
  ConvInputs in;
  ConvStates final_state;

  __device__ void operator()(std::int64_t row, std::int64_t column, int count) const {
    const std::int64_t s = row / (in.taps - 1);
    const std::int64_t j = row % (in.taps - 1);
    const ConvPart part = whole_sequence(in, s);
    const ConvLane lane{.run = 0, .channel = column, .count = count};
    float value[kPack];
    load_input<AnyElement>({in, part, lane}, part.length() - (in.taps - 1) + j, value);
#pragma unroll
    for (int i = 0; i < kPack; ++i) {
      if (i < count) final_state.row(s, j)[column + i] = value[i];
    }
  }
};

/// Row (s, j) of the initial state is the input at place j - (K - 1): du of places 0 to j reaches it through taps j to
/// 0.
struct InitialStateGradient {
  ConvBackward conv;
  ConvStates dinitial;

  __device__ void operator()(std::int64_t row, std::int64_t column, int count) const {
    const ConvInputs& in = conv.in;
    const std::int64_t s = row / (in.taps - 1);
    const auto j = static_cast<int>(row % (in.taps - 1));
    const ConvPart part = whole_sequence(in, s);
    const ConvLane lane{.run = 0, .channel = column, .count = count};
    const ConvAt at{in, part, lane};
    const ConvTaps<8> taps = load_taps<8>(in, lane);
    float gradient[kPack];
    load_dfinal(conv.dfinal, at, j - (in.taps - 1), gradient);
    for (int place = 0; place <= j && place < part.length(); ++place) {
      float window[8][kPack];
      load_window<AnyElement>(at, place, window);
      load_input<AnyElement>(at, place, window[7]);
      const RawPack<AnyElement> dy = load_pack<AnyElement>(conv.dy, part.token(place) * conv.dy.stride + column, count);
#pragma unroll
      for (int i = 0; i < kPack; ++i) {
        if (i >= count) continue;
        const float du = conv_du(in.silu, convolve(taps, window, i), dy.get(i));
        gradient[i] = fmaf(du, in.weight[(column + i) * in.weight_stride + j - place], gradient[i]);
      }
    }
#pragma unroll
    for (int i = 0; i < kPack; ++i) {
      if (i < count) dinitial.row(s, j)[column + i] = gradient[i];
    }
  }
};

unsigned grid_of(const Conv1dPlan& plan, const char* name) {
  return checked_grid(ceil_div(plan.warps(), std::int64_t{kConvThreads / kWarp}), name);
}

/// Calls body(T{}, number of taps as a type): K = 4 in the layer's types is fast, the rest is one kernel for all.
template <class Body>
void with_conv_types(const ConvInputs& in, std::initializer_list<ConstView> tensors, const Body& body) {
  if (in.taps != 4) return body(AnyElement{}, std::integral_constant<int, 8>{});
  with_pack_type(in.channels, tensors, [&](auto element) { body(element, std::integral_constant<int, 4>{}); });
}

void add_weight_gradients(Context& context, const ops::Conv1dBackwardArgs& args, const ConvBackward& conv,
                          std::int64_t runs) {
  const std::int64_t channels = conv.in.channels;
  if (args.dweight_ck) {
    add_partial_sums(context, {.partials = conv.dweight,
                               .count = runs,
                               .rows = channels,
                               .columns = conv.in.taps,
                               .out = device_data<float>(args.dweight_ck),
                               .out_stride = args.dweight_ck.stride(0)});
  }
  if (args.dbias_c) {
    add_partial_sums(
        context, {.partials = conv.dbias, .count = runs, .columns = channels, .out = device_data<float>(args.dbias_c)});
  }
}

}  // namespace

void conv1d(Context& context, const ops::Conv1dArgs& args) {
  const char* name = "conv1d";
  const std::int64_t channels = args.x_tc.size(1);
  if (channels == 0) return;
  const Conv1dPlan plan = plan_conv1d(args.x_tc.size(0), channels);
  const ConvForward conv{.in = inputs_of(context, args, plan), .y = row_tensor(args.y_tc)};
  if (plan.warps() > 0) {
    with_conv_types(conv.in, {args.x_tc, args.y_tc}, [&](auto element, auto taps) {
      conv1d_kernel<decltype(element), taps.value><<<grid_of(plan, name), kConvThreads, 0, context.stream()>>>(conv);
      check_launch(name);
    });
  }
  if (args.final_state_skc) {
    const std::int64_t rows = conv.in.sequences.count * (conv.in.taps - 1);
    launch_sweep(context, {rows, channels, channels}, SaveState{conv.in, states_of(args.final_state_skc)},
                 "conv1d final state");
  }
}

void conv1d_backward(Context& context, const ops::Conv1dBackwardArgs& args) {
  const char* name = "conv1d_backward";
  const std::int64_t channels = args.x_tc.size(1);
  if (channels == 0) return;
  const Workspace::Scope scope(context.scratch());
  const Conv1dPlan plan = plan_conv1d_backward(args.x_tc.size(0), channels);
  ConvBackward conv{.in = inputs_of(context, args, plan),
                    .dy = row_tensor(args.dy_tc),
                    .dx = row_tensor(args.dx_tc),
                    .dfinal = states_of(args.dfinal_state_skc)};
  const Shape weights{plan.runs, channels, conv.in.taps};
  if (args.dweight_ck) conv.dweight = device_data<float>(context.scratch().take(DType::f32, weights));
  if (args.dbias_c) conv.dbias = device_data<float>(context.scratch().take(DType::f32, {plan.runs, channels}));
  const bool walks = args.dx_tc || args.dweight_ck || args.dbias_c;
  if (walks && plan.warps() > 0) {
    with_conv_types(conv.in, {args.x_tc, args.dy_tc, args.dx_tc}, [&](auto element, auto taps) {
      conv1d_backward_kernel<decltype(element), taps.value>
          <<<grid_of(plan, name), kConvThreads, 0, context.stream()>>>(conv);
      check_launch(name);
    });
    add_weight_gradients(context, args, conv, plan.runs);
  }
  if (args.dinitial_state_skc) {
    const std::int64_t rows = conv.in.sequences.count * (conv.in.taps - 1);
    launch_sweep(context, {rows, channels, channels}, InitialStateGradient{conv, states_of(args.dinitial_state_skc)},
                 "conv1d initial state");
  }
}

}  // namespace strandline::cuda
