"""One file a recipe: network, loss, data, sampler, augmentation, schedule."""
