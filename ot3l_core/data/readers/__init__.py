"""One module per storage format; each returns what it found, before small classes are dropped and tests held out."""
