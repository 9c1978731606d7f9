"""Files: written whole or not at all, strict JSON, hashes, and what lets a stopped run go on."""
