"""Use cases, without HTTP: store, commit, only then enqueue."""
