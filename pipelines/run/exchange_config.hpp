// The config.json that lies beside a safetensors file of weights made elsewhere.
#pragma once

#include <string>

#include "core/model/config.hpp"

namespace strandline {

enum class ExchangeLayout {
  hugging_face,  ///< transformers' Mamba2ForCausalLM
  state_spaces,  ///< mamba_ssm's MambaLMHeadModel with Mamba2 layers
};

struct ExchangeConfig {
  ExchangeLayout layout = ExchangeLayout::hugging_face;
  EncoderConfig encoder;
};

/// Recognises the layout ("model_type": "mamba2", or "ssm_cfg"). Keys that change no number of the encoder are passed
/// over; values that ask for another computation than ours are refused. In a state-spaces model the gated norm works on
/// each group apart; transformers normalises over all channels whatever the groups.
/// @param file stands for the text's origin in messages. @throws DataError naming the key.
ExchangeConfig read_exchange_config(const std::string& text, const std::string& file);

/// @throws ContractError naming what the layout cannot say (two directions, for one). Dropout is left out.
std::string write_exchange_config(const EncoderConfig& config, ExchangeLayout layout);

}  // namespace strandline
