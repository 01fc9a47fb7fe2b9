// An opened local file in HTSlib's hands. Private to io: the public door is byte_source.hpp.
#pragma once

#include <htslib/hfile.h>

#include <memory>
#include <string>

#include "io/bytes/byte_source.hpp"

namespace strandline {

struct HfileCloser {
  void operator()(hFILE* file) const;
};

/// A local file, opened but not yet read: whoever looked at its first bytes hands it on.
struct HtsInput {
  std::unique_ptr<hFILE, HfileCloser> file;
  std::string name;         ///< for messages
  std::string head;         ///< first bytes, as they lie in the file
  std::string head_text;    ///< the same, uncompressed when they are gzip; a prefix only
  bool compressed = false;  ///< gzip or BGZF
};

/// Opens and peeks. Silences HTSlib's own messages, for a library never prints.
/// @throws as open_bytes.
HtsInput open_hts_input(const std::string& path);

/// The rest of an input as uncompressed bytes.
std::unique_ptr<ByteSource> make_byte_source(HtsInput input, const ByteSourceOptions& options);

/// The DataError for a BGZF or CRAM file that lacks its end marker.
[[noreturn]] void throw_missing_end_marker(const std::string& name);

}  // namespace strandline
