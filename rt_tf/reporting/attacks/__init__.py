"""The part of a report on attacks: results by method and by suite, warnings, sanity checks."""
