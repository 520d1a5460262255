"""Neural networks as torch modules, and what goes into them: no training, no catalogue."""
