"""What is known of a model before it runs: where it lies, its licence, its weights, loading it."""
