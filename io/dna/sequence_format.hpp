// Which format a file is, by its first bytes. Private to io.
#pragma once

#include <string>
#include <string_view>

namespace strandline {

enum class SequenceFormat { kFasta, kFastq, kSam, kBam, kCram };

/// `head`: the first bytes of the file, uncompressed. `name`: for messages.
/// @throws DataError when it is none of them, saying what it looks like.
SequenceFormat detect_sequence_format(std::string_view head, const std::string& name);

}  // namespace strandline
