// The rule that this program reads and writes local files only.
#pragma once

#include <string>

namespace strandline {

/// Does nothing for a path of the local file system and for "-".
/// @throws IoError for "scheme:..." ("https://host/x.bam", "s3:...", "file:...", "data:..."): some libraries below us
/// would open these over the network. A local name with a colon is written "./name:with:colon".
void require_local_path(const std::string& path);

}  // namespace strandline
