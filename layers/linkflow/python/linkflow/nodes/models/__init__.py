"""Language models: one way of asking, a file a provider."""
