"""Training of the generator that makes personal verifiers, and of its static rival."""
