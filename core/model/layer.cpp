#include "core/model/layer.hpp"

#include <array>

#include "core/backend.hpp"
#include "core/tensor/host_copy.hpp"

namespace strandline {
namespace {

template <class AnyView>
AnyView rows(const AnyView& tensor_td, const TokenRange& range) {
  return tensor_td.slice(0, range.begin, range.end);
}

// Two states in turn: one is read while the other is written. Nothing is read before the first was written.
class StatePair {
 public:
  explicit StatePair(const BlockContext& context) : states_(take_states(context, 2)) {}
  MixerState previous(std::int64_t index) const {
    return index == 0 ? MixerState{} : state_at(states_, (index + 1) % 2);
  }
  MixerState next(std::int64_t index) const { return state_at(states_, index % 2); }

 private:
  MixerState states_;
};

// A sequence that is longer than a segment, in one direction.
struct CutSequence {
  std::int64_t tokens;
  std::int64_t piece_tokens;
  int direction;

  std::int64_t pieces() const { return count_pieces(tokens, piece_tokens); }
  TokenRange piece(std::int64_t index) const { return piece_at(index, tokens, piece_tokens, direction == 1); }
  DirectionRange directions() const { return {direction, direction + 1}; }
};

void forward_in_pieces(const BlockContext& context, const BlockWeights& weights, const CutSequence& sequence,
                       const BlockForwardArgs& whole) {
  const Workspace::Scope scope(context.workspace);
  const StatePair states(context);
  for (std::int64_t i = 0; i < sequence.pieces(); ++i) {
    const TokenRange piece = sequence.piece(i);
    const bool last = i + 1 == sequence.pieces();
    const std::array<std::int64_t, 2> seq_begin{0, piece.size()};
    block_forward(context, weights,
                  {.residual_td = rows(whole.residual_td, piece),
                   .seq_begin = seq_begin,
                   .directions = sequence.directions(),
                   .state_in = states.previous(i),
                   .state_out = last ? MixerState{} : states.next(i),
                   .out_td = rows(whole.out_td, piece)});
  }
}

// The state after every piece but the last.
MixerState states_at_cuts(const BlockContext& context, const BlockWeights& weights, const CutSequence& sequence,
                          ConstView residual_td) {
  const std::int64_t cuts = sequence.pieces() - 1;
  const MixerState states = take_states(context, cuts);
  for (std::int64_t i = 0; i < cuts; ++i) {
    const TokenRange piece = sequence.piece(i);
    const std::array<std::int64_t, 2> seq_begin{0, piece.size()};
    block_forward(context, weights,
                  {.residual_td = rows(residual_td, piece),
                   .seq_begin = seq_begin,
                   .directions = sequence.directions(),
                   .state_in = i == 0 ? MixerState{} : state_at(states, i - 1),
                   .state_out = state_at(states, i)});
  }
  return states;
}

struct BackwardInPieces {
  CutSequence sequence;
  ConstView residual_td;
  ConstView dout_td;
  View dresidual_td;
};

void backward_in_pieces(const BlockContext& context, const BlockWeights& weights, const BackwardInPieces& args,
                        const BlockWeights& gradients) {
  const CutSequence& sequence = args.sequence;
  const Workspace::Scope scope(context.workspace);
  const MixerState states = states_at_cuts(context, weights, sequence, args.residual_td);
  const StatePair dstates(context);
  const std::int64_t pieces = sequence.pieces();
  for (std::int64_t done = 0; done < pieces; ++done) {
    const std::int64_t i = pieces - 1 - done;
    const TokenRange piece = sequence.piece(i);
    const std::array<std::int64_t, 2> seq_begin{0, piece.size()};
    block_backward(context, weights,
                   {.forward = {.residual_td = rows(args.residual_td, piece),
                                .seq_begin = seq_begin,
                                .directions = sequence.directions(),
                                .state_in = i == 0 ? MixerState{} : state_at(states, i - 1)},
                    .dout_td = rows(args.dout_td, piece),
                    .dstate_out = dstates.previous(done),
                    .dstate_in = i == 0 ? MixerState{} : dstates.next(done),
                    .dresidual_td = rows(args.dresidual_td, piece)},
                   gradients);
  }
}

// Both directions in one walk along the sequence, with two pieces of its input kept instead of all of it. The reverse
// direction takes its pieces in the order of the tokens, which is against its scan: so the states at its cuts are
// computed before, at the cost of its norm, input projection, convolution and scan. A token gets the same two sums in
// the same order as from forward_in_pieces.
//
// With P tokens a piece, n pieces and r tokens in the last, piece n - 1 - i of the reverse direction ends at token
// r + i P, not after the end of forward piece i, and begins at r + (i - 1) P or at 0: its input is in forward pieces i
// - 1 and i.
void forward_in_one_walk(const BlockContext& context, const BlockWeights& weights, std::int64_t piece_tokens,
                         View residual_td) {
  const Workspace::Scope scope(context.workspace);
  const CutSequence forward{residual_td.size(0), piece_tokens, 0};
  const CutSequence reverse{residual_td.size(0), piece_tokens, 1};
  const MixerState reverse_states = states_at_cuts(context, weights, reverse, residual_td);
  const StatePair states(context);
  const View input_td = context.workspace.take(residual_td.dtype(), {2 * piece_tokens, residual_td.size(1)});
  Memory& memory = context.backend.memory();
  for (std::int64_t i = 0; i < forward.pieces(); ++i) {
    const TokenRange piece = forward.piece(i);
    const TokenRange place{piece_tokens, piece_tokens + piece.size()};
    if (i > 0) copy_dense(memory, rows(input_td, {piece_tokens, 2 * piece_tokens}), rows(input_td, {0, piece_tokens}));
    copy_dense(memory, rows(residual_td, piece), rows(input_td, place));
    const std::array<std::int64_t, 2> seq_begin{0, piece.size()};
    block_forward(context, weights,
                  {.residual_td = rows(input_td, place),
                   .seq_begin = seq_begin,
                   .directions = forward.directions(),
                   .state_in = states.previous(i),
                   .state_out = i + 1 < forward.pieces() ? states.next(i) : MixerState{},
                   .out_td = rows(residual_td, piece)});

    const std::int64_t against = forward.pieces() - 1 - i;
    const TokenRange back = reverse.piece(against);
    const std::int64_t first_kept = piece.begin - piece_tokens;
    const std::array<std::int64_t, 2> back_begin{0, back.size()};
    block_forward(context, weights,
                  {.residual_td = rows(input_td, {back.begin - first_kept, back.end - first_kept}),
                   .seq_begin = back_begin,
                   .directions = reverse.directions(),
                   .state_in = against == 0 ? MixerState{} : state_at(reverse_states, against - 1),
                   .out_td = rows(residual_td, back)});
  }
}

void segment_forward_in_pieces(const BlockContext& context, const BlockWeights& weights, const LayerForwardArgs& args,
                               const Segment& segment) {
  const Workspace::Scope scope(context.workspace);
  BlockForwardArgs whole{.residual_td = rows(args.input_td, segment.tokens),
                         .seq_begin = segment.seq_begin,
                         .out_td = rows(args.output_td, segment.tokens)};
  if (args.input_td.data() == args.output_td.data() && context.config.directions() > 1) {
    const std::int64_t copy_bytes =
        whole.residual_td.elements() * static_cast<std::int64_t>(size_of(whole.residual_td.dtype()));
    if (copy_bytes > args.copy_bytes) {
      return forward_in_one_walk(context, weights, args.plan.piece_tokens(), whole.out_td);
    }
    const View copy_td = context.workspace.take(whole.residual_td.dtype(), whole.residual_td.shape());
    copy_dense(context.backend.memory(), whole.residual_td, copy_td);
    whole.residual_td = copy_td;
  }
  for (int direction = 0; direction < context.config.directions(); ++direction) {
    forward_in_pieces(context, weights, {segment.tokens.size(), args.plan.piece_tokens(), direction}, whole);
  }
}

}  // namespace

void layer_forward(const BlockContext& context, const BlockWeights& weights, const LayerForwardArgs& args) {
  for (const Segment& segment : args.plan.segments()) {
    if (segment.in_pieces) {
      segment_forward_in_pieces(context, weights, args, segment);
      continue;
    }
    block_forward(context, weights,
                  {.residual_td = rows(args.input_td, segment.tokens),
                   .seq_begin = segment.seq_begin,
                   .directions = {0, context.config.directions()},
                   .out_td = rows(args.output_td, segment.tokens),
                   .kept = args.kept.rows(segment.tokens.begin, segment.tokens.end)});
  }
}

void layer_backward(const BlockContext& context, const BlockWeights& weights, const LayerBackwardArgs& args,
                    const BlockWeights& gradients) {
  for (const Segment& segment : args.plan.segments()) {
    const ConstView residual_td = rows(args.input_td, segment.tokens);
    const ConstView dout_td = rows(args.doutput_td, segment.tokens);
    const View dresidual_td = rows(args.dinput_td, segment.tokens);
    if (!segment.in_pieces) {
      const BlockForwardArgs forward{.residual_td = residual_td,
                                     .seq_begin = segment.seq_begin,
                                     .directions = {0, context.config.directions()},
                                     .kept = args.kept.rows(segment.tokens.begin, segment.tokens.end)};
      block_backward(context, weights, {.forward = forward, .dout_td = dout_td, .dresidual_td = dresidual_td},
                     gradients);
      continue;
    }
    for (int direction = 0; direction < context.config.directions(); ++direction) {
      const CutSequence sequence{segment.tokens.size(), args.plan.piece_tokens(), direction};
      backward_in_pieces(context, weights, {sequence, residual_td, dout_td, dresidual_td}, gradients);
    }
  }
}

}  // namespace strandline
