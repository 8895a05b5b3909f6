"""One process that serves a personal model over HTTP: an OpenAI-compatible API, one model in one thread, concepts by owner."""
