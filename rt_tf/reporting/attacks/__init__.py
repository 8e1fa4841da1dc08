"""What a report says of attacks: by method and by suite, warnings, sanity checks, texts."""
