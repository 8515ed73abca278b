"""What is measured by running a model: its predictions on held-out pairs."""
