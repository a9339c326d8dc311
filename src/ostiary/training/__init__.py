"""One training loop, and recipes that say what it trains."""
