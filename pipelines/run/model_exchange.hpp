// Mamba-2 weights from and to the layouts that others use, as safetensors with a config.json beside.
#pragma once

#include <string>

#include "pipelines/run/exchange_config.hpp"
#include "pipelines/run/model_store.hpp"

namespace strandline {

/// Reads the weights of an encoder. `config_path` empty: config.json in the same folder. A language-model head
/// (lm_head.weight) is passed over. The result has no classification head: it embeds, and does not predict.
/// @throws DataError naming the tensor that is missing, extra or misshapen, or the key of the configuration that asks
/// for something else; when the vocabulary has no room for the ids of DNA letters. IoError.
StoredModel import_model(const std::string& safetensors_path, const std::string& config_path = {});

/// Writes `folder`/model.safetensors, then `folder`/config.json, each whole or absent; makes the folder when it is
/// missing. Only the encoder goes out: pooling, head, class names and metrics have no place in these layouts.
/// @throws ContractError naming what the layout cannot say; IoError.
void export_model(const StoredModel& model, ExchangeLayout layout, const std::string& folder);

}  // namespace strandline
