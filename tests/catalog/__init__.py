"""The catalogue's verbs."""
