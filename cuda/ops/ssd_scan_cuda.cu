#include "cuda/ops/ssd_scan_cuda.hpp"

#include "cuda/kernels/ssd_scan_output.cuh"
#include "cuda/ops/ssd_scan_call.cuh"

namespace strandline::cuda {
namespace {

template <class T>
void write_outputs(const ops::SsdScanArgs& args, ScanCall& call, const ScanWindow& window, const float* state_whpn) {
  with_sizes<T>(call.sizes(), [&](auto sizes) {
    using Sizes = decltype(sizes);
    const TileOutputArgs<T, Sizes> kernel{call.tiles(),
                                          call.steps(),
                                          scan_rows<T>(args.x_thp),
                                          scan_rows<T>(args.b_tgn),
                                          scan_rows<T>(args.c_tgn),
                                          scan_rows<T>(args.y_thp),
                                          args.d_h ? args.d_h.as<float>() : nullptr,
                                          call.parts(window),
                                          sizes,
                                          checked_cast<int>(call.width()),
                                          checked_cast<int>(call.states()),
                                          state_whpn,
                                          static_cast<bool>(args.initial_state_shpn)};
    const int shared_bytes = output_shared(sizes).total;
    allow_shared(tile_outputs<T, Sizes>, shared_bytes, "tile_outputs");
    tile_outputs<<<call.blocks(window, kernel.parts, "tile_outputs"), kOutputThreads,
                   static_cast<unsigned>(shared_bytes), call.stream()>>>(kernel);
    check_launch("tile_outputs");
  });
}

template <class T>
void scan(Context& context, const ops::SsdScanArgs& args) {
  const SsdScanPlan plan = plan_of(context, args);
  const Workspace::Scope scope(context.scratch());
  ScanCall call(context, args, {.sizes = plan.forward, .window_tiles = plan.forward_window});
  const StateRows initial = state_rows(args.initial_state_shpn, "initial_state");
  const StateRows final = state_rows(args.final_state_shpn, "final_state");
  call.pass_empty(initial, final);
  if (call.windows() == 0) return;
  float* states = call.take_states();
  // Two carries in turn: in one launch the first sequence reads its own and the last writes its own.
  float* carry[2]{nullptr, nullptr};
  if (call.windows() > 1) {
    for (float*& one : carry) one = call.take_floats(call.state_elements());
  }
  for (std::int64_t i = 0; i < call.windows(); ++i) {
    const ScanWindow window = call.window(i);
    call.prepare<T>(window);
    call.shares<T>(window, args.x_thp, false, states);
    call.chain<false>(
        window, {.first = initial, .carry_in_hpn = carry[i % 2], .last = final, .carry_out_hpn = carry[(i + 1) % 2]},
        states);
    write_outputs<T>(args, call, window, states);
  }
}

}  // namespace

void ssd_scan(Context& context, const ops::SsdScanArgs& args) {
  with_type(args.x_thp.dtype(), [&](auto type) {
    using T = decltype(type);
    if (args.y_thp.dtype() != args.x_thp.dtype()) throw ContractError("ssd_scan: x and y must be of one type");
    scan<T>(context, args);
  });
}

}  // namespace strandline::cuda
